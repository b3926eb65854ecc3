// SPDX-License-Identifier: Apache-2.0
// An SDR SDRAM at its pins, clock by clock: what it stores and drives, and what of its data sheet is broken.
//
// `clock` is an edge of the chip's own clock. It takes the pins as they are at this edge, and returns what the chip
// drives from this edge to the next. With a CAS latency of n the first data of a READ are returned n - 1 edges after
// it: they stand at edge n.
//
// The names of the rules:
//   power-up        a command before the power-up time, which runs while cke is high, or dqm low meanwhile
//   initialisation  rows or a mode asked for before all banks were precharged; a row opened before the refreshes that
//                   the chip wants first, and before its mode is set
//   mode register   a burst length, type or latency that is reserved, or an option that this model has not
//   CAS latency     shorter than the chip allows at this clock
//   tRCD tRP tRAS tRC tRRD tRFC tWR tMRD
//   tREFI           more refreshes owed than may be postponed
//   open bank       a row is opened, or a refresh or a mode asked for, with a row open
//   closed bank     READ or WRITE without a row
//   burst           cut short by another burst, a precharge or a stop. Chips can do so; a controller of whole bursts
//                   does not
//   data bus        data driven from outside while the chip drives them or has not been silent long enough; data to be
//                   written that nobody drives
//   command         one that this model has not: auto precharge, or cke low after the power-up
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

// Times in clocks, as SdramClocks of hw/memory/chip.py; sim/board/chip_timing.py fills it.
struct SdramTiming {
    uint32_t dq_bits, row_bits, column_bits, bank_bits;
    uint32_t cas_latency;  // the least
    uint32_t rcd, rp, ras, rc, rrd, rfc, wr, mrd, refi, power_up;
    uint32_t postponed;          // refreshes
    uint32_t initial_refreshes;  // at least
    uint32_t turn;               // clocks between data that the chip drives and those of others
};

struct SdramPins {
    bool cke, cs_n, ras_n, cas_n, we_n;
    uint32_t ba, a, dqm;
    uint32_t dq;
    bool dq_driven;  // from outside
};

struct SdramOut {
    uint32_t dq;
    uint32_t driven;  // a bit a byte
};

struct SdramViolation {
    uint64_t cycle;  // calls of clock before
    const char* rule;
    uint32_t bank;
};

class SdramChip {
  public:
    explicit SdramChip(const SdramTiming& timing)
        : t_(timing), bytes_(timing.dq_bits / 8), banks_(1u << timing.bank_bits),
          memory_(uint64_t{bytes_} << (timing.row_bits + timing.column_bits + timing.bank_bits)),
          busy_mask_((1u << (2 + timing.turn)) - 1) {}

    // The memory: {row, bank, column}, the column lowest, each place dq_bits / 8 bytes, the lowest pins first.
    uint8_t* data() { return memory_.data(); }
    uint64_t size() const { return memory_.size(); }

    // The first violations, and how many there were.
    const std::vector<SdramViolation>& violations() const { return violations_; }
    uint64_t violation_count() const { return violation_count_; }

    uint64_t cycles() const { return now_; }
    uint64_t refreshes() const { return refreshes_; }

    SdramOut clock(const SdramPins& pins) {
        if (now_ >= refresh_deadline_) [[unlikely]] {
            violate("tREFI", 0);
            refresh_deadline_ += t_.refi;
        }
        if (!pins.cke) [[unlikely]] {
            if (powered_ >= t_.power_up) violate("command", 0);
        } else {
            if (!pins.cs_n && !(pins.ras_n && pins.cas_n && pins.we_n)) command(pins);
            powered_++;
        }
        if (powered_ < t_.power_up && (~pins.dqm & ((1u << bytes_) - 1))) [[unlikely]]
            violate("power-up", 0);
        if (left_) transfer(pins);
        SdramOut& slot = slots_[now_ & 3];
        SdramOut out = slot;
        slot.driven = 0;
        out.driven &= ~masked_;
        masked_ = pins.dqm;
        drove_ = drove_ << 1 | (out.driven != 0);
        if (pins.dq_driven && (drove_ & busy_mask_)) [[unlikely]]
            violate("data bus", burst_bank_);
        now_++;
        return out;
    }

  private:
    struct Bank {
        bool open = false;
        uint32_t row = 0;
        int64_t activated = LONG_AGO, precharged = LONG_AGO, written = LONG_AGO;
    };
    static constexpr int64_t LONG_AGO = -(int64_t{1} << 40);
    static constexpr size_t KEPT = 64;

    void violate(const char* rule, uint32_t bank) {
        violation_count_++;
        if (violations_.size() < KEPT) violations_.push_back({now_, rule, bank});
    }
    void within(int64_t since, uint32_t clocks, const char* rule, uint32_t bank) {
        if (int64_t(now_) - since < int64_t(clocks)) violate(rule, bank);
    }
    bool ready() const { return precharged_ && mode_set_ && refreshes_ >= t_.initial_refreshes; }

    void command(const SdramPins& pins) {
        uint32_t code = pins.ras_n << 2 | pins.cas_n << 1 | pins.we_n, bank = pins.ba & (banks_ - 1);
        if (powered_ < t_.power_up) violate("power-up", bank);
        within(refreshed_, t_.rfc, "tRFC", bank);
        within(mode_at_, t_.mrd, "tMRD", bank);
        switch (code) {
        case 0: set_mode(pins.a); break;
        case 1: refresh(); break;
        case 2:
            for (uint32_t b = 0; b < banks_; b++)
                if ((pins.a >> 10 & 1) || b == bank) precharge(b);
            if (pins.a >> 10 & 1) precharged_ = true;
            break;
        case 3: activate(bank, pins.a & ((1u << t_.row_bits) - 1)); break;
        case 4:
        case 5: begin(bank, pins.a, code == 4); break;
        case 6: cut(); break;
        }
    }

    void all_closed() {
        if (!precharged_) violate("initialisation", 0);
        for (uint32_t b = 0; b < banks_; b++) {
            if (bank_[b].open) violate("open bank", b);
            within(bank_[b].precharged, t_.rp, "tRP", b);
            within(bank_[b].activated, t_.rc, "tRC", b);
        }
    }

    void set_mode(uint32_t a) {
        all_closed();
        uint32_t length = a & 7, latency = a >> 4 & 7;
        if (length > 3 || latency < 1 || latency > 3 || a >> 7) {
            violate("mode register", 0);
            return;
        }
        length_ = 1u << length;
        interleaved_ = a >> 3 & 1;
        latency_ = latency;
        if (latency < t_.cas_latency) violate("CAS latency", 0);
        mode_set_ = true;
        mode_at_ = now_;
        begin_refreshing();
    }

    void refresh() {
        all_closed();
        refreshed_ = now_;
        refreshes_++;
        if (refresh_deadline_ == NEVER)
            begin_refreshing();
        else
            refresh_deadline_ = std::min(refresh_deadline_ + t_.refi, now_ + owed());
    }

    // Refreshes are owed from the end of the initialisation on.
    void begin_refreshing() {
        if (ready()) refresh_deadline_ = now_ + owed();
    }
    uint64_t owed() const { return uint64_t{t_.postponed + 1} * t_.refi; }

    void precharge(uint32_t b) {
        Bank& bank = bank_[b];
        if (!bank.open) return;
        within(bank.activated, t_.ras, "tRAS", b);
        // data written at this edge would be among those that are lost
        within(bank.written, t_.wr, "tWR", b);
        if (left_ && burst_bank_ == b) cut();
        bank.open = false;
        bank.precharged = now_;
    }

    void activate(uint32_t b, uint32_t row) {
        Bank& bank = bank_[b];
        if (!ready()) violate("initialisation", b);
        if (bank.open) violate("open bank", b);
        within(bank.precharged, t_.rp, "tRP", b);
        within(bank.activated, t_.rc, "tRC", b);
        for (uint32_t other = 0; other < banks_; other++)
            if (other != b) within(bank_[other].activated, t_.rrd, "tRRD", b);
        bank.open = true;
        bank.row = row;
        bank.activated = now_;
    }

    void begin(uint32_t b, uint32_t a, bool write) {
        cut();
        Bank& bank = bank_[b];
        if (!ready()) violate("initialisation", b);
        if (a >> 10 & 1) violate("command", b);
        if (!bank.open) {
            violate("closed bank", b);
            return;
        }
        within(bank.activated, t_.rcd, "tRCD", b);
        uint32_t column = ((a >> 11) << 10 | (a & 1023)) & ((1u << t_.column_bits) - 1);
        uint64_t place = uint64_t{bank.row} << (t_.bank_bits + t_.column_bits) | b << t_.column_bits | column;
        first_ = place & (length_ - 1);
        base_ = place - first_;
        step_ = 0;
        left_ = length_;
        writing_ = write;
        burst_bank_ = b;
    }

    // What is left of a burst is not transferred.
    void cut() {
        if (!left_) return;
        violate("burst", burst_bank_);
        left_ = 0;
    }

    void transfer(const SdramPins& pins) {
        uint32_t at = interleaved_ ? first_ ^ step_ : (first_ + step_) & (length_ - 1);
        uint8_t* place = memory_.data() + (base_ + at) * bytes_;
        step_++;
        left_--;
        if (writing_) {
            if (!pins.dq_driven) violate("data bus", burst_bank_);
            for (uint32_t byte = 0; byte < bytes_; byte++)
                if (!(pins.dqm >> byte & 1)) place[byte] = pins.dq >> 8 * byte;
            bank_[burst_bank_].written = now_;
        } else {
            SdramOut& slot = slots_[(now_ + latency_ - 1) & 3];
            slot.dq = 0;
            for (uint32_t byte = 0; byte < bytes_; byte++) slot.dq |= uint32_t{place[byte]} << 8 * byte;
            slot.driven = (1u << bytes_) - 1;
        }
    }

    static constexpr uint64_t NEVER = ~uint64_t{0};

    const SdramTiming t_;
    const uint32_t bytes_, banks_;
    std::vector<uint8_t> memory_;
    const uint32_t busy_mask_;

    uint64_t now_ = 0, powered_ = 0, refreshes_ = 0, refresh_deadline_ = NEVER;
    bool precharged_ = false, mode_set_ = false;
    uint32_t length_ = 1, latency_ = 3;
    bool interleaved_ = false;
    int64_t refreshed_ = LONG_AGO, mode_at_ = LONG_AGO;
    Bank bank_[4];

    // the burst that runs
    uint64_t base_ = 0;
    uint32_t first_ = 0, step_ = 0, left_ = 0, burst_bank_ = 0;
    bool writing_ = false;

    // what is driven at the edges to come, by their numbers; whether the chip drove, the last edge lowest
    SdramOut slots_[4] = {};
    uint32_t masked_ = 0, drove_ = 0;

    std::vector<SdramViolation> violations_;
    uint64_t violation_count_ = 0;
};
