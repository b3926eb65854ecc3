// SPDX-License-Identifier: Apache-2.0
// A DDR3 controller, its modelled memory and the reader (prefix Vunit), behind a C interface; ddr3_unit.py is the
// other side.
#include <algorithm>
#include <cstring>
#include <memory>

#include "Vunit.h"
#include "verilated.h"

namespace {

constexpr uint64_t kWord = 16, kBurst = 256, kPatience = 1 << 16;

class Unit {
  public:
    Unit() : context_(new VerilatedContext), top_(new Vunit(context_.get())) {
        top_->rst = 1;
        for (int i = 0; i < 4; i++) idle();
        top_->rst = 0;
    }
    ~Unit() { top_->final(); }

    // One access of a register; whether it was answered.
    bool access(uint32_t address, bool write, uint32_t data, uint32_t* answer) {
        top_->bus_valid = 1;
        top_->bus_write = write;
        top_->bus_address = address / 4;
        top_->bus_data = data;
        bool done = until([&] { return top_->bus_done; }, [&] { *answer = top_->bus_answer; });
        top_->bus_valid = 0;
        idle();
        return done;
    }
    // Words of 16 bytes from one on, in bursts that begin at multiples of 4 KB; whether all were taken.
    bool write(uint64_t word, uint64_t count, const uint8_t* data) {
        for (uint64_t at = 0; at < count;) {
            uint64_t length = std::min(count - at, kBurst - (word + at) % kBurst);
            top_->aw_valid = 1;
            top_->aw_address = (word + at) * kWord;
            top_->aw_length = length - 1;
            bool good = until([&] { return top_->aw_ready; }, [] {});
            top_->aw_valid = 0;
            top_->w_valid = 1;
            for (uint64_t beat = 0; good && beat < length; beat++) {
                top_->w_last = beat == length - 1;
                std::memcpy(&top_->w_data, data + (at + beat) * kWord, kWord);
                good = until([&] { return top_->w_ready; }, [] {});
            }
            top_->w_valid = 0;
            if (!good || !until([&] { return top_->b_valid; }, [] {})) return false;
            at += length;
        }
        return true;
    }
    // One run; its words, and the cycle in which each leaves the reader. Returns how many came.
    uint64_t read(uint64_t word, uint64_t count, uint8_t* data, uint64_t* cycles) {
        uint64_t came = 0, waited = 0;
        top_->run_valid = 1;
        top_->run_address = word;
        top_->run_beats = count;
        while (came < count && waited++ < kPatience) {
            settle();
            bool taken = top_->run_valid && top_->run_ready;
            if (top_->beat_valid) {
                std::memcpy(data + came * kWord, &top_->beat, kWord);
                cycles[came++] = cycle_;
                waited = 0;
                if (top_->beat_last != (came == count) || top_->error) return 0;
            }
            edge();
            if (taken) top_->run_valid = 0;
        }
        return came;
    }
    void idle() {
        settle();
        edge();
    }
    uint64_t cycle() const { return cycle_; }

  private:
    // Cycles up to and with the first in which something holds.
    template <class Condition, class Action>
    bool until(Condition holds, Action action) {
        for (uint64_t waited = 0; waited < kPatience; waited++) {
            settle();
            bool now = holds();
            if (now) action();
            edge();
            if (now) return true;
        }
        return false;
    }
    void settle() {
        top_->clk = 0;
        top_->eval();
    }
    void edge() {
        top_->clk = 1;
        top_->eval();
        cycle_++;
    }

    std::unique_ptr<VerilatedContext> context_;
    std::unique_ptr<Vunit> top_;
    uint64_t cycle_ = 0;
};

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

Unit* unit_create() { return new Unit; }
void unit_destroy(Unit* unit) { delete unit; }
int unit_access(Unit* unit, uint32_t address, int write, uint32_t data, uint32_t* answer) {
    return unit->access(address, write, data, answer);
}
int unit_write(Unit* unit, uint64_t word, uint64_t count, const uint8_t* data) {
    return unit->write(word, count, data);
}
uint64_t unit_read(Unit* unit, uint64_t word, uint64_t count, uint8_t* data, uint64_t* cycles) {
    return unit->read(word, count, data, cycles);
}
uint64_t unit_cycle(Unit* unit) { return unit->cycle(); }
void unit_idle(Unit* unit, uint64_t cycles) {
    while (cycles--) unit->idle();
}

}  // extern "C"
