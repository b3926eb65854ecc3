# SPDX-License-Identifier: Apache-2.0
"""LiteDRAM's DDR3 controller with its model of a memory: the text, what a host does to it, a long read."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tritforge.golden import TritforgeError
from tritforge.host.board.ddr3 import Ddr3, Window
from tritforge.host.measure.ddr3 import measure_ddr3
from tritforge.hw.memory.ddr3 import Ddr3Params
from tritforge.rtl_gen.ddr3 import emit
from tritforge.rtl_gen.ddr3.emit import WINDOWS, cached_controller, clean, missing
from tritforge.sim.ddr3.ddr3_unit import ROW_BITS, Ddr3Unit, build_ddr3

extra = pytest.mark.skipif(missing() is not None, reason=missing() or "")
PARAMS = Ddr3Params()


@pytest.fixture
def unit() -> Iterator[Ddr3Unit]:
    made = Ddr3Unit(build_ddr3(PARAMS))
    yield made
    made.close()


def test_without_the_extra_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emit, "PACKAGES", ("litedram_absent",))
    with pytest.raises(TritforgeError, match=r"needs litedram_absent, .*: pip install 'tritforge\[ddr3\]'"):
        cached_controller(PARAMS)


def test_parameters_are_checked() -> None:
    for change in ({"clock_hz": 200_000_000}, {"outstanding": 0}, {"id_bits": 0}):
        with pytest.raises(TritforgeError):
            Ddr3Params(**change)  # type: ignore[arg-type] # one of them


def test_what_differs_from_run_to_run_goes() -> None:
    text = "/* a\nb */\n`timescale 1ns / 1ps\nmodule ddr3 (\n    input  wire   [15:0] ddram_dq,\n"
    text += (
        "    input  wire    [1:0] ddram_dqs_p,\n); // 12:30\nassign a = b;\nassign a = b;\n// 2026-11-30\nendmodule\n"
    )
    cleaned = clean(text, True).splitlines()[2:]
    assert cleaned == [
        "module ddr3 (",
        "    inout  wire   [15:0] ddram_dq,",
        "    inout  wire    [1:0] ddram_dqs_p,",
        ");",
        "assign a = b;",
        "endmodule",
    ]
    with pytest.raises(TritforgeError, match="no longer declares ddram_dq"):
        clean(text.replace("input", "inout"), True)


@extra
@pytest.mark.parametrize("simulated", [False, True])
def test_the_same_controller_is_the_same_text(
    tmp_path: Path, simulated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        # LiteX looks where it runs, too
        monkeypatch.chdir(tmp_path if texts else Path(__file__).parent)
        emit._emit(PARAMS, simulated, tmp_path / name)
        texts.append([file.read_text() for file in sorted((tmp_path / name).iterdir())])
    assert texts[0] == texts[1] and not re.search(r"20\d\d-\d\d|sha1", texts[0][1])


@extra
def test_the_refresh_takes_what_the_chip_needs() -> None:
    emitted = cached_controller(PARAMS)
    # 260 ns of 13.3, and one more at most
    assert 260e-9 * PARAMS.clock_hz <= emitted.description.refresh_cycles <= 260e-9 * PARAMS.clock_hz + 1
    default = cached_controller(replace(PARAMS, chip=replace(PARAMS.chip, t_rfc=None)))
    assert default.description.refresh_cycles == 104
    text = emitted.verilog.read_text()
    assert "DQSBUFM" in text and re.search(r"inout +wire +\[15:0\] ddram_dq,", text)


@extra
def test_a_long_read_gets_its_share_of_the_peak() -> None:
    of_peak, cycles = measure_ddr3(PARAMS)
    assert of_peak >= 0.93, (of_peak, cycles)


@extra
def test_the_port_waits_until_the_host_is_done(unit: Ddr3Unit) -> None:
    with pytest.raises(TimeoutError, match="0 words came"):
        unit.run(0, 4)
    host = Ddr3(unit, cached_controller(PARAMS).description, sleep=unit.sleep)
    host.initialise()
    host.hand_over()
    # the run that waited
    assert len(unit.run(0, 4)[0]) == 4


@extra
def test_the_host_levels_the_simulated_memory(unit: Ddr3Unit) -> None:
    """Each strobe gets the middle of its window, which the host does not know."""
    description = cached_controller(PARAMS).description
    assert cached_controller(PARAMS.with_rows(ROW_BITS), simulated=True).description == description
    host = Ddr3(unit, description, sleep=unit.sleep)
    assert host.start() == [Window(*window) for window in WINDOWS]
    data = np.random.default_rng(1).integers(0, 256, (600, 16), np.uint8)
    unit.fill(100, data)
    assert np.array_equal(unit.run(100, 600)[0], data)
    # a step of one strobe beyond its window
    for _ in range(3):
        host._act(1, "ddrphy_rdly_dq_inc")
    wrong = unit.run(100, 600)[0] != data
    assert wrong[:, ::2].all() and not wrong[:, 1::2].any()
