# SPDX-License-Identifier: Apache-2.0
"""The compiled harness and the cocotb runner, on the loop-back core."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.loopback import (
    HOLD,
    ID,
    IDENTITY,
    SCRATCH,
    TAP_OP_ACC,
    TAP_OP_WIDE,
    Loopback,
    fold,
    random_packet,
    tapped,
    trace_word,
)
from tritforge.golden import TritforgeError
from tritforge.rtl_gen.cache.folder import cache_folder
from tritforge.rtl_gen.tools.build import BuildError, cached_build
from tritforge.rtl_gen.tools.toolchain import ToolMissing, toolchain_env
from tritforge.rtl_gen.verilog.emit import emit_verilog
from tritforge.sim.activity import read_saif
from tritforge.sim.build_harness import build_harness
from tritforge.sim.cocotb_run import CocotbFailure, run_cocotb
from tritforge.sim.harness import Harness
from tritforge.sim.native import HarnessError, HarnessTimeout

LENGTHS = (1, 2, 37, 300)


@pytest.fixture(scope="module", params=[4, 8, 16, 256])
def lanes(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(scope="module")
def rows(lanes: int) -> int:
    """Rows of the debug ports, so that each of their widths in C++ occurs: 1, 2, 4 and 64."""
    return lanes // 4


@pytest.fixture(scope="module")
def library(lanes: int, rows: int, tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = emit_verilog(Loopback(lanes, rows=rows), "loopback", tmp_path_factory.mktemp("verilog"))
    return build_harness(files, "loopback", lanes, taps=True)


@pytest.fixture
def harness(library: Path, lanes: int) -> Iterator[Harness]:
    with Harness(library, lanes) as harness:
        yield harness


@pytest.mark.parametrize(
    "use",
    [
        lambda harness: harness.csr_read(ID),
        lambda harness: harness.csr_write(SCRATCH, 1),
        lambda harness: harness.exchange([]),
        lambda harness: harness.bare([], 1),
        lambda harness: harness.idle(1),
        lambda harness: harness.reset(),
        lambda harness: harness.record_taps(),
        lambda harness: harness.fetch_taps(),
        lambda harness: harness.fetch_trace(),
    ],
)
def test_a_closed_core_answers_with_a_sentence(library: Path, lanes: int, use: Callable[[Harness], None]) -> None:
    """Where the library would read freed memory."""
    harness = Harness(library, lanes)
    for _ in range(2):
        harness.close()
    with pytest.raises(ValueError, match="was closed; run and read what is needed of it before"):
        use(harness)


@pytest.mark.parametrize("stalls", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.3, 0.7)])
def test_packets_return(harness: Harness, lanes: int, stalls: tuple[float, float]) -> None:
    for length in LENGTHS:
        packet = random_packet(length, lanes)
        parts = [packet[: lanes * (length // 2)], packet[lanes * (length // 2) :]]
        result = harness.exchange(parts, in_stall=stalls[0], out_stall=stalls[1], seed=length)
        assert np.array_equal(result.words, fold(packet, lanes))
        assert result.beats == length
        assert result.cycles >= 2 * length


def test_stalls_follow_the_seed(harness: Harness, lanes: int) -> None:
    packet = random_packet(200, lanes)
    cycles = [harness.exchange([packet], in_stall=0.5, out_stall=0.5, seed=seed).cycles for seed in (1, 1, 2)]
    assert cycles[0] == cycles[1] != cycles[2]


@pytest.mark.parametrize("interval", [2, 5])
def test_a_memory_delivers_a_beat_every_so_many_cycles(harness: Harness, lanes: int, interval: int) -> None:
    packet = random_packet(100, lanes)
    slow = harness.exchange([packet], interval=interval)
    assert np.array_equal(slow.words, fold(packet, lanes))
    # the loop-back takes a beat every second cycle, so nothing gathers; its last word comes three cycles later
    assert slow.cycles == 100 * interval + 3


def test_a_memory_buffers_sixteen_beats(harness: Harness, lanes: int) -> None:
    """What a core does not take at once waits for it, up to 16 beats."""
    packet = random_packet(100, lanes)
    stalled = {n: harness.exchange([packet], interval=n, out_stall=0.9, seed=3).cycles for n in (1, 2)}
    assert stalled[1] <= stalled[2] < stalled[1] + 100


def test_a_packet_may_take_several_exchanges(harness: Harness, lanes: int) -> None:
    packet = random_packet(3, lanes)
    first = harness.exchange([packet[:lanes]], last=False, expect_result=False)
    rest = harness.exchange([packet[lanes:]])
    assert first.words.size == 0
    assert np.array_equal(rest.words, fold(packet, lanes))


def test_a_stuck_core_is_reported(harness: Harness, lanes: int) -> None:
    harness.csr_write(HOLD, 1)
    with pytest.raises(HarnessTimeout, match=r"no progress for 50 cycles, after 0 of 2 beats"):
        harness.exchange([random_packet(2, lanes)], max_idle_cycles=50)
    harness.reset()
    assert harness.exchange([random_packet(2, lanes)]).beats == 2


def test_too_many_words_are_reported(harness: Harness, lanes: int) -> None:
    with pytest.raises(HarnessError, match="more than the 3 result words"):
        harness.exchange([random_packet(4, lanes)], capacity=3)


def test_registers(harness: Harness) -> None:
    assert harness.csr_read(ID) == IDENTITY
    harness.csr_write(SCRATCH, 0x89ABCDEF)
    assert harness.csr_read(SCRATCH) == 0x89ABCDEF
    with pytest.raises(HarnessError, match="read of register 0x100 with an error"):
        harness.csr_read(0x100)
    with pytest.raises(HarnessError, match="write to register 0x0 with an error"):
        harness.csr_write(ID, 1)


def test_taps_are_recorded_in_order(harness: Harness, lanes: int, rows: int) -> None:
    packet = random_packet(20, lanes)
    harness.exchange([packet])
    harness.record_taps()
    harness.exchange([packet], in_stall=0.5)
    harness.record_taps(False)
    harness.exchange([packet])
    taps = harness.fetch_taps()
    wanted = [value for word in fold(packet, lanes).tolist() for value in tapped(word, rows)]
    assert len(wanted) > 4 and len(taps) == 2 * len(wanted)
    for kind_and_op in (0 << 4 | TAP_OP_ACC, 1 << 4 | TAP_OP_WIDE):
        assert taps[taps[:, 0] == kind_and_op, 1].tolist() == wanted
    assert harness.fetch_taps().shape == (0, 2)


def test_the_trace_holds_every_cycle_by_its_changes(harness: Harness, lanes: int) -> None:
    harness.reset()
    before = harness.exchange([random_packet(5, lanes)]).cycles
    harness.record_trace()
    during = harness.exchange([random_packet(100, lanes)], in_stall=0.3).cycles
    harness.idle(30)
    trace = harness.fetch_trace()
    assert trace.cycles == during + 30
    has = np.repeat(trace.words, np.diff(trace.starts, append=np.uint64(trace.cycles)).astype(int))
    assert has.tolist() == [trace_word(cycle) for cycle in range(before, before + trace.cycles)]
    assert trace.starts[0] == 0 and np.all(np.diff(trace.words) != 0)
    harness.record_trace(False)
    harness.idle(100)
    assert harness.fetch_trace().cycles == trace.cycles
    harness.record_trace()
    assert harness.fetch_trace().cycles == harness.fetch_trace().starts.size == 0


def test_activity_is_what_a_counter_does(tmp_path: Path) -> None:
    """From a value with ones on: a bit that is 1 at first has not changed before, and one that stays 1 never does."""
    lanes = 4
    files = emit_verilog(Loopback(lanes), "loopback", tmp_path / "rtl")
    library = build_harness(files, "loopback", lanes, activity=True)
    before, cycles, path = 0b1011011, 50, tmp_path / "activity.saif"
    harness = Harness(library, lanes)
    for _ in range(2):  # a second record begins anew
        harness.reset()
        harness.idle(before)
        with harness.activity(path):
            harness.idle(cycles)
        found = read_saif(path, "loopback")
        values = np.arange(before, before + cycles + 1)
        for bit in range(10):
            ones = values >> bit & 1
            assert found[f"cycle[{bit}]"] == (np.abs(np.diff(ones)).sum() / cycles, ones[:-1].sum() / cycles), bit
    harness.close()


def test_the_bare_loop_does_what_an_exchange_does(harness: Harness, lanes: int) -> None:
    packet = random_packet(50, lanes)
    parts = [packet[:lanes], packet[lanes:]]
    cycles = harness.exchange(parts).cycles
    done = harness.bare(parts, cycles - 1)
    assert (done.cycles, done.beats) == (cycles - 1, 50) and done.seconds > 0
    assert np.array_equal(harness.exchange([]).words, fold(packet, lanes)[-1:])
    assert harness.bare(parts, 2).beats == 1
    with pytest.raises(TritforgeError, match="contiguous uint8 array of whole"):
        harness.bare([packet[1:]], 1)


def test_progress_is_reported_and_may_stop_an_exchange(harness: Harness, lanes: int) -> None:
    calls: list[tuple[int, int]] = []

    def stop(cycles: int, beats: int) -> None:
        calls.append((cycles, beats))
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        harness.exchange([random_packet(60_000, lanes)], progress=stop)
    assert calls[0][0] * 2 == calls[1][0]
    assert calls[0][1] < calls[1][1]


@pytest.mark.parametrize("segment", [np.zeros(6, np.uint8), np.zeros(64, np.int8), np.zeros(128, np.uint8)[::2]])
def test_bad_segments_are_refused(harness: Harness, segment: np.ndarray) -> None:
    with pytest.raises(TritforgeError, match="contiguous uint8 array of whole"):
        harness.exchange([segment])


def test_a_bad_interval_is_refused(harness: Harness, lanes: int) -> None:
    with pytest.raises(TritforgeError, match="interval between beats is 1 or more cycles, not 0"):
        harness.exchange([random_packet(1, lanes)], interval=0)


def test_a_bad_probability_is_refused(harness: Harness) -> None:
    with pytest.raises(TritforgeError, match="out_stall is a probability"):
        harness.exchange([], out_stall=1.0)


def test_a_second_build_is_the_first(library: Path, lanes: int, rows: int, tmp_path: Path) -> None:
    lines: list[str] = []
    files = emit_verilog(Loopback(lanes, rows=rows), "loopback", tmp_path)
    assert build_harness(files, "loopback", lanes, taps=True, status=lines.append) == library
    assert lines == []


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "broken.v"
    source.write_text("module broken(input clk); nonsense\nendmodule\n")
    with pytest.raises(BuildError, match=r"(?s)'verilator_bin' failed.*broken\.v"):
        build_harness([source], "broken", 4)
    with cached_build("harness", "probe", [str(tmp_path)], []) as folder:
        assert folder.fresh
        parent = folder.final.parent
    assert not [path for path in parent.glob("broken-*") if path.is_dir()]


def test_missing_compiler_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ToolMissing, match=r"^Simulation needs 'g\+\+', which is not installed: .*$"):
        toolchain_env({"PATH": str(tmp_path)})


def test_builds_call_the_running_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The python3 on PATH may be of another version."""
    (tmp_path / "python3").write_text("#!/bin/sh\necho SRE module mismatch >&2\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    cache = tmp_path / "cache"
    cache.mkdir()
    # nothing is built yet but Verilator's own objects, which are the same for all
    for kept in cache_folder().glob("cocotb-runtime-*"):
        (cache / kept.name).symlink_to(kept)
    monkeypatch.setenv("TRITFORGE_CACHE", str(cache))
    parameters = {"lanes": 4, "in_stall": 0.0, "out_stall": 0.0, "lengths": LENGTHS[:1]}
    assert run_cocotb(Loopback(4), "loopback", "tests.cocotb_loopback", parameters)


def test_cocotb_sees_the_same_data() -> None:
    parameters = {"lanes": 16, "in_stall": 0.3, "out_stall": 0.5, "lengths": LENGTHS[:3]}
    passed = run_cocotb(Loopback(16), "loopback", "tests.cocotb_loopback", parameters)
    assert passed == ["packets_return", "registers_hold"]


@pytest.mark.parametrize(
    ("testcase", "message"),
    [("fails", r"(?s)tests.cocotb_loopback' failed: fails;.*as asked"), ("missing", "No cocotb test of")],
)
def test_cocotb_failures_are_reported(testcase: str, message: str) -> None:
    with pytest.raises(CocotbFailure, match=message):
        run_cocotb(Loopback(16), "loopback", "tests.cocotb_loopback", {"fail": True}, testcase=testcase)
