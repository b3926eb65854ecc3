// SPDX-License-Identifier: Apache-2.0
// A machine (prefix Vboard) from the bytes of its serial line to the pins of its memory, behind a C interface;
// sim/board/simulated_board.py is the other side.
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "Vboard.h"
#include "sdram_chip.h"
#include "verilated.h"

namespace {

// Times on the line in cycles, with 24 bits of fraction.
constexpr int FRACTION = 24;

// What a host's serial port does: eight bits, no parity, one stop bit.
class Line {
  public:
    Line(uint64_t clock_hz, uint64_t baud) : bit_((clock_hz << FRACTION) / baud) {}

    void send(const uint8_t* bytes, size_t count) { waiting_.insert(waiting_.end(), bytes, bytes + count); }
    size_t unsent() const { return waiting_.size() + (bits_ != 0); }

    // What the host drives in this cycle.
    bool drive() {
        now_ += uint64_t{1} << FRACTION;
        if (now_ >= change_) [[unlikely]] {
            if (!bits_ && !waiting_.empty()) {
                // start bit, byte, stop bit; a 1 behind it marks the end
                bits_ = 1u << 10 | 1u << 9 | unsigned(waiting_.front()) << 1;
                waiting_.pop_front();
                change_ = now_;
            }
            if (bits_ > 1) {
                level_ = bits_ & 1;
                bits_ >>= 1;
                change_ += bit_;
            } else {
                bits_ = 0;
                level_ = true;
            }
        }
        return level_;
    }

    // What the board drives; true where a byte is complete.
    bool take(bool level) {
        if (!receiving_) {
            if (level) return false;
            receiving_ = true;
            taken_ = 0;
            sample_ = now_ + bit_ / 2;
            return false;
        }
        if (now_ < sample_) return false;
        sample_ += bit_;
        if (taken_ == 0 && level) {
            receiving_ = false;  // no start bit
            return false;
        }
        if (taken_ >= 1 && taken_ <= 8) byte_ = byte_ >> 1 | (level ? 0x80 : 0);
        if (taken_++ < 9) return false;
        receiving_ = false;
        if (level) received_.push_back(byte_);
        return level;
    }

    std::deque<uint8_t>& received() { return received_; }

  private:
    uint64_t bit_, now_ = 0, change_ = 0, sample_ = 0;
    std::deque<uint8_t> waiting_, received_;
    unsigned bits_ = 0, taken_ = 0;
    bool level_ = true, receiving_ = false;
    uint8_t byte_ = 0;
};

class Board {
  public:
    Board(const SdramTiming& timing, uint64_t clock_hz, uint64_t baud)
        : chip(timing), line(clock_hz, baud), context_(new VerilatedContext), top_(new Vboard(context_.get())) {
        top_->rst = 1;
        top_->rx = 1;
        for (int i = 0; i < 4; i++) tick();
        top_->rst = 0;
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

    SdramChip chip;
    Line line;
    uint64_t cycles = 0;

  private:
    void tick() {
        top_->rx = line.drive();
        top_->clk = 0;
        top_->eval();
        top_->clk = 1;
        top_->eval();
        // the chip's clock rises between two of ours
        SdramPins pins{bool(top_->cke), bool(top_->cs_n), bool(top_->ras_n), bool(top_->cas_n), bool(top_->we_n),
                       top_->ba,        top_->a,          top_->dqm,         top_->dq_o,        bool(top_->dq_oe)};
        SdramOut out = chip.clock(pins);
        if (out.driven) top_->dq_i = out.dq;
        cycles++;
    }

    std::unique_ptr<VerilatedContext> context_;
    std::unique_ptr<Vboard> top_;
};

}  // namespace

#define API extern "C" __attribute__((visibility("default")))

API Board* board_create(const SdramTiming* timing, uint64_t clock_hz, uint64_t baud) {
    return new Board(*timing, clock_hz, baud);
}
API void board_destroy(Board* board) { delete board; }
API void board_reset(Board* board) { board->reset(); }
API uint64_t board_run(Board* board, uint64_t limit, int until_byte) { return board->run(limit, until_byte); }
API uint64_t board_cycles(Board* board) { return board->cycles; }
API void board_send(Board* board, const uint8_t* bytes, uint64_t count) { board->line.send(bytes, count); }
API uint64_t board_unsent(Board* board) { return board->line.unsent(); }
API uint64_t board_receive(Board* board, uint8_t* bytes, uint64_t most) {
    auto& from = board->line.received();
    uint64_t count = from.size() < most ? from.size() : most;
    for (uint64_t i = 0; i < count; i++) {
        bytes[i] = from.front();
        from.pop_front();
    }
    return count;
}
API uint8_t* board_memory(Board* board) { return board->chip.data(); }
API uint64_t board_memory_bytes(Board* board) { return board->chip.size(); }
API uint64_t board_refreshes(Board* board) { return board->chip.refreshes(); }
// How many rules of the chip were broken, and the first ones.
API uint64_t board_violations(Board* board, SdramViolation* found, uint64_t most) {
    const auto& all = board->chip.violations();
    for (uint64_t i = 0; i < most && i < all.size(); i++) found[i] = all[i];
    return board->chip.violation_count();
}
