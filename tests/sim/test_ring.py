# SPDX-License-Identifier: Apache-2.0
"""The harness of many cores, on loop-back cores that need a word of the core before them for each of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.loopback import HOLD, ID, IDENTITY, SCRATCH
from tests.sim.linked_loopback import DEPTH, LINK_BYTES, LinkedLoopback, expected
from tritforge.golden import TritforgeError
from tritforge.rtl_gen.verilog.emit import emit_verilog
from tritforge.sim.build_harness import build_harness
from tritforge.sim.memory_models import MEMORIES
from tritforge.sim.native import HarnessError, HarnessTimeout
from tritforge.sim.ring.feed import Feed, Links
from tritforge.sim.ring.ring import Ring

LANES, BEATS = 16, 200
COUNTS = (1, 2, 3, 4, 8)
LINKS = {
    "wires": Links(),
    "pausing wires": Links(stall=0.5),
    "a register": Links(1),
    "seven, pausing": Links(7, 0.3),
    "serial": Links(100, 0.1),
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = emit_verilog(LinkedLoopback(LANES), "linked", tmp_path_factory.mktemp("verilog"))
    return build_harness(files, "linked", LANES, taps=True, link_bytes=LINK_BYTES)


@pytest.fixture
def ring(library: Path) -> Iterator[Ring]:
    """Three cores."""
    with Ring(library, LANES, 3) as ring:
        yield ring


def packet(core: int, beats: int = BEATS) -> NDArray[np.uint8]:
    return np.random.default_rng(core).integers(0, 256, beats * LANES, dtype=np.uint8)


def feeds(count: int, beats: int = BEATS) -> list[Feed]:
    return [Feed([packet(core, beats)]) for core in range(count)]


def unequal(count: int) -> list[Feed]:
    """Each core with pauses of its own, and in two segments."""
    parts = [(packet(core)[: 7 * LANES], packet(core)[7 * LANES :]) for core in range(count)]
    return [
        Feed(part, in_stall=0.1 + 0.2 * (core % 3), out_stall=0.6 - 0.2 * (core % 3), seed=core)
        for core, part in enumerate(parts)
    ]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", LINKS)
def test_results_do_not_depend_on_links_pauses_and_threads(library: Path, count: int, name: str) -> None:
    words = expected([packet(core) for core in range(count)], LANES)
    cycles = set()
    for threads in (1, 2):
        with Ring(library, LANES, count, LINKS[name], threads=threads) as ring:
            for _ in range(2):
                done = ring.exchange(unequal(count))
                assert all(np.array_equal(one.words, wanted) for one, wanted in zip(done, words, strict=True))
                assert [one.beats for one in done] == [BEATS] * count
            cycles.add(done[0].cycles)
    assert len(cycles) == 1


@pytest.mark.parametrize("latency", [1, 7, 100])
def test_a_link_takes_as_long_as_it_is_said_to(library: Path, latency: int) -> None:
    taken = []
    for links in (Links(), Links(latency)):
        with Ring(library, LANES, 3, links) as ring:
            taken.append(ring.exchange(feeds(3, beats=1))[0].cycles)
    assert taken[1] == taken[0] + latency


def test_the_pauses_of_links_follow_the_seed(library: Path) -> None:
    cycles = []
    for seed in (1, 1, 2):
        with Ring(library, LANES, 3, Links(2, 0.4), seed=seed) as ring:
            cycles.append(ring.exchange(feeds(3))[0].cycles)
    assert cycles[0] == cycles[1] != cycles[2]


@pytest.mark.parametrize("latency", [0, 3])
def test_the_core_behind_a_cut_link_is_named(library: Path, latency: int) -> None:
    with Ring(library, LANES, 3, Links(latency)) as ring:
        ring.cut(1)
        with pytest.raises(
            HarnessTimeout, match=r"for 300 cycles; not done: core 2, after 5 of 5 beats and 0 result"
        ):
            ring.exchange(feeds(3, beats=5), max_idle_cycles=300)


def test_cores_that_wait_are_named(ring: Ring) -> None:
    ring.csr_write(0, HOLD, 1)
    with pytest.raises(HarnessTimeout) as caught:
        ring.exchange(feeds(3, beats=5), max_idle_cycles=300)
    told = ("core 0, after 0 of 5 beats and 0 result words", "core 1, after 5 of 5 beats and 0 result words")
    assert str(caught.value).endswith(f"not done: {'; '.join(told)}.")
    ring.reset()
    ring.csr_write(0, HOLD, 0)
    assert [one.beats for one in ring.exchange(feeds(3))] == [BEATS] * 3


def test_an_exchange_goes_on_while_registers_are_written(ring: Ring) -> None:
    ring.csr_write(1, HOLD, 1)
    ring.begin(feeds(3, beats=DEPTH // 2))
    assert ring.run(max_cycles=100) == [1, 2]
    assert ring.run(max_cycles=100) == [1, 2]
    ring.csr_write(1, HOLD, 0)
    assert ring.run() == []
    done = ring.end()
    words = expected([packet(core, DEPTH // 2) for core in range(3)], LANES)
    assert all(np.array_equal(one.words, wanted) for one, wanted in zip(done, words, strict=True))
    assert done[0].cycles > 200


def test_a_packet_may_be_sent_in_parts(ring: Ring) -> None:
    first = [Feed([packet(core, 4)[: 3 * LANES]], last=False, expect_result=False) for core in range(3)]
    assert [one.words.size for one in ring.exchange(first)] == [0, 0, 0]
    done = ring.exchange([Feed([packet(core, 4)[3 * LANES :]]) for core in range(3)])
    words = expected([packet(core, 4) for core in range(3)], LANES)
    assert all(np.array_equal(one.words, wanted) for one, wanted in zip(done, words, strict=True))


def test_each_core_has_registers(ring: Ring) -> None:
    for core in range(3):
        assert ring.csr_read(core, ID) == IDENTITY
        ring.csr_write(core, SCRATCH, 0x1000 + core)
    assert [ring.csr_read(core, SCRATCH) for core in range(3)] == [0x1000, 0x1001, 0x1002]
    with pytest.raises(HarnessError, match=r"^Core 2 answers a read of register 0x100 with an error"):
        ring.csr_read(2, 0x100)
    with pytest.raises(HarnessError, match=r"^Core 1 answers a write to register 0x0 with an error"):
        ring.csr_write(1, ID, 1)


@pytest.mark.parametrize("beats_a_cycle", [0.25, 0.4])
def test_one_memory_is_shared_fairly_to_its_last_byte(library: Path, beats_a_cycle: float) -> None:
    with Ring(library, LANES, 4) as ring:
        ring.share_memory(beats_a_cycle * LANES)
        ring.begin(feeds(4))
        ring.run(max_cycles=BEATS)
        beats = [one.beats for one in ring.end()]
        assert sum(beats) == pytest.approx(BEATS * beats_a_cycle, abs=4) and max(beats) - min(beats) <= 1
        ring.reset()
        cycles = ring.exchange(feeds(4))[0].cycles
        assert cycles == pytest.approx(4 * BEATS / beats_a_cycle, abs=20)


def test_what_a_core_does_not_ask_for_goes_to_the_others(library: Path) -> None:
    with Ring(library, LANES, 2) as ring:
        ring.share_memory(LANES / 4)
        ring.begin([Feed([packet(core, beats)], expect_result=False) for core, beats in enumerate((DEPTH, 2))])
        ring.run(max_cycles=4 * (DEPTH + 2) + 1)
        assert [one.beats for one in ring.end()] == [DEPTH, 2]


def test_a_shared_memory_reads_ahead_as_far_as_there_is_room(library: Path) -> None:
    with Ring(library, LANES, 1) as ring:
        ring.share_memory(LANES / 100, depth=6)
        ring.csr_write(0, HOLD, 1)
        ring.begin(feeds(1))
        ring.run(max_cycles=1000)
        ring.csr_write(0, HOLD, 0)
        ring.run(max_cycles=20)
        assert 6 <= ring.end()[0].beats <= 7


def test_each_core_has_a_modelled_memory(library: Path) -> None:
    """One that is slower than the core, and one that waits for it."""
    beats = 2000  # more than the reader's ring holds
    words = expected([packet(core, beats) for core in range(2)], LANES)
    for name, least, most, waits in (("sdr-100x16", 8, 9, False), ("ddr3-800x16", 2, 3, True)):
        with Ring(library, LANES, 2) as ring:
            for core in range(2):
                ring.attach(core, MEMORIES[name].timing(100))
            done = ring.exchange(feeds(2, beats))
            assert all(np.array_equal(one.words, wanted) for one, wanted in zip(done, words, strict=True))
            assert least * beats < done[0].cycles < most * beats
            assert (ring.memory_waited(1) > 0) == waits


def test_taps_and_traces_are_each_core_s_own(ring: Ring) -> None:
    for core in range(3):
        ring.record_taps(core)
    ring.record_traces()
    done = ring.exchange(feeds(3))
    traces = ring.fetch_traces()
    for core in range(3):
        taps = ring.fetch_taps(core)
        assert np.array_equal(taps[:, 1], done[core].words) and (taps[:, 0] == core).all()
        assert traces[core].cycles == done[0].cycles
        assert (traces[core].words >> np.uint64(26) == core).all()
        assert np.array_equal(traces[core].starts, traces[0].starts)


def test_too_many_words_are_reported(ring: Ring) -> None:
    with pytest.raises(HarnessError, match="more than the 3 result words"):
        ring.exchange(feeds(3), capacity=3)


@pytest.mark.parametrize("threads", [1, 2])
def test_progress_is_reported_and_may_stop_an_exchange(library: Path, threads: int) -> None:
    calls: list[tuple[int, int]] = []

    def stop(cycles: int, beats: int) -> None:
        calls.append((cycles, beats))
        if len(calls) == 2:
            raise KeyboardInterrupt

    with Ring(library, LANES, 3, threads=threads) as ring:
        with pytest.raises(KeyboardInterrupt):
            ring.exchange(feeds(3, beats=20_000), progress=stop)
        assert calls[0][0] * 2 == calls[1][0]
        assert 0 < calls[0][1] < calls[1][1]
        ring.reset()
        assert [one.beats for one in ring.exchange(feeds(3))] == [BEATS] * 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Links(-1), "latency of a link is 0 to 100,000 cycles, not -1"),
        (lambda: Links(stall=1.0), "The stall of a link is a probability"),
    ],
)
def test_links_that_cannot_be_are_refused(make: Callable[[], Links], message: str) -> None:
    with pytest.raises(TritforgeError, match=message):
        make()


def test_a_memory_that_gives_nothing_is_refused(ring: Ring) -> None:
    with pytest.raises(TritforgeError, match="more than 0 bytes a cycle, not 0"):
        ring.share_memory(0)


@pytest.mark.parametrize(
    "use",
    [
        lambda ring: ring.csr_read(0, ID),
        lambda ring: ring.exchange(feeds(3)),
        lambda ring: ring.idle(1),
        lambda ring: ring.reset(),
        lambda ring: ring.fetch_taps(0),
    ],
)
def test_a_closed_ring_answers_with_a_sentence(library: Path, use: Callable[[Ring], None]) -> None:
    ring = Ring(library, LANES, 3)
    for _ in range(2):
        ring.close()
    with pytest.raises(ValueError, match="was closed; run and read what is needed of it before"):
        use(ring)
