// SPDX-License-Identifier: Apache-2.0
// One exchange of a core: the beats of a packet in (LANES bytes each), the words of a result out, with pauses.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core.h"

enum Flags : uint32_t { SEND_LAST = 1, EXPECT_RESULT = 2 };

constexpr uint32_t MEMORY_BEATS = 16;

struct Segment {
    const uint8_t* data;
    uint64_t bytes;
};

// xorshift64*: decides idle and back-pressure cycles.
class Dice {
  public:
    explicit Dice(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ull | 1) {}
    bool roll(uint32_t chance) {
        if (!chance) return false;
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return static_cast<uint32_t>((state_ * 0x2545F4914F6CDD1Dull) >> 32) < chance;
    }

  private:
    uint64_t state_;
};

// Delivers a beat every so many cycles into a buffer that goes on filling while the core waits, or as a modelled memory
// does, which then reads the segments. An interval of 0 leaves it to others to give beats.
class Memory {
  public:
    Memory(uint32_t interval, MemoryModel* model, const Segment* segments, size_t count)
        : interval_(interval), model_(model) {
        if (!model_) return;
        model_->stop();
        for (size_t i = 0; i < count; i++)
            if (segments[i].bytes) model_->run(segments[i].bytes);
    }
    void tick() {
        if (model_) return model_->tick(LANES);
        if (!interval_ || ++cycle_ < interval_) return;
        cycle_ = 0;
        if (beats_ < MEMORY_BEATS) give();
    }
    void give() { beats_++; }
    bool has_beat() const { return model_ ? model_->has_beat() : beats_; }
    uint32_t beats() const { return beats_; }
    void take() {
        if (model_)
            model_->take();
        else
            beats_--;
    }

  private:
    uint32_t interval_, cycle_ = 0, beats_ = 0;
    MemoryModel* model_;
};

// Walks over the beats of a list of segments.
class Source {
  public:
    Source(const Segment* segments, size_t count) : next_(segments), end_(segments + count) {
        for (const Segment* s = segments; s != end_; s++) left_ += s->bytes / LANES;
        skip_empty();
    }
    uint64_t left() const { return left_; }
    const uint8_t* beat() const { return next_->data + offset_; }
    void advance() {
        left_--;
        offset_ += LANES;
        skip_empty();
    }

  private:
    void skip_empty() {
        while (next_ != end_ && offset_ >= next_->bytes) {
            next_++;
            offset_ = 0;
        }
    }
    const Segment* next_;
    const Segment* end_;
    uint64_t offset_ = 0;
    uint64_t left_ = 0;
};

// How an exchange is to run; sim/native.py has the same.
struct Course {
    uint32_t flags, interval;
    uint32_t in_stall, out_stall;  // chances, of 2**32
    uint64_t seed;
    uint32_t* results;
    uint64_t capacity;  // words
};

class Exchange {
  public:
    Exchange(Core& core, const Segment* segments, size_t count, const Course& course)
        : core_(core),
          course_(course),
          source_(segments, count),
          memory_(course.interval, core.memory(), segments, count),
          idle_(course.seed),
          pause_(~course.seed),
          collecting_(course.flags & EXPECT_RESULT) {}

    bool busy() const { return source_.left() || collecting_; }
    bool overflowed() const { return overflowed_; }
    uint64_t accepted() const { return accepted_; }
    uint64_t collected() const { return collected_; }
    // Whether a memory that all cores share may give it a beat, into a buffer of so many.
    bool hungry(uint32_t depth) const { return memory_.beats() < std::min<uint64_t>(source_.left(), depth); }
    void feed() { memory_.give(); }

    // A cycle of the core is these three, with its two halves between them: what it is offered ...
    void offer() {
        Vcore& p = core_.ports();
        memory_.tick();
        if (!offered_ && source_.left() && memory_.has_beat() && !idle_.roll(course_.in_stall)) {
            std::memcpy(&p.s_axis_weights_tdata, source_.beat(), LANES);
            p.s_axis_weights_tlast = (course_.flags & SEND_LAST) && source_.left() == 1;
            offered_ = true;
        }
        p.s_axis_weights_tvalid = offered_;
        p.m_axis_result_tready = collecting_ && !pause_.roll(course_.out_stall);
    }
    // ... what changes hands ...
    void look() {
        Vcore& p = core_.ports();
        sent_ = offered_ && p.s_axis_weights_tready;
        received_ = p.m_axis_result_tready && p.m_axis_result_tvalid;
        if (received_) collect(p.m_axis_result_tdata, p.m_axis_result_tlast);
    }
    // ... and what follows from it. Returns whether anything did.
    bool move() {
        if (sent_) {
            source_.advance();
            memory_.take();
            accepted_++;
            offered_ = false;
        }
        return sent_ || received_;
    }

    // Offers and takes nothing from now on.
    void rest() {
        Vcore& p = core_.ports();
        p.s_axis_weights_tvalid = 0;
        p.s_axis_weights_tlast = 0;
        p.m_axis_result_tready = 0;
    }

  private:
    void collect(uint32_t word, bool last) {
        overflowed_ = collected_ == course_.capacity;
        if (!overflowed_) course_.results[collected_++] = word;
        collecting_ = !last && !overflowed_;
    }

    Core& core_;
    const Course course_;
    Source source_;
    Memory memory_;
    Dice idle_, pause_;
    bool collecting_;
    bool offered_ = false, sent_ = false, received_ = false, overflowed_ = false;
    uint64_t accepted_ = 0, collected_ = 0;
};
