# SPDX-License-Identifier: Apache-2.0
"""Modelled memories: the shares of their peaks that were measured elsewhere, and what a core behind them sees."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cores import CORES, packed
from tests.loopback import Loopback, fold, random_packet
from tritforge.golden import TritforgeError
from tritforge.host.run.backends import CoreBackend
from tritforge.rtl_gen.verilog.emit import emit_verilog
from tritforge.sim.build_harness import build_harness
from tritforge.sim.harness import Harness
from tritforge.sim.memory_models import CROSSING, MEMORIES, AttachedMemory, MemoryModel
from tritforge.sim.simulator import SimTransport

LANES = 16


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = emit_verilog(Loopback(LANES, rows=4), "loopback", tmp_path_factory.mktemp("verilog"))
    return build_harness(files, "loopback", LANES, taps=True)


@pytest.fixture
def harness(library: Path) -> Iterator[Harness]:
    with Harness(library, LANES) as harness:
        yield harness


def share(harness: Harness, memory: MemoryModel, beats: int = 300_000) -> float:
    """Of the peak, of a reader at the memory's own pace: a burst of all channels in each beat of its clock."""
    timing = memory.timing(memory.mhz / memory.burst)
    return beats / harness.read_endlessly(timing, memory.burst_bytes * memory.channels, beats)


@pytest.mark.parametrize("name", [name for name, memory in MEMORIES.items() if memory.measured])
def test_a_sequential_reader_gets_the_share_that_was_measured(harness: Harness, name: str) -> None:
    memory = MEMORIES[name]
    assert memory.measured and share(harness, memory) == pytest.approx(memory.measured.share, rel=0.01)


OTHERS: dict[str, tuple[str, dict[str, Any], float]] = {
    "a prototype that refreshes one by one, 100 MHz": ("sdr-100x16", {"refreshes": 1}, 0.9856),
    "143 MHz": ("sdr-143x16", {"refreshes": 1}, 0.9845),
    "LiteDRAM without refresh": ("sdr-100x16-litedram", {"refi": 1e12}, 0.985),
    "8 outstanding": ("sdr-100x16-litedram", {"depth": 8, "crossing": 0}, 0.968),
    "4 outstanding": ("sdr-100x16-litedram", {"depth": 4, "crossing": 0}, 0.558),
    "1 outstanding": ("sdr-100x16-litedram", {"depth": 1, "crossing": 0}, 0.140),
    "DDR3, refreshes of 520 ns": ("ddr3-800x16", {"rfc": 520}, 0.866),
    "DDR3, 16 outstanding": ("ddr3-800x16", {"depth": 16, "crossing": 0}, 0.895),
    "DDR3 1:2, refreshes of 1,387 ns": ("ddr3-600x16", {"rfc": 1387}, 0.7998),
    "DDR3 1:2 at 48 MHz": ("ddr3-600x16", {"mhz": 48, "rfc": 110}, 0.9548),
}
"""The same parameters under other conditions that were measured."""


@pytest.mark.parametrize("condition", OTHERS)
def test_the_fitted_parameter_holds_under_other_conditions(harness: Harness, condition: str) -> None:
    name, changes, measured = OTHERS[condition]
    assert share(harness, replace(MEMORIES[name], **changes)) == pytest.approx(measured, rel=0.01)


def test_few_reads_under_way_are_slow(harness: Harness) -> None:
    """0.60 was measured; the latency is one of whole clocks."""
    few = replace(MEMORIES["ddr3-800x16"], depth=8, crossing=0)
    assert share(harness, few) == pytest.approx(0.60, rel=0.04)


def test_channels_share_the_work_and_do_not_wait_for_each_other(harness: Harness) -> None:
    one, four = MEMORIES["hbm2-1pc"], MEMORIES["hbm2-4pc"]
    assert four.peak == 4 * one.peak
    assert share(harness, four) == pytest.approx(share(harness, one), rel=0.005)
    # with room for few beats one that refreshes holds up the others
    assert share(harness, replace(four, depth=100)) < 0.8


def test_the_first_beat_comes_after_row_data_and_latency(harness: Harness) -> None:
    memory = MemoryModel(
        mhz=100,
        burst=2,
        burst_bytes=32,
        row_bytes=1024,
        banks=4,
        cas=30,
        rcd=20,
        rp=20,
        ras=50,
        rrd=10,
        refi=1e9,
        rfc=100,
        latency=70,
        row=5,
    )
    # asked for in the first cycle; the row is open after 2, data begin after 3, end after 2, arrive after 7
    first = 1 + 2 + 3 + 2 + 7 + CROSSING
    assert harness.read_endlessly(memory.timing(100), 32, 1) == first
    # the second beat of a burst comes with it, the next burst two cycles later
    assert [harness.read_endlessly(memory.timing(100), 16, n) for n in (1, 2, 3, 4)] == [
        first,
        first + 1,
        first + 2,
        first + 3,
    ]
    assert harness.read_endlessly(memory.timing(100), 64, 1) == first + 2
    # 32 bursts a row, and 5 clocks more before the first of the next
    assert [harness.read_endlessly(memory.timing(100), 32, n) - first for n in (32, 33)] == [62, 64 + 5]
    # the core's clock is three times as fast
    slow = harness.read_endlessly(replace(memory, crossing=0).timing(300), 32, 1)
    assert slow in (3 * 15, 3 * 15 + 1)


def test_a_bank_is_closed_before_it_is_opened_again(harness: Harness) -> None:
    """Rows of one burst in one bank: each is open for tRAS and closed for tRP."""
    memory = replace(MEMORIES["sdr-100x16"], banks=1, row_bytes=16, ras=200, refi=1e9)
    cycles = [harness.read_endlessly(memory.timing(100), 16, n) for n in (10, 11)]
    assert cycles[1] - cycles[0] == 20 + 2
    # of two banks it is that of the other one that counts
    both = replace(memory, banks=2, rrd=150)
    cycles = [harness.read_endlessly(both.timing(100), 16, n) for n in (10, 12)]
    assert cycles[1] - cycles[0] == 15 + 15
    assert cycles[0] == harness.read_endlessly(replace(both, ras=270).timing(100), 16, 10)


def test_a_core_gets_the_same_words_later(harness: Harness) -> None:
    packet = random_packet(3000, LANES)
    plain = harness.exchange([packet])
    memory = MEMORIES["sdr-100x16"]
    harness.attach(memory.timing(100))
    parts = [packet[: 40 * LANES], packet[40 * LANES :]]
    behind = harness.exchange(parts)
    assert np.array_equal(behind.words, plain.words) and np.array_equal(plain.words, fold(packet, LANES))
    assert behind.cycles > 8 * 3000 > plain.cycles
    # until the first request
    assert harness.memory_waited() <= 2
    harness.attach(None)
    assert harness.exchange([packet]).cycles == plain.cycles


def test_each_run_begins_with_a_row(harness: Harness) -> None:
    packet = random_packet(3000, LANES)
    harness.attach(replace(MEMORIES["sdr-100x16"], row=50, refi=1e9).timing(100))
    whole, parts = [packet], [packet[: 40 * LANES], packet[40 * LANES :]]
    _, whole_cycles, parts_cycles = (harness.exchange(segments).cycles for segments in (whole, whole, parts))
    # 47 rows at once; a row of which 40 beats are used and 47
    assert parts_cycles - whole_cycles == 50


def test_time_goes_on_between_packets(harness: Harness) -> None:
    """A refresh comes when it is due, in whatever packet."""
    memory = replace(MEMORIES["sdr-100x16"], refi=100_000, refreshes=1, rfc=30_000)
    harness.attach(memory.timing(100))
    cycles = [harness.exchange([random_packet(300, LANES)]).cycles for _ in range(12)]
    assert [one > min(cycles) + 2900 for one in cycles].count(True) == 3


def test_a_memory_waits_for_a_slow_core(harness: Harness) -> None:
    """The loop-back takes a beat every second cycle; the ring fills, and then the memory has nothing to do."""
    harness.attach(replace(MEMORIES["ddr4-2400x64"], depth=32).timing(300))
    done = harness.exchange([random_packet(2000, LANES)])
    assert 4000 < done.cycles < 4200
    # a burst is four beats; the pins are busy in 500 clocks, and refreshes and rows take some
    assert 4000 - 500 - 200 < harness.memory_waited() < 4200 - 500


def test_a_core_says_the_same_behind_a_memory(tmp_path: Path) -> None:
    params, ids = CORES["16x2"], np.arange(1, 5)
    image = packed(params, tmp_path)
    outputs, cycles = [], []
    for memory in (None, AttachedMemory("sdr-100x16", 100)):
        with SimTransport(params, memory=memory) as transport:
            backend = CoreBackend(transport, image)
            outputs.append(backend.run(ids))
            cycles.append(transport.cycles)
            if memory:
                counters, use, beats = backend.counters(), transport.memory_use(), transport.beats
            else:
                with pytest.raises(ValueError, match="No memory is attached"):
                    transport.memory_use()
    assert np.array_equal(outputs[0].integers.raw, outputs[1].integers.raw)
    assert cycles[1] > 1.5 * cycles[0] and counters.beats == beats
    assert use.share_of_peak == pytest.approx(8 * beats / cycles[1]) and 0.8 < use.share_of_peak < 0.99
    assert use.gigabytes_per_second == pytest.approx(0.2 * use.share_of_peak)
    lost = 1 - use.share_of_peak - use.waited
    assert 0 < lost < 0.03 and 0.001 < use.waited < 0.01


def test_what_a_memory_refuses() -> None:
    with pytest.raises(TritforgeError, match=r"A memory is sdr-100x16, .*, not 'ddr5'"):
        AttachedMemory("ddr5", 100)
    with pytest.raises(TritforgeError, match="above 0 MHz, not 0"):
        AttachedMemory("ddr4-2400x64", 0)


def test_peaks() -> None:
    peaks = {name: memory.peak / 1e9 for name, memory in MEMORIES.items()}
    assert peaks["ddr4-2400x64"] == pytest.approx(19.2) and peaks["sdr-100x16"] == pytest.approx(0.2)
    assert peaks["hbm2-1pc"] == pytest.approx(14.4) and peaks["lpddr4-3200x32"] == pytest.approx(12.8)
