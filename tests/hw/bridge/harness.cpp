// SPDX-License-Identifier: Apache-2.0
// Drives the Verilated ByteBridge (prefix Vbridge) with a script of bytes and pauses, is the memory at its bus, and
// writes down what happens; tests/hw/board/harness.py is the other side.
#include <cstddef>
#include <cstdint>
#include <memory>

#include "Vbridge.h"
#include "verilated.h"

// Verilator writes the two underscores of a member as one and a code.
#define PORT(interface, member) top_->interface##___05F##member

namespace {

// Values of a script from 256 on.
enum Command : uint16_t { QUIET = 256, TOKEN = 257, CYCLES = 258 };
enum Event : uint64_t { SENT = 0, WRITE = 1, READ = 2, MARK = 3 };
enum Fault : uint64_t { BUS_CHANGED = 1, VALID_BEHIND_DONE = 2, BYTE_CHANGED = 3, STUCK = 4 };

constexpr uint32_t WORDS = 1024;
constexpr uint64_t LONGEST = 1 << 20;

class Board {
  public:
    Board(uint32_t gap, uint32_t interval, uint32_t slow)
        : gap_(gap), interval_(interval), slow_(slow), context_(new VerilatedContext), top_(new Vbridge(context_.get())) {
        top_->rst = 1;
        for (int i = 0; i < 4; i++) tick();
        top_->rst = 0;
    }
    ~Board() { top_->final(); }

    // Returns how many events there were, or minus a fault.
    int64_t run(const uint16_t* script, size_t count, uint64_t* events, size_t capacity) {
        events_ = events;
        capacity_ = capacity;
        used_ = 0;
        for (size_t i = 0; i < count && !fault_; i++) {
            uint16_t value = script[i];
            if (value < 256) {
                PORT(received, valid) = 1;
                PORT(received, byte) = value;
                cycle();
                PORT(received, valid) = 0;
                quiet_ = 0;
                for (uint32_t k = interval_ - 1 + dice() % 4; k; k--) cycle();
            } else if (value == QUIET) {
                // the line and the bridge are silent, and a gap is over whenever it began
                for (uint64_t k = 0; quiet_ < 2 * gap_ + 8 && !fault_; k++) {
                    cycle();
                    if (k == LONGEST) fault_ = STUCK;
                }
                note(MARK, 0, 0);
            } else if (value == TOKEN) {
                if (!PORT(tokens, valid)) offer();
            } else {
                for (uint32_t k = value - CYCLES; k; k--) cycle();
            }
        }
        return fault_ ? -static_cast<int64_t>(fault_) : static_cast<int64_t>(used_);
    }
    uint64_t cycles() const { return cycles_; }

  private:
    void tick() {
        top_->clk = 0;
        top_->eval();
        top_->clk = 1;
        top_->eval();
        cycles_++;
    }

    uint32_t dice() {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 17;
        state_ ^= state_ << 5;
        return state_ >> 4;
    }

    void note(Event kind, uint64_t address, uint64_t data) {
        if (used_ < capacity_) events_[used_++] = kind << 62 | address << 32 | data;
    }

    // Number, token, cycles and status follow from how many there were.
    void offer() {
        tokens_++;
        PORT(tokens, valid) = 1;
        PORT(tokens, payload)[0] = (tokens_ & 0xFFFF) | (tokens_ * 7 & 0xFFFF) << 16;
        PORT(tokens, payload)[1] = tokens_ * 0x9E3779B9u;
        PORT(tokens, payload)[2] = tokens_ & 0xFF;
    }

    // A cycle: what the registers give is judged, and inputs follow from it.
    void cycle() {
        top_->clk = 0;
        bus();
        line();
        top_->eval();
        if (PORT(tokens, valid) && PORT(tokens, ready)) token_goes_ = true;
        quiet_++;
        if (PORT(bus, valid) || PORT(sent, valid)) quiet_ = 0;
        top_->clk = 1;
        top_->eval();
        if (token_goes_) PORT(tokens, valid) = 0;
        token_goes_ = false;
        cycles_++;
    }

    void bus() {
        if (PORT(bus, done)) {
            PORT(bus, done) = 0;
            if (PORT(bus, valid)) fault_ = VALID_BEHIND_DONE;
        }
        // junk, but where an access is over
        PORT(bus, answer) = state_;
        PORT(bus, error) = state_ & 1;
        if (!PORT(bus, valid)) {
            wait_ = 0;
            return;
        }
        uint64_t access = static_cast<uint64_t>(PORT(bus, write)) << 30 | PORT(bus, address);
        if (!wait_) {
            wait_ = 1 + dice() % 8;
            access_ = access;
            data_ = PORT(bus, data);
        }
        if (access != access_ || (PORT(bus, write) && data_ != PORT(bus, data))) fault_ = BUS_CHANGED;
        if (--wait_) return;
        bool error = PORT(bus, address) >= WORDS;
        PORT(bus, done) = 1;
        PORT(bus, error) = error;
        PORT(bus, answer) = error ? 0 : memory_[PORT(bus, address)];
        if (PORT(bus, write) && !error) memory_[PORT(bus, address)] = PORT(bus, data);
        note(PORT(bus, write) ? WRITE : READ, PORT(bus, address), PORT(bus, write) ? PORT(bus, data) : 0);
    }

    void line() {
        if (offered_ && !(PORT(sent, valid) && PORT(sent, payload) == byte_)) fault_ = BYTE_CHANGED;
        PORT(sent, ready) = !slow_ || dice() % slow_ == 0;
        offered_ = PORT(sent, valid) && !PORT(sent, ready);
        byte_ = PORT(sent, payload);
        if (PORT(sent, valid) && PORT(sent, ready)) note(SENT, 0, byte_);
    }

    const uint32_t gap_, interval_, slow_;
    std::unique_ptr<VerilatedContext> context_;
    std::unique_ptr<Vbridge> top_;
    uint32_t memory_[WORDS] = {}, state_ = 0x12345678, wait_ = 0, data_ = 0, tokens_ = 0;
    uint64_t access_ = 0, quiet_ = 0, cycles_ = 0, fault_ = 0;
    uint8_t byte_ = 0;
    bool offered_ = false, token_goes_ = false;
    uint64_t* events_ = nullptr;
    size_t capacity_ = 0, used_ = 0;
};

}  // namespace

#define API extern "C" __attribute__((visibility("default")))

API void* bridge_create(uint32_t gap, uint32_t interval, uint32_t slow) { return new Board(gap, interval, slow); }
API void bridge_destroy(void* board) { delete static_cast<Board*>(board); }
API int64_t bridge_run(void* board, const uint16_t* script, size_t count, uint64_t* events, size_t capacity) {
    return static_cast<Board*>(board)->run(script, count, events, capacity);
}
API uint64_t bridge_cycles(void* board) { return static_cast<Board*>(board)->cycles(); }
