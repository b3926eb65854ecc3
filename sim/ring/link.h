// SPDX-License-Identifier: Apache-2.0
// A link between two cores (LINK_BYTES bytes a beat): wires, or registers in a row, or what takes as long; with pauses.
#pragma once

#include <cstdint>
#include <cstring>
#include <deque>

#include "Vcore.h"
#include "../exchange.h"

// What a core hands over in a cycle: to the link behind it, and from the one before it.
struct Handed {
    bool sent = false, taken = false, last = false;
    uint8_t data[LINK_BYTES];

    // Between the halves of a cycle.
    void look(Vcore& p) {
        taken = p.s_axis_link_tvalid && p.s_axis_link_tready;
        sent = p.m_axis_link_tvalid && p.m_axis_link_tready;
        last = p.m_axis_link_tlast;
        if (sent) std::memcpy(data, &p.m_axis_link_tdata, LINK_BYTES);
    }
};

class Link {
  public:
    // From one core to the next. ``latency`` is that of the link alone: 0 joins the cores by wires.
    Link(Vcore& from, Vcore& to, uint32_t latency, uint32_t stall, uint64_t seed)
        : from_(from), to_(to), latency_(latency), stall_(stall), pause_(seed), idle_(~seed) {}

    bool is_wire() const { return !latency_; }
    // Nothing comes through any more.
    void cut() { cut_ = true; }
    void reset() {
        beats_.clear();
        open_ = false;
    }

    // Before the cores settle: what either side sees. A beat that is offered stays until it is taken.
    void offer() {
        if (cut_) {
            from_.m_axis_link_tready = to_.s_axis_link_tvalid = 0;
        } else if (is_wire()) {
            open_ = open_ || !idle_.roll(stall_);
            set(from_.m_axis_link_tvalid && open_, &from_.m_axis_link_tdata, from_.m_axis_link_tlast);
        } else {
            from_.m_axis_link_tready = beats_.size() < capacity() && !pause_.roll(stall_);
            open_ = open_ || (!beats_.empty() && beats_.front().due <= cycle_ && !idle_.roll(stall_));
            open_ ? set(true, beats_.front().data, beats_.front().last) : set(false, nullptr, false);
        }
    }
    // Once they have settled: through wires the receiver's answer is back at once.
    void answer() {
        if (is_wire() && !cut_) from_.m_axis_link_tready = to_.s_axis_link_tready && open_;
    }
    // Behind the edge: what has gone in and out.
    void move(const Handed& from, const Handed& to) {
        cycle_++;
        if (to.taken || (is_wire() && !to_.s_axis_link_tvalid)) open_ = false;
        if (is_wire()) return;
        if (to.taken) beats_.pop_front();
        if (!from.sent) return;
        Beat& beat = beats_.emplace_back();
        beat.due = cycle_ + latency_ - 1;
        beat.last = from.last;
        std::memcpy(beat.data, from.data, LINK_BYTES);
    }

  private:
    struct Beat {
        uint64_t due;
        bool last;
        uint8_t data[LINK_BYTES];
    };

    // Room for all that is under way when the receiver begins to pause.
    size_t capacity() const { return 2 * latency_ + 2; }

    void set(bool valid, const void* data, bool last) {
        to_.s_axis_link_tvalid = valid;
        if (!valid) return;
        to_.s_axis_link_tlast = last;
        std::memcpy(&to_.s_axis_link_tdata, data, LINK_BYTES);
    }

    Vcore &from_, &to_;
    const uint32_t latency_, stall_;
    Dice pause_, idle_;
    std::deque<Beat> beats_;
    uint64_t cycle_ = 0;
    bool open_ = false, cut_ = false;
};
