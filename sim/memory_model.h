// SPDX-License-Identifier: Apache-2.0
// When the beats of a weight stream come out of a dynamic memory: times only, no data.
//
// A reader asks for beats in order, one a cycle of the core, as long as its ring has room; a beat is one burst of the
// memory or several, or part of one. Each channel works in clocks of its controller: bursts follow each other on the
// data pins in the order in which they are asked for, and a row is closed and opened as soon as the first burst in it
// is asked for, while others still use the pins. Refreshes close all rows of a channel.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <vector>

// Filled by sim/memory_models.py.
struct MemoryTiming {
    uint64_t core, controller;  // periods in femtoseconds
    // in clocks of the controller: a burst on the pins; READ to its first data; rows; what a change of rows costs
    // beside them; everything else from a request to its data at the reader
    uint64_t burst, cas, rcd, rp, ras, rrd, refi, rfc, row, latency;
    uint64_t burst_bytes, row_bytes, stripe_bytes;  // of a channel; a stripe is what lies in one before the next
    uint64_t channels, banks;
    uint64_t refreshes;  // in a row
    uint64_t depth;     // beats of the reader's ring
    uint64_t crossing;  // cycles of the core from a beat at the reader to the core
};

class MemoryChannel {
  public:
    MemoryChannel(const MemoryTiming& timing, uint64_t first_refresh)
        : t_(timing), banks_(timing.banks), refresh_(first_refresh) {}

    // The clock of the READ for the burst at a place in the channel, asked for at `now`.
    uint64_t read(uint64_t now, uint64_t place) {
        uint64_t number = place / t_.row_bytes, row = number / t_.banks;
        Bank& bank = banks_[number % t_.banks];
        Times times;
        while ((times = when(now, bank, row)).read >= refresh_) refresh();
        waited_ += times.read - when(0, bank, row).read;
        if (!bank.holds(row)) {
            bank = {true, row, times.activate, 0};
            activated_ = times.activate;
        }
        bank.read = next_ = times.read + t_.burst;
        return times.read;
    }
    // Clocks in which a burst could have begun, had it been asked for.
    uint64_t waited() const { return waited_; }

  private:
    struct Bank {
        bool open = false;
        uint64_t row = 0, activated = 0;
        uint64_t read = 0;  // end of its last burst
        bool holds(uint64_t wanted) const { return open && row == wanted; }
    };
    struct Times {
        uint64_t activate, read;
    };

    // The first clocks in which a row can be opened, where it is not open, and a burst in it read.
    Times when(uint64_t now, const Bank& bank, uint64_t row) const {
        if (bank.holds(row))
            return {bank.activated, std::max({now, free_, bank.activated + t_.rcd, next_})};
        uint64_t activate = std::max({now, free_, activated_ + t_.rrd});
        if (bank.open) activate = std::max(activate, std::max({now, bank.activated + t_.ras, bank.read}) + t_.rp);
        return {activate, std::max(activate + t_.rcd, next_ ? next_ + t_.row : 0)};
    }

    void refresh() {
        uint64_t at = std::max(refresh_, next_);
        for (Bank& bank : banks_) {
            if (bank.open) at = std::max(at, bank.activated + t_.ras);
            bank.open = false;
        }
        free_ = at + t_.rp + t_.refreshes * t_.rfc;
        refresh_ += t_.refreshes * t_.refi;
    }

    const MemoryTiming t_;
    std::vector<Bank> banks_;
    uint64_t refresh_;        // the next
    uint64_t free_ = 0;       // nothing before
    uint64_t activated_ = 0;  // the last, of any bank
    uint64_t waited_ = 0;
    uint64_t next_ = 0;       // end of the last burst, at which the next can follow
};

class MemoryModel {
  public:
    explicit MemoryModel(const MemoryTiming& timing) : t_(timing) {
        for (uint64_t i = 0; i < t_.channels; i++)  // their refreshes take turns
            channels_.emplace_back(t_, t_.refreshes * t_.refi * (i + 1) / t_.channels);
    }

    // A run of bytes to be read next; it begins with a row.
    void run(uint64_t bytes) {
        uint64_t row = t_.row_bytes * t_.channels;
        uint64_t begin = (end_ + row - 1) / row * row;
        end_ = begin + bytes;
        runs_.push_back({begin, end_});
    }

    // Forgets what was asked for.
    void stop() {
        runs_.clear();
        due_.clear();
        there_ = 0;
    }

    // A cycle of the core begins, in which the reader may ask for a beat.
    void tick(uint64_t beat_bytes) {
        cycle_++;
        while (there_ < due_.size() && due_[there_] <= cycle_) there_++;
        if (runs_.empty() || due_.size() == t_.depth) return;
        Run& run = runs_.front();
        due_.push_back(std::max(ask(run.begin, beat_bytes), due_.empty() ? 0 : due_.back()));
        run.begin += beat_bytes;
        if (run.begin == run.end) runs_.pop_front();
    }

    bool has_beat() const { return there_; }
    void take() {
        due_.pop_front();
        there_--;
    }
    // Clocks of the controller in which data could have been on the pins, had they been asked for; of all channels.
    uint64_t waited() const {
        uint64_t sum = 0;
        for (const MemoryChannel& channel : channels_) sum += channel.waited();
        return sum;
    }

  private:
    struct Run {
        uint64_t begin, end;
    };

    // The cycle of the core in which a beat is there.
    uint64_t ask(uint64_t place, uint64_t bytes) {
        uint64_t now = (cycle_ * t_.core + t_.controller - 1) / t_.controller;
        for (uint64_t at = place / t_.burst_bytes * t_.burst_bytes; at < place + bytes; at += t_.burst_bytes) {
            if (at == burst_) continue;  // a part of it was asked for before
            uint64_t stripe = at / t_.stripe_bytes, channel = stripe % t_.channels;
            uint64_t within = stripe / t_.channels * t_.stripe_bytes + at % t_.stripe_bytes;
            burst_ = at;
            uint64_t read = channels_[channel].read(now, within);
            latest_ = std::max(latest_, read + t_.cas + t_.burst + t_.latency);
        }
        return (latest_ * t_.controller + t_.core - 1) / t_.core + t_.crossing;
    }

    const MemoryTiming t_;
    std::vector<MemoryChannel> channels_;
    std::deque<Run> runs_;
    std::deque<uint64_t> due_;  // cycles in which the beats that are asked for are there
    size_t there_ = 0;          // of these
    uint64_t cycle_ = 0, end_ = 0;
    uint64_t burst_ = ~0ull, latest_ = 0;
};

// Cycles of the core until so many beats were taken, each as soon as it is there.
inline uint64_t read_endlessly(const MemoryTiming& timing, uint64_t beat_bytes, uint64_t beats) {
    MemoryModel memory(timing);
    memory.run(beats * beat_bytes);
    uint64_t cycles = 0;
    for (uint64_t taken = 0; taken < beats; cycles++) {
        memory.tick(beat_bytes);
        if (memory.has_beat()) {
            memory.take();
            taken++;
        }
    }
    return cycles;
}
