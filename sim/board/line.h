// SPDX-License-Identifier: Apache-2.0
// A serial line, as a host's port has it, cycle by cycle of the board.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

// Times on the line in cycles, with 24 bits of fraction.
constexpr int FRACTION = 24;

// What a host's serial port does: eight bits, no parity, one stop bit.
class Line {
  public:
    Line(uint64_t clock_hz, uint64_t baud) : bit_((clock_hz << FRACTION) / baud) {}

    void send(const uint8_t* bytes, size_t count) { waiting_.insert(waiting_.end(), bytes, bytes + count); }

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
