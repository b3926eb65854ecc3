// SPDX-License-Identifier: Apache-2.0
// Drives a ring of Verilated cores behind a C interface: one model each, links between them, all clocked together by
// one thread or several. Every call returns 0 or a Status; sim/ring/ring.py is the other side.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "../core.h"
#include "../exchange.h"
#include "link.h"
#include "team.h"

namespace {

constexpr uint64_t REPORT_EVERY = 1 << 13;

using Report = int (*)(uint64_t cycles, uint64_t beats);

// One core and what it is fed.
struct alignas(64) Node {
    Core core;
    std::vector<Segment> segments;
    std::optional<Exchange> exchange;
    std::function<void()> look;  // of an access to its registers
    Handed handed;
    bool moved = false;

    bool busy() const { return exchange && exchange->busy(); }

    void first_half() {
        if (exchange) exchange->offer();
        core.settle();
        if (exchange) exchange->look();
        if (look) look();
        handed.look(core.ports());
    }
    void second_half() {
        core.edge();
        moved = exchange && exchange->move();
    }
};

// One memory for all cores: so many bytes a cycle, a beat at a time to each in turn whose buffer has room for it.
class SharedMemory {
  public:
    SharedMemory(double bytes, uint32_t depth) : bytes_(bytes), depth_(depth) {}

    void tick(std::vector<std::unique_ptr<Node>>& nodes) {
        for (credit_ += bytes_; credit_ >= LANES; credit_ -= LANES) {
            size_t asked = 0;
            for (; asked < nodes.size(); asked++) {
                Node& node = *nodes[next_];
                next_ = (next_ + 1) % nodes.size();
                if (!node.exchange || !node.exchange->hungry(depth_)) continue;
                node.exchange->feed();
                break;
            }
            if (asked == nodes.size()) {  // what nobody takes is lost
                credit_ = 0;
                return;
            }
        }
    }

  private:
    const double bytes_;
    const uint32_t depth_;
    double credit_ = 0;
    size_t next_ = 0;
};

class Ring {
  public:
    Ring(size_t cores, size_t threads, uint32_t latency, uint32_t stall, uint64_t seed)
        : team_(threads, cores, [this](size_t place) { part(*nodes_[place]); }) {
        for (size_t k = 0; k < cores; k++) nodes_.push_back(std::make_unique<Node>());
        for (size_t k = 0; k < cores; k++)
            links_.emplace_back(ports(k), ports((k + 1) % cores), latency, stall, (seed + 1) * 0x10000 + k);
        reset();
    }

    Node& node(size_t k) { return *nodes_[k]; }
    Link& link(size_t k) { return links_[k]; }
    void share(double bytes, uint32_t depth) { shared_.emplace(bytes, depth); }

    void reset() {
        for (size_t k = 0; k < nodes_.size(); k++) {
            ports(k).link_index = k;
            ports(k).link_last = nodes_.size() - 1;
            ports(k).s_axis_link_tvalid = ports(k).m_axis_link_tready = 0;
            node(k).exchange.reset();
            node(k).core.reset();
            links_[k].reset();
        }
    }

#ifdef MUTANTS
    void mutate(uint32_t number) {
        for (size_t k = 0; k < nodes_.size(); k++) ports(k).mutsel = number;
    }
#endif

    // One cycle of all. Returns whether a beat or a word of a result was handed over.
    bool cycle() {
        if (shared_) shared_->tick(nodes_);
        for (Link& link : links_) link.offer();
        if (links_[0].is_wire()) {
            run(FIRST_HALF);
            for (Link& link : links_) link.answer();
            run(SECOND_HALF);
        } else {
            run(WHOLE);
        }
        bool moved = false;
        for (size_t k = 0; k < nodes_.size(); k++) {
            links_[k].move(node(k).handed, node((k + 1) % nodes_.size()).handed);
            moved |= node(k).moved;
        }
        return moved;
    }

    Status run(uint64_t max_cycles, uint64_t max_idle, uint64_t* cycles, Report report) {
        uint64_t since_progress = 0;
        Status status = OK;
        team_.begin();
        for (*cycles = 0; busy() && *cycles < max_cycles && status == OK;) {
            since_progress = cycle() ? 0 : since_progress + 1;
            if (since_progress >= max_idle) [[unlikely]]
                status = TIMEOUT;
            if (++*cycles % REPORT_EVERY == 0 && report(*cycles, accepted())) [[unlikely]]
                status = CANCELLED;
        }
        team_.end();
        for (auto& node : nodes_)
            if (node->exchange && node->exchange->overflowed()) status = OVERFLOW_;
        return status;
    }

    void end() {
        for (auto& node : nodes_) {
            if (node->exchange) node->exchange->rest();
            node->exchange.reset();
        }
    }

  private:
    enum Part { FIRST_HALF, SECOND_HALF, WHOLE };

    Vcore& ports(size_t k) { return node(k).core.ports(); }
    void run(Part which) {
        part_ = which;
        team_.round();
    }
    void part(Node& node) {
        if (part_ != SECOND_HALF) node.first_half();
        if (part_ != FIRST_HALF) node.second_half();
    }
    bool busy() const {
        for (const auto& node : nodes_)
            if (node->busy()) return true;
        return false;
    }
    uint64_t accepted() const {
        uint64_t beats = 0;
        for (const auto& node : nodes_)
            if (node->exchange) beats += node->exchange->accepted();
        return beats;
    }

    std::vector<std::unique_ptr<Node>> nodes_;
    std::vector<Link> links_;
    std::optional<SharedMemory> shared_;
    Part part_ = WHOLE;
    Team team_;
};

// Runs cycles of the ring for an access to the registers of one core.
auto cycles_of(Ring& ring, size_t core) {
    return [&ring, core](auto look) {
        ring.node(core).look = look;
        ring.cycle();
        ring.node(core).look = nullptr;
    };
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

Ring* ring_create(size_t cores, size_t threads, uint32_t latency, uint32_t stall, uint64_t seed) {
    return new Ring(cores, threads, latency, stall, seed);
}
void ring_destroy(Ring* ring) { delete ring; }
void ring_reset(Ring* ring) { ring->reset(); }
#ifdef MUTANTS
// Makes one of the mutants of all cores from now on; 0 for none.
void ring_mutate(Ring* ring, uint32_t number) { ring->mutate(number); }
#endif
// The link from a core to the next one.
void ring_cut(Ring* ring, size_t core) { ring->link(core).cut(); }
// One memory for all from now on, of so many bytes a cycle, for exchanges with an interval of 0; a buffer of ``depth``
// beats for each.
void ring_share(Ring* ring, double bytes, uint32_t depth) { ring->share(bytes, depth); }
void ring_attach(Ring* ring, size_t core, const MemoryTiming* timing) { ring->node(core).core.attach(timing); }
uint64_t ring_memory_waited(Ring* ring, size_t core) {
    MemoryModel* memory = ring->node(core).core.memory();
    return memory ? memory->waited() : 0;
}

// What a core is to send and to collect from the next cycle on; segments and results must stay until it has.
void ring_begin(Ring* ring, size_t core, const Segment* segments, size_t n_segments, const Course* course) {
    Node& node = ring->node(core);
    node.segments.assign(segments, segments + n_segments);
    node.exchange.emplace(node.core, node.segments.data(), n_segments, *course);
}

// Runs until every core has sent and collected all, or for so many cycles.
int ring_run(Ring* ring, uint64_t max_cycles, uint64_t max_idle, uint64_t* cycles, Report report) {
    return ring->run(max_cycles, max_idle, cycles, report);
}

// How far a core is: words collected, beats accepted. Returns whether it is not done.
int ring_progress(Ring* ring, size_t core, uint64_t* n_results, uint64_t* beats) {
    const Node& node = ring->node(core);
    *n_results = node.exchange ? node.exchange->collected() : 0;
    *beats = node.exchange ? node.exchange->accepted() : 0;
    return node.busy();
}

// Ends the exchange of all cores.
void ring_end(Ring* ring) { ring->end(); }

void ring_idle(Ring* ring, uint64_t cycles) {
    while (cycles--) ring->cycle();
}

int ring_csr_write(Ring* ring, size_t core, uint32_t address, uint32_t value) {
    return csr_write(ring->node(core).core.ports(), address, value, cycles_of(*ring, core));
}
int ring_csr_read(Ring* ring, size_t core, uint32_t address, uint32_t* value) {
    return csr_read(ring->node(core).core.ports(), address, value, cycles_of(*ring, core));
}

void ring_taps_record(Ring* ring, size_t core, int on) { ring->node(core).core.record_taps(on); }
uint64_t ring_taps_fetch(Ring* ring, size_t core, uint32_t* buffer) { return ring->node(core).core.fetch_taps(buffer); }
void ring_trace_record(Ring* ring, size_t core, int on) { ring->node(core).core.record_trace(on); }
uint64_t ring_trace_fetch(Ring* ring, size_t core, TraceEntry* buffer, uint64_t* cycles) {
    return ring->node(core).core.fetch_trace(buffer, cycles);
}
}
#pragma GCC visibility pop
