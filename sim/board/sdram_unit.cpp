// SPDX-License-Identifier: Apache-2.0
// The SDRAM controller alone (prefix Vunit, words of WORD_BYTES) and the chip at its pins, behind a C interface;
// sim/board/sdram_unit.py is the other side.
#include <cstring>
#include <memory>

#include "Vunit.h"
#include "sdram_chip.h"
#include "verilated.h"

namespace {

struct Request {
    uint64_t address;
    uint32_t write;
    uint32_t gap;  // cycles from the request before, taken, until this is offered
};

class Unit {
  public:
    Unit(const SdramTiming& timing, uint32_t delay)
        : chip(timing), context_(new VerilatedContext), top_(new Vunit(context_.get())), delay_(delay) {
        top_->rst = 1;
        top_->request_valid = 0;
        top_->capture = 0;
        for (int i = 0; i < 4; i++) tick();
        top_->rst = 0;
        cycle_ = 0;
    }
    ~Unit() { top_->final(); }

    // One after another; the answers with the cycles they come in, and the cycles in which requests are taken.
    // Returns how many answers came.
    uint64_t run(const Request* requests, uint64_t count, const uint8_t* data, uint8_t* answers, uint64_t* taken,
                 uint64_t* answered, uint32_t capture, uint64_t limit) {
        uint64_t at = 0, came = 0, expected = 0;
        for (uint64_t i = 0; i < count; i++) expected += !requests[i].write;
        uint32_t gap = count ? requests[0].gap : 0;
        top_->capture = capture;
        for (uint64_t end = cycle_ + limit; cycle_ < end && (at < count || came < expected);) {
            bool offered = at < count && !gap;
            if (gap) gap--;
            top_->request_valid = offered;
            if (offered) {
                top_->request_address = requests[at].address;
                top_->request_write = requests[at].write;
                std::memcpy(&top_->request_data, data + at * WORD_BYTES, WORD_BYTES);
            }
            settle();
            bool is_taken = offered && top_->request_ready;
            if (is_taken) taken[at] = cycle_;
            if (top_->answer_valid && came < expected) {
                answered[came] = cycle_;
                std::memcpy(answers + came++ * WORD_BYTES, &top_->answer, WORD_BYTES);
            } else if (top_->answer_valid)
                came = expected + 1;  // nobody asked
            edge();
            if (is_taken && ++at < count) gap = requests[at].gap;
        }
        top_->request_valid = 0;
        return came;
    }

    void idle(uint64_t cycles) {
        while (cycles--) tick();
    }
    uint64_t initialised_after(uint64_t limit) {
        while (!top_->initialised && cycle_ < limit) tick();
        return cycle_;
    }

    SdramChip chip;

  private:
    void tick() {
        settle();
        edge();
    }

    // The falling edge of the clock, which is the chip's rising one.
    void settle() {
        top_->clk = 0;
        top_->eval();
        SdramPins pins{bool(top_->cke), bool(top_->cs_n), bool(top_->ras_n), bool(top_->cas_n), bool(top_->we_n),
                       top_->ba, top_->a, top_->dqm, top_->dq_o, bool(top_->dq_oe)};
        SdramOut out = chip.clock(pins);
        // what nobody drives is anything
        noise_ = noise_ * 1664525u + 1013904223u;
        uint32_t mask = 0;
        for (int byte = 0; byte < 4; byte++)
            if (out.driven >> byte & 1) mask |= 0xffu << 8 * byte;
        uint32_t bus = pins.dq_driven ? pins.dq : (out.dq & mask) | (noise_ & ~mask);
        std::memmove(late_ + 1, late_, sizeof late_ - sizeof late_[0]);
        late_[0] = bus;
        top_->dq_i = late_[delay_];
    }
    void edge() {
        top_->clk = 1;
        top_->eval();
        cycle_++;
    }

    std::unique_ptr<VerilatedContext> context_;
    std::unique_ptr<Vunit> top_;
    uint64_t cycle_ = 0;
    uint32_t late_[4] = {}, delay_, noise_ = 1;
};

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

Unit* unit_create(const SdramTiming* timing, uint32_t delay) { return new Unit(*timing, delay); }
void unit_destroy(Unit* unit) { delete unit; }
uint64_t unit_run(Unit* unit, const Request* requests, uint64_t count, const uint8_t* data, uint8_t* answers,
                  uint64_t* taken, uint64_t* answered, uint32_t capture, uint64_t limit) {
    return unit->run(requests, count, data, answers, taken, answered, capture, limit);
}
void unit_idle(Unit* unit, uint64_t cycles) { unit->idle(cycles); }
uint64_t unit_initialised_after(Unit* unit, uint64_t limit) { return unit->initialised_after(limit); }
SdramChip* unit_chip(Unit* unit) { return &unit->chip; }

SdramChip* chip_create(const SdramTiming* timing) { return new SdramChip(*timing); }
void chip_destroy(SdramChip* chip) { delete chip; }
void chip_clock(SdramChip* chip, const SdramPins* pins, SdramOut* outs, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) outs[i] = chip->clock(pins[i]);
}
uint8_t* chip_data(SdramChip* chip) { return chip->data(); }
uint64_t chip_refreshes(SdramChip* chip) { return chip->refreshes(); }
uint64_t chip_violations(SdramChip* chip, SdramViolation* found, uint64_t room) {
    std::copy_n(chip->violations().begin(), std::min<uint64_t>(room, chip->violations().size()), found);
    return chip->violation_count();
}

}  // extern "C"
