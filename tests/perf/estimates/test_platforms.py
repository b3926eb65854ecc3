# SPDX-License-Identifier: Apache-2.0
"""What platforms say of memories and boards is what was simulated, and what is built."""

import json
import tomllib
from dataclasses import replace

import pytest

from tests.command_line import ask, call, refuse
from tritforge.golden import TritforgeError
from tritforge.host.board.session import BAUD
from tritforge.host.run.models import TALES, Model
from tritforge.hw.board.boards import BOARDS
from tritforge.hw.board.layout import place, sizes
from tritforge.hw.board.sdram_side import SdramSide
from tritforge.hw.params import preset
from tritforge.hw.schedule import Shape
from tritforge.perf.estimates.estimate import Limit, estimate, sized
from tritforge.perf.estimates.platform import FOLDER, names, platform
from tritforge.perf.estimates.port import port
from tritforge.perf.estimates.survey import shape
from tritforge.perf.estimates.work import work
from tritforge.perf.figure import Figure, Tag
from tritforge.perf.pages import tables_boards
from tritforge.sim.memory_models import MEMORIES

EDGE = preset("edge")
ULX3S = platform("ulx3s-85f")
NO_ROOM = Shape(1024, 8, 2816, 8192)
"""Whose records the small board has no room for."""


def test_shares_are_those_that_the_memories_models_are_held_to() -> None:
    taken = {}
    for name in names():
        achieved = tomllib.loads((FOLDER / f"{name}.toml").read_text())["memory"]["achieved"]
        if "memory" in achieved:
            found, model = platform(name).memory.achieved, MEMORIES[achieved["memory"]].measured
            assert model is not None and found.value == model.share and found.source.startswith(model.source)
            assert found.tag is (Tag.SIMULATED if model.simulated else Tag.MEASURED)
            taken[name] = achieved["memory"]
    assert len(taken) >= 6 and taken["ecpix5-85f"] == taken["ecp5-85f"] == "ddr3-600x16"


def test_ddr3_on_ecp5_runs_at_four_times_the_controller() -> None:
    """Two bytes each time: 370M is 8.1 tokens/s at 75 MHz, more at 100, or as the ECPIX-5's machine is routed."""
    for name, most in (("ecp5-85f", 10.8), ("ecpix5-85f", 9.1)):
        rate = estimate(shape("370M"), EDGE, platform(name)).rate
        assert (round(rate.nominal, 1), round(rate.high, 1)) == (8.1, most)
        assert rate.nominal == pytest.approx(4 * 2 * 75e6 * 0.941 / work(EDGE, shape("370M")).stream, rel=0.01)


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_is_what_is_built(name: str) -> None:
    there, identity = platform(name), BOARDS[name].identity
    assert there.memory.size is not None and there.line is not None and there.clock is not None
    assert there.memory.size.value * 1e6 == pytest.approx(identity.memory_bytes)
    assert there.clock.value * 1e6 == identity.clock_hz
    assert there.line.baud.value == BOARDS[name].baud == BAUD


def test_the_small_board_s_memory_is_its_chip() -> None:
    """Whole tokens get less of it than a long run, which is in the model of the memory."""
    side, memory = BOARDS["ulx3s-85f"].memory, ULX3S.memory
    assert isinstance(side, SdramSide)
    assert memory.peak.value * 1e9 == side.chip.dq_bits // 8 * BOARDS["ulx3s-85f"].clock_hz
    run = MEMORIES["sdr-143x16"].measured
    assert run is not None and memory.achieved.value < memory.achieved.high == run.share


def test_what_has_room_is_what_the_board_is_loaded_with() -> None:
    assert ULX3S.memory.size is not None
    for layers in range(2, 30):
        model = Shape(512, layers, 1408, 8192)
        found = estimate(model, sized(EDGE, model), ULX3S)
        if found.fits:
            where = place(found.params, model, 1 << 25)
            assert (where.records is None) == (found.line is not None)
            assert found.megabytes * 1e6 == 16 * sizes(found.params, model).least_beats
        else:
            with pytest.raises(TritforgeError, match="MB and the board has"):
                place(found.params, model, 1 << 25)
    assert not estimate(shape("370M"), EDGE, ULX3S).fits


def test_a_body_that_a_machine_cannot_count_does_not_fit() -> None:
    model = shape("1.3B")
    params = sized(EDGE, model)
    there = platform("ecpix5-85f")
    assert estimate(model, params, there).occupied["longest run"] > 1 and not estimate(model, params, there).fits
    assert estimate(model, params, platform("ecp5-85f")).fits


def test_without_records_the_host_sends_each_token() -> None:
    params = sized(EDGE, NO_ROOM)
    found, sent = estimate(NO_ROOM, params, ULX3S), estimate(NO_ROOM, params, ULX3S, by_host=True)
    assert found.line == sent.line is not None and found.rate == sent.rate
    larger = ULX3S.memory.model_copy(update={"size": ULX3S.memory.size.model_copy(update={"value": 100})})
    alone = estimate(NO_ROOM, params, ULX3S.model_copy(update={"memory": larger}))
    assert alone.line is None and alone.seconds + sent.line == sent.seconds


def test_time_at_the_port() -> None:
    """By hand: a record of tales is 1,120 bytes, in two frames."""
    model = tables_boards.TALES
    found = port(EDGE, model)
    out = (12 + 1024) + (12 + 96) + 12 + (12 + 64) + (12 + 4) + 12 + 12
    answers = 8 + (6 + 4 + 4) + 8 + 8 + (6 + 4 + 4) + (6 + 32 + 4)
    assert (found.pushed, found.waited) == (16, out + answers + 16) and found.sent == found.waited + 8
    sent = estimate(model, EDGE, ULX3S, by_host=True)
    assert sent.line is not None and sent.line.nominal == pytest.approx(10 * found.waited / 3e6 + 6 * 2e-3)
    assert sent.limit is Limit.LINE and sent.rate.nominal < estimate(model, EDGE, ULX3S).rate.nominal / 4
    assert sent.phases["line"] == pytest.approx(sent.line.nominal * 137.5e6)
    assert sum(sent.phases.values()) == pytest.approx(sent.seconds.nominal * 137.5e6)
    # an answer that takes longer than a frame holds up the frames of a record too
    assert port(EDGE, NO_ROOM).most_turns == 5 + 3 and found.most_turns == 5 + 1
    assert estimate(shape("370M"), EDGE, platform("ecpix5-85f"), by_host=True).limit is Limit.MEMORY


def test_several_contexts_are_sent_by_the_host() -> None:
    params, model = replace(EDGE, batch=2), tables_boards.TALES
    assert ULX3S.line is not None and estimate(model, params, ULX3S).line is None
    assert estimate(model, params, ULX3S, 2).line == port(params, model, 2).seconds(ULX3S.line)


def test_energy_goes_on_while_the_line_is_waited_for() -> None:
    alone, sent = (estimate(tables_boards.TALES, EDGE, ULX3S, by_host=by_host) for by_host in (False, True))
    assert sent.energy["control"].nominal > alone.energy["control"].nominal
    assert sent.energy["DRAM interface"] == alone.energy["DRAM interface"]


def test_a_simulated_figure_is_as_sure_as_a_measured_one() -> None:
    simulated, measured = Figure.exact(2, Tag.SIMULATED), Figure.exact(3, Tag.MEASURED)
    assert (simulated * measured).tag is (simulated + simulated).tag is Tag.DERIVED
    assert (simulated * Figure.exact(1, Tag.ASSUMED)).tag is Tag.PROJECTED


def test_the_shipped_model_of_the_tables() -> None:
    assert Shape.of(Model(TALES).config) == tables_boards.TALES


def test_the_command_tells_of_the_port() -> None:
    said = ask("estimate", "256,7,704,1024", "--platform", "ulx3s-85f")
    found = estimate(tables_boards.TALES, EDGE, ULX3S, by_host=True)
    assert said["by_itself"] and said["bytes_pushed"] == 16 and said["limit"] == "memory"
    assert said["by_host"]["tokens_per_second"]["nominal"] == found.rate.nominal
    assert said["by_host"]["limit"] == "line" and said["by_host"]["bytes_sent"] == found.port.sent
    table = call("estimate", ",".join(map(str, (1024, 8, 2816, 8192))), "--platform", "ulx3s-85f")
    for words in ("MB of records", "no room", "bytes a token on the line", "tokens sent by the host: bytes"):
        assert words in table
    assert "by_host" not in json.loads(call("estimate", "370M", "--json")) and "MB of" not in call("estimate", "370M")
    refuse("A shape is", "estimate", "1,2,3")
    with pytest.raises(TritforgeError, match="has no line to a host"):
        estimate(shape("370M"), replace(EDGE), platform("kv260"), by_host=True)
