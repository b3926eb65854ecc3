// SPDX-License-Identifier: Apache-2.0
// The Verilated core (prefix Vcore, debug ports if TAPS is defined, activity of its nets if SAIF is, coverage if
// Verilator counts it): its clock, its registers, and what is recorded of it.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

#include "Vcore.h"
#include "memory_model.h"
#include "verilated.h"
#ifdef SAIF
#include "verilated_saif_c.h"
#endif
#if VM_COVERAGE
#include "verilated_cov.h"
#endif

enum Status : int { OK = 0, TIMEOUT = 1, OVERFLOW_ = 2, CANCELLED = 3, BUS_ERROR = 4 };
enum TapKind : uint32_t { TAP_ACC = 0, TAP_WIDE = 1 };

constexpr int CSR_CYCLES = 1000;

// From a cycle on, the core's trace port has a value.
struct TraceEntry {
    uint64_t cycle;
    uint64_t trace;
};

class Core {
  public:
    Core() : context_(new VerilatedContext), top_(new Vcore(context_.get())) {
#ifdef SAIF
        context_->traceEverOn(true);
#endif
        reset();
    }
    ~Core() { top_->final(); }

    Vcore& ports() { return *top_; }

    // The first half of a cycle: outputs follow the inputs.
    void settle() {
        top_->clk = 0;
        top_->eval();
    }

    // The second half: the clock edge.
    void edge() {
#ifdef TAPS
        if (recording_taps_) [[unlikely]] {
            record(TAP_ACC, top_->tap_acc_valid, top_->tap_acc_op, top_->tap_acc);
            record(TAP_WIDE, top_->tap_wide_valid, top_->tap_wide_op, top_->tap_wide);
        }
        if (recording_trace_) [[unlikely]]
            record(top_->tap_trace);
#endif
        top_->clk = 1;
        top_->eval();
#ifdef SAIF
        if (saif_) [[unlikely]]
            saif_->dump(saif_cycles_++);
#endif
    }

    // A whole one, with what is to be done between the halves.
    template <class Look>
    void tick(Look look) {
        settle();
        look();
        edge();
    }
    void tick() {
        tick([] {});
    }

    void reset() {
        top_->s_axis_weights_tvalid = 0;
        top_->s_axis_weights_tlast = 0;
        top_->m_axis_result_tready = 0;
        top_->s_axil_csr_awvalid = 0;
        top_->s_axil_csr_wvalid = 0;
        top_->s_axil_csr_arvalid = 0;
        top_->s_axil_csr_bready = 0;
        top_->s_axil_csr_rready = 0;
        top_->s_axil_csr_awprot = 0;
        top_->s_axil_csr_arprot = 0;
        top_->rst = 1;
        for (int i = 0; i < 4; i++) tick();
        top_->rst = 0;
    }

#ifdef SAIF
    // Writes down how often every net changes, once a cycle, from now on; without a path, ends the file. A net that is 1
    // now counts as changed once; the file first, which ends now, says which these are.
    void record_activity(const char* path, const char* first) {
        close_saif();
        if (!path) return;
        open_saif(first);
        close_saif();
        open_saif(path);
    }
#endif

#if VM_COVERAGE
    // Writes how often each line ran and each bit changed since the core was made.
    void write_coverage(const char* path) { context_->coveragep()->write(path); }
#endif

    void record_taps(bool on) { recording_taps_ = on; }
    // Words recorded so far; with a buffer of that many words, copies and forgets them.
    uint64_t fetch_taps(uint32_t* buffer) {
        uint64_t words = taps_.size();
        if (buffer) {
            std::memcpy(buffer, taps_.data(), words * sizeof(uint32_t));
            taps_.clear();
        }
        return words;
    }

    // Begins anew at cycle 0, or stops.
    void record_trace(bool on) {
        recording_trace_ = on;
        if (!on) return;
        trace_.clear();
        traced_cycles_ = 0;
    }
    // Entries recorded since the beginning, and the cycles that they tell about; with a buffer, copies them.
    uint64_t fetch_trace(TraceEntry* buffer, uint64_t* cycles) const {
        *cycles = traced_cycles_;
        if (buffer) std::memcpy(buffer, trace_.data(), trace_.size() * sizeof(TraceEntry));
        return trace_.size();
    }

    // The memory behind the stream from now on, or none.
    void attach(const MemoryTiming* timing) { memory_.reset(timing ? new MemoryModel(*timing) : nullptr); }
    MemoryModel* memory() { return memory_.get(); }

  private:
#ifdef SAIF
    void open_saif(const char* path) {
        saif_.reset(new VerilatedSaifC);
        top_->trace(saif_.get(), 99);
        saif_->open(path);
        saif_->dump(0);
        saif_cycles_ = 1;
    }
    void close_saif() {
        if (saif_) saif_->close();
        saif_.reset();
    }
#endif
#ifdef TAPS
    template <class Mask, class Values>
    void record(TapKind kind, Mask live, uint32_t op, const Values& values) {
        for (; live; live &= live - 1) {
            int lane = __builtin_ctzll(live);
            taps_.push_back(kind << 4 | op);
            taps_.push_back(word(values, lane));
        }
    }

    // One or two lanes are a port of an integer type, more of them words.
    template <class Values>
    static uint32_t word(const Values& values, int lane) {
        if constexpr (std::is_integral_v<Values>)
            return static_cast<uint64_t>(values) >> 32 * lane;
        else
            return values[lane];
    }

    void record(uint64_t trace) {
        if (trace_.empty() || trace_.back().trace != trace) trace_.push_back({traced_cycles_, trace});
        traced_cycles_++;
    }
#endif

    std::unique_ptr<VerilatedContext> context_;
    std::unique_ptr<Vcore> top_;
    std::unique_ptr<MemoryModel> memory_;
#ifdef SAIF
    std::unique_ptr<VerilatedSaifC> saif_;
    uint64_t saif_cycles_ = 0;
#endif
    std::vector<uint32_t> taps_;
    std::vector<TraceEntry> trace_;
    uint64_t traced_cycles_ = 0;
    bool recording_taps_ = false, recording_trace_ = false;
};

// Writes a register; ``cycle`` runs one clock cycle and calls what it is given before the edge.
template <class Cycle>
Status csr_write(Vcore& p, uint32_t address, uint32_t value, Cycle cycle) {
    p.s_axil_csr_awaddr = address;
    p.s_axil_csr_wdata = value;
    p.s_axil_csr_wstrb = 0xF;
    p.s_axil_csr_awvalid = 1;
    p.s_axil_csr_wvalid = 1;
    p.s_axil_csr_bready = 1;
    Status status = TIMEOUT;
    for (int i = 0; i < CSR_CYCLES && status == TIMEOUT; i++) {
        bool address_taken = false, data_taken = false;
        cycle([&] {
            address_taken = p.s_axil_csr_awready;
            data_taken = p.s_axil_csr_wready;
            if (p.s_axil_csr_bvalid) status = p.s_axil_csr_bresp ? BUS_ERROR : OK;
        });
        if (address_taken) p.s_axil_csr_awvalid = 0;
        if (data_taken) p.s_axil_csr_wvalid = 0;
    }
    p.s_axil_csr_awvalid = 0;
    p.s_axil_csr_wvalid = 0;
    p.s_axil_csr_bready = 0;
    return status;
}

// Reads one, likewise.
template <class Cycle>
Status csr_read(Vcore& p, uint32_t address, uint32_t* value, Cycle cycle) {
    p.s_axil_csr_araddr = address;
    p.s_axil_csr_arvalid = 1;
    p.s_axil_csr_rready = 1;
    Status status = TIMEOUT;
    for (int i = 0; i < CSR_CYCLES && status == TIMEOUT; i++) {
        bool address_taken = false;
        cycle([&] {
            address_taken = p.s_axil_csr_arready;
            if (!p.s_axil_csr_rvalid) return;
            *value = p.s_axil_csr_rdata;
            status = p.s_axil_csr_rresp ? BUS_ERROR : OK;
        });
        if (address_taken) p.s_axil_csr_arvalid = 0;
    }
    p.s_axil_csr_arvalid = 0;
    p.s_axil_csr_rready = 0;
    return status;
}
