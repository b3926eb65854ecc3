// SPDX-License-Identifier: Apache-2.0
// Drives the Verilated core behind a C interface (core.h and exchange.h say how it is built and fed).
// Every call returns 0 or a Status; sim/harness.py is the other side.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "core.h"
#include "exchange.h"

namespace {

constexpr uint64_t REPORT_EVERY = 1 << 15;

using Report = int (*)(uint64_t cycles, uint64_t beats);

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

Core* harness_create() { return new Core; }
void harness_destroy(Core* core) { delete core; }
void harness_reset(Core* core) { core->reset(); }

// The timing model of a memory, from now on in the place of the interval; a null pointer takes it away.
void harness_attach(Core* core, const MemoryTiming* timing) { core->attach(timing); }

// Clocks of its controller in which the memory waited to be asked, since it was attached, of all channels.
uint64_t harness_memory_waited(Core* core) { return core->memory() ? core->memory()->waited() : 0; }

uint64_t harness_read_endlessly(const MemoryTiming* timing, uint64_t beat_bytes, uint64_t beats) {
    return read_endlessly(*timing, beat_bytes, beats);
}

int harness_exchange(Core* core, const Segment* segments, size_t n_segments, const Course* course, uint64_t max_idle,
                     uint64_t* n_results, uint64_t* cycles_used, uint64_t* beats, Report report) {
    Exchange exchange(*core, segments, n_segments, *course);
    uint64_t cycles = 0, since_progress = 0;
    Status status = OK;
    while (exchange.busy()) {
        exchange.offer();
        core->settle();
        exchange.look();
        core->edge();
        bool progress = exchange.move();
        cycles++;
        if (exchange.overflowed()) [[unlikely]] {
            status = OVERFLOW_;
            break;
        }
        since_progress = progress ? 0 : since_progress + 1;
        if (since_progress >= max_idle) [[unlikely]] {
            status = TIMEOUT;
            break;
        }
        if (cycles % REPORT_EVERY == 0 && report(cycles, exchange.accepted())) [[unlikely]] {
            status = CANCELLED;
            break;
        }
    }
    exchange.rest();
    *n_results = exchange.collected();
    *cycles_used = cycles;
    *beats = exchange.accepted();
    return status;
}

// The plainest loop that feeds one packet and takes what comes, to measure harness_exchange against. Returns the beats
// accepted.
uint64_t harness_bare(Core* core, const uint8_t* packet, uint64_t bytes, uint64_t cycles) {
    Vcore& p = core->ports();
    const uint8_t* beat = packet;
    const uint8_t* end = packet + bytes;
    p.m_axis_result_tready = 1;
    for (; cycles; cycles--) {
        p.s_axis_weights_tvalid = beat != end;
        p.s_axis_weights_tlast = beat + LANES == end;
        if (beat != end) std::memcpy(&p.s_axis_weights_tdata, beat, LANES);
        p.clk = 0;
        p.eval();
        bool sent = p.s_axis_weights_tvalid && p.s_axis_weights_tready;
        p.clk = 1;
        p.eval();
        if (sent) beat += LANES;
    }
    p.s_axis_weights_tvalid = 0;
    p.s_axis_weights_tlast = 0;
    p.m_axis_result_tready = 0;
    return (beat - packet) / LANES;
}

// Clock cycles in which nothing is offered and nothing taken.
void harness_idle(Core* core, uint64_t cycles) {
    while (cycles--) core->tick();
}

int harness_csr_write(Core* core, uint32_t address, uint32_t value) {
    return csr_write(core->ports(), address, value, [&](auto look) { core->tick(look); });
}

int harness_csr_read(Core* core, uint32_t address, uint32_t* value) {
    return csr_read(core->ports(), address, value, [&](auto look) { core->tick(look); });
}

void harness_taps_record(Core* core, int on) { core->record_taps(on); }
uint64_t harness_taps_fetch(Core* core, uint32_t* buffer) { return core->fetch_taps(buffer); }
void harness_trace_record(Core* core, int on) { core->record_trace(on); }
uint64_t harness_trace_fetch(Core* core, TraceEntry* buffer, uint64_t* cycles) {
    return core->fetch_trace(buffer, cycles);
}

#ifdef MUTANTS
// Makes one of the mutants of the core from now on; 0 for none.
void harness_mutate(Core* core, uint32_t number) { core->ports().mutsel = number; }
#endif
#if VM_COVERAGE
void harness_coverage(Core* core, const char* path) { core->write_coverage(path); }
#endif
#ifdef SAIF
void harness_activity(Core* core, const char* path, const char* first) { core->record_activity(path, first); }
#endif
}
#pragma GCC visibility pop
