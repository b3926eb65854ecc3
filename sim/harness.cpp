// SPDX-License-Identifier: Apache-2.0
// Drives the Verilated core (prefix Vcore, LANES bytes a beat, debug ports if TAPS is defined, activity of its nets if
// SAIF is) behind a C interface.
// Every call returns 0 or one of the error codes below; sim/harness.py is the other side.
#include <cstddef>
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

namespace {

enum Status : int { OK = 0, TIMEOUT = 1, OVERFLOW_ = 2, CANCELLED = 3, BUS_ERROR = 4 };
enum Flags : uint32_t { SEND_LAST = 1, EXPECT_RESULT = 2 };
enum TapKind : uint32_t { TAP_ACC = 0, TAP_WIDE = 1 };

constexpr uint64_t REPORT_EVERY = 1 << 15;
constexpr int CSR_CYCLES = 1000;
constexpr uint32_t MEMORY_BEATS = 16;

struct Segment {
    const uint8_t* data;
    uint64_t bytes;
};

// From a cycle on, the core's trace port has a value.
struct TraceEntry {
    uint64_t cycle;
    uint64_t trace;
};

using Report = int (*)(uint64_t cycles, uint64_t beats);

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

    void tick() {
        settle();
        edge();
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

    void record_taps(bool on) { recording_taps_ = on; }
    std::vector<uint32_t>& taps() { return taps_; }

    // Begins anew at cycle 0, or stops.
    void record_trace(bool on) {
        recording_trace_ = on;
        if (!on) return;
        trace_.clear();
        traced_cycles_ = 0;
    }
    const std::vector<TraceEntry>& trace() const { return trace_; }
    uint64_t traced_cycles() const { return traced_cycles_; }

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

// Delivers a beat every so many cycles into a buffer that goes on filling while the core waits, or as a modelled memory
// does, which then reads the segments.
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
        if (++cycle_ < interval_) return;
        cycle_ = 0;
        if (beats_ < MEMORY_BEATS) beats_++;
    }
    bool has_beat() const { return model_ ? model_->has_beat() : beats_; }
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

int harness_exchange(Core* core, const Segment* segments, size_t n_segments, uint32_t flags, uint32_t* results,
                     uint64_t capacity, uint64_t* n_results, uint32_t interval, uint32_t in_stall, uint32_t out_stall,
                     uint64_t seed, uint64_t max_cycles, uint64_t* cycles_used, uint64_t* beats, Report report) {
    Vcore& p = core->ports();
    Source source(segments, n_segments);
    Memory memory(interval, core->memory(), segments, n_segments);
    Dice idle(seed), pause(~seed);
    bool collecting = flags & EXPECT_RESULT;
    bool offered = false;
    uint64_t cycles = 0, accepted = 0, collected = 0, since_progress = 0;
    Status status = OK;
    while (source.left() || collecting) {
        memory.tick();
        if (!offered && source.left() && memory.has_beat() && !idle.roll(in_stall)) {
            std::memcpy(&p.s_axis_weights_tdata, source.beat(), LANES);
            p.s_axis_weights_tlast = (flags & SEND_LAST) && source.left() == 1;
            offered = true;
        }
        p.s_axis_weights_tvalid = offered;
        p.m_axis_result_tready = collecting && !pause.roll(out_stall);
        core->settle();
        bool sent = offered && p.s_axis_weights_tready;
        bool received = p.m_axis_result_tready && p.m_axis_result_tvalid;
        if (received) {
            if (collected == capacity) {
                status = OVERFLOW_;
                break;
            }
            results[collected++] = p.m_axis_result_tdata;
            collecting = !p.m_axis_result_tlast;
        }
        core->edge();
        cycles++;
        if (sent) {
            source.advance();
            memory.take();
            accepted++;
            offered = false;
        }
        since_progress = sent || received ? 0 : since_progress + 1;
        if (since_progress >= max_cycles) [[unlikely]] {
            status = TIMEOUT;
            break;
        }
        if (cycles % REPORT_EVERY == 0 && report(cycles, accepted)) [[unlikely]] {
            status = CANCELLED;
            break;
        }
    }
    p.s_axis_weights_tvalid = 0;
    p.s_axis_weights_tlast = 0;
    p.m_axis_result_tready = 0;
    *n_results = collected;
    *cycles_used = cycles;
    *beats = accepted;
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
    Vcore& p = core->ports();
    p.s_axil_csr_awaddr = address;
    p.s_axil_csr_wdata = value;
    p.s_axil_csr_wstrb = 0xF;
    p.s_axil_csr_awvalid = 1;
    p.s_axil_csr_wvalid = 1;
    p.s_axil_csr_bready = 1;
    Status status = TIMEOUT;
    for (int i = 0; i < CSR_CYCLES && status == TIMEOUT; i++) {
        core->settle();
        bool address_taken = p.s_axil_csr_awready, data_taken = p.s_axil_csr_wready;
        if (p.s_axil_csr_bvalid) status = p.s_axil_csr_bresp ? BUS_ERROR : OK;
        core->edge();
        if (address_taken) p.s_axil_csr_awvalid = 0;
        if (data_taken) p.s_axil_csr_wvalid = 0;
    }
    p.s_axil_csr_awvalid = 0;
    p.s_axil_csr_wvalid = 0;
    p.s_axil_csr_bready = 0;
    return status;
}

int harness_csr_read(Core* core, uint32_t address, uint32_t* value) {
    Vcore& p = core->ports();
    p.s_axil_csr_araddr = address;
    p.s_axil_csr_arvalid = 1;
    p.s_axil_csr_rready = 1;
    Status status = TIMEOUT;
    for (int i = 0; i < CSR_CYCLES && status == TIMEOUT; i++) {
        core->settle();
        bool address_taken = p.s_axil_csr_arready;
        if (p.s_axil_csr_rvalid) {
            *value = p.s_axil_csr_rdata;
            status = p.s_axil_csr_rresp ? BUS_ERROR : OK;
        }
        core->edge();
        if (address_taken) p.s_axil_csr_arvalid = 0;
    }
    p.s_axil_csr_arvalid = 0;
    p.s_axil_csr_rready = 0;
    return status;
}

void harness_taps_record(Core* core, int on) { core->record_taps(on); }

// Words recorded so far; with a buffer of that many words, copies and forgets them.
uint64_t harness_taps_fetch(Core* core, uint32_t* buffer) {
    std::vector<uint32_t>& taps = core->taps();
    uint64_t words = taps.size();
    if (buffer) {
        std::memcpy(buffer, taps.data(), words * sizeof(uint32_t));
        taps.clear();
    }
    return words;
}

#ifdef SAIF
void harness_activity(Core* core, const char* path, const char* first) { core->record_activity(path, first); }
#endif

void harness_trace_record(Core* core, int on) { core->record_trace(on); }

// Entries recorded since the beginning, and the cycles that they tell about; with a buffer, copies them.
uint64_t harness_trace_fetch(Core* core, TraceEntry* buffer, uint64_t* cycles) {
    const std::vector<TraceEntry>& trace = core->trace();
    *cycles = core->traced_cycles();
    if (buffer) std::memcpy(buffer, trace.data(), trace.size() * sizeof(TraceEntry));
    return trace.size();
}
}
#pragma GCC visibility pop
