// SPDX-License-Identifier: Apache-2.0
// A machine (prefix Vboard) from the bytes of its serial line to its memory, behind a C interface;
// sim/board/simulated_board.py is the other side. BOARD_API(Memory), once, makes that interface. A Memory has
//   Settings                       what it is made of
//   Memory(Vboard&, Settings)
//   void clock()                   behind each rising edge of the board's clock
//   uint8_t* at(address)           where it keeps a byte; those of its 16 byte words are together
//   uint64_t violations(found, most)   how many rules of the chip were broken, and the first ones
#pragma once

#include <cstring>
#include <memory>

#include "Vboard.h"
#include "line.h"
#include "verilated.h"

struct Violation {
    uint64_t cycle;
    const char* rule;
    uint32_t bank;
};

template <class Memory>
class Board {
  public:
    Board(const typename Memory::Settings& settings, uint64_t clock_hz, uint64_t baud)
        : line(clock_hz, baud), context_(new VerilatedContext), top_(new Vboard(context_.get())),
          memory(*top_, settings) {
        top_->rx = 1;
        reset();
        cycles = 0;
    }
    ~Board() { top_->final(); }

    // Runs until a byte has come from the board (where that is asked for), or for so many cycles.
    uint64_t run(uint64_t limit, bool until_byte) {
        uint64_t end = cycles + limit, before = cycles;
        while (cycles < end) {
            tick();
            if (line.take(top_->tx) && until_byte) break;
        }
        return cycles - before;
    }

    void reset() {
        top_->rst = 1;
        for (int i = 0; i < 4; i++) tick();
        top_->rst = 0;
    }

    uint64_t receive(uint8_t* bytes, uint64_t most) {
        auto& from = line.received();
        uint64_t count = from.size() < most ? from.size() : most;
        for (uint64_t i = 0; i < count; i++) {
            bytes[i] = from.front();
            from.pop_front();
        }
        return count;
    }

    void put(uint64_t address, const uint8_t* data, uint64_t count) {
        constexpr uint64_t WORD = 16;
        while (count) {
            uint64_t part = WORD - address % WORD;
            if (part > count) part = count;
            std::memcpy(memory.at(address), data, part);
            address += part, data += part, count -= part;
        }
    }

    Line line;
    uint64_t cycles = 0;

  private:
    void tick() {
        top_->rx = line.drive();
        top_->clk = 0;
        top_->eval();
        top_->clk = 1;
        top_->eval();
        memory.clock();
        cycles++;
    }

    std::unique_ptr<VerilatedContext> context_;
    std::unique_ptr<Vboard> top_;

  public:
    Memory memory;
};

#define API extern "C" __attribute__((visibility("default")))

#define BOARD_API(Memory)                                                                                            \
    API Board<Memory>* board_create(const Memory::Settings* settings, uint64_t clock_hz, uint64_t baud) {            \
        return new Board<Memory>(*settings, clock_hz, baud);                                                         \
    }                                                                                                                \
    API void board_destroy(Board<Memory>* board) { delete board; }                                                   \
    API void board_reset(Board<Memory>* board) { board->reset(); }                                                   \
    API uint64_t board_run(Board<Memory>* board, uint64_t limit, int until_byte) {                                   \
        return board->run(limit, until_byte);                                                                        \
    }                                                                                                                \
    API uint64_t board_cycles(Board<Memory>* board) { return board->cycles; }                                        \
    API void board_send(Board<Memory>* board, const uint8_t* bytes, uint64_t count) {                                \
        board->line.send(bytes, count);                                                                              \
    }                                                                                                                \
    API uint64_t board_receive(Board<Memory>* board, uint8_t* bytes, uint64_t most) {                                \
        return board->receive(bytes, most);                                                                          \
    }                                                                                                                \
    API void board_put(Board<Memory>* board, uint64_t address, const uint8_t* data, uint64_t count) {                \
        board->put(address, data, count);                                                                            \
    }                                                                                                                \
    API uint64_t board_violations(Board<Memory>* board, Violation* found, uint64_t most) {                           \
        return board->memory.violations(found, most);                                                                \
    }
