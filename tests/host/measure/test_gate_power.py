# SPDX-License-Identifier: Apache-2.0
"""Power at the gates: the activity of every net, and what it costs in a library that one can reckon with."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.checkpoints import random_checkpoint
from tests.command_line import invoke
from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.model.formats import Formats
from tritforge.golden.model.quantise import IntegerCheckpoint
from tritforge.golden.studies.redrawn import Redrawn, zero_share
from tritforge.host.cli.power import ARRAY
from tritforge.host.measure.gate_power import Token
from tritforge.rtl_gen.synthesis.cells import Gates, inverter, map_cells
from tritforge.rtl_gen.synthesis.sta import KNOWN, Power, power
from tritforge.rtl_gen.synthesis.synth import SynthError
from tritforge.sim.activity import Activity, first_of, read_saif

PERIOD = 10.0
CYCLE = 1e9 / PERIOD
"""Cycles a second."""
FLOP, GATE = 1e-12, 0.5e-12
"""J that a flip-flop's clock takes a cycle, and a NAND's first input a change while the second is high."""
VOLTS, NAND_INPUT, FLOP_INPUT = 2.0, 0.02e-12, 0.04e-12
needs_sta = pytest.mark.skipif(
    not (shutil.which("sta") or shutil.which("opensta")), reason="OpenSTA is not installed: apt-get install opensta"
)


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Gates:
    """A flip-flop in one unit; a NAND of it and an input with a flip-flop behind, in another."""
    folder = tmp_path_factory.mktemp("pair")
    sources = {
        "pair": "module pair(input clk, input a, output q); wire t;"
        " flip first(.clk(clk), .d(a), .q(t)); gate second(.clk(clk), .a(t), .b(a), .q(q)); endmodule",
        "flip": "module flip(input clk, input d, output reg q); always @(posedge clk) q <= d; endmodule",
        "gate": "module gate(input clk, input a, input b, output reg q);"
        " always @(posedge clk) q <= ~(a & b); endmodule",
    }
    for name, text in sources.items():
        (folder / f"{name}.v").write_text(text + "\n")
    return map_cells([folder / f"{name}.v" for name in sources], "pair", KNOWN, PERIOD)


def test_a_design_becomes_cells_unit_by_unit(pair: Gates):
    cells = json.loads(pair.flat.read_text())["modules"]["pair"]["cells"]
    kinds = sorted((name.partition(".")[0], cell["type"]) for name, cell in cells.items() if "$" not in cell["type"])
    assert kinds == [("first", "DFF"), ("second", "DFF"), ("second", "NAND")]
    assert {"module pair", "module flip", "module gate"} <= {
        line.partition("(")[0] for line in pair.netlist.read_text().splitlines()
    }


@needs_sta
def test_every_change_costs_what_the_library_says(pair: Gates):
    nets = {"a": (0.3, 0.25), "t": (0.4, 0.5), "q": (0.9, 0.5)}
    inner = (0.7, 0.5)

    def activity(name: str) -> tuple[float, float]:
        return {"first.d": nets["a"], "second.b": nets["a"], "first.q": nets["t"]}.get(name) or nets.get(name, inner)

    drawn = power(pair, KNOWN, "clk", PERIOD, activity)
    half = VOLTS**2 / 2 * CYCLE
    first, second = drawn["first"], drawn["second"]
    assert first.switching == pytest.approx(0.4 * NAND_INPUT * half, rel=1e-6)
    assert second.switching == pytest.approx(0.7 * FLOP_INPUT * half, rel=1e-6)
    assert first.internal == pytest.approx(FLOP * CYCLE, rel=1e-6)
    # the NAND passes on what its first input does while the second is high
    assert second.internal == pytest.approx((FLOP + 0.4 * 0.25 * GATE) * CYCLE, rel=1e-6)
    assert first.leakage == pytest.approx(4e-9, rel=1e-6)
    assert second.leakage == pytest.approx(6e-9, rel=1e-6)
    # a flip-flop of area 6, a NAND of 2
    assert (first.gates, second.gates) == (3.0, 4.0)


@needs_sta
def test_cells_may_give_energy_back(pair: Gates, tmp_path: Path):
    """As some libraries say of some changes, where their capacitances count too much."""
    library = tmp_path / "back.lib"
    library.write_text(KNOWN.read_text().replace('"0.7"', '"-0.7"').replace('"0.3"', '"-0.3"'))
    drawn = power(pair, library, "clk", PERIOD, lambda name: (0.4, 0.25))
    assert drawn["second"].internal == pytest.approx(-(FLOP + 0.4 * 0.25 * GATE) * CYCLE, rel=1e-6)


@needs_sta
def test_pins_that_are_tied_never_change(tmp_path: Path):
    """Two NANDs with an input of 1 and two with one of 0."""
    directions = {"A": "input", "B": "input", "Y": "output"}
    cells = {
        f"tied{bit}.{index}": {
            "type": "NAND",
            "port_directions": directions,
            "connections": {"A": [3], "B": [bit], "Y": [10 + 2 * index + int(bit)]},
        }
        for bit in "01"
        for index in (0, 1)
    }
    nets = {"clk": [2], "a": [3]} | {f"y{bit}": [bit] for bit in range(10, 14)}
    names = {name: {"bits": bits} for name, bits in nets.items()}
    flat = tmp_path / "flat.json"
    module = {"ports": {"clk": {"bits": [2]}}, "cells": cells, "netnames": names}
    flat.write_text(json.dumps({"modules": {"top": module}}))
    drawn = power(Gates("top", flat, flat, flat), KNOWN, "clk", PERIOD, lambda name: (0.3, 0.5))
    assert drawn["tied1"].internal == pytest.approx(2 * 0.3 * GATE * CYCLE, rel=1e-6)
    assert drawn["tied0"].internal == 0 and drawn["tied0"].gates == 2


@needs_sta
def test_a_net_without_activity_is_named(pair: Gates):
    with pytest.raises(SynthError, match="says nothing about the net"):
        power(pair, KNOWN, "clk", PERIOD, lambda name: None)


@pytest.mark.parametrize("cells", ["cell(DFF) { area : 1; }", "\n  cell() { area : 1; }"])
def test_a_library_without_inverter_is_refused(cells: str, tmp_path: Path):
    library = tmp_path / "none.lib"
    library.write_text(f"library(none) {{ {cells} }}\n")
    with pytest.raises(TritforgeError, match="no inverter"):
        map_cells([], "pair", library, PERIOD)


def test_an_inverter_is_found_by_its_function(tmp_path: Path):
    """Functions of a cell that is switched off do not count, as some libraries have them beside."""
    library = tmp_path / "one.lib"
    cell = 'cell ("{}") {{ area : {}; pin ("Y") {{ function : "{}"; power_down_function : "(!VPWR + VGND)"; }} }}\n'
    cells = [("nand2_1", 1, "(!A) | (!B)"), ("buf_1", 2, "(A)"), ("inv_8", 9, "(!A)"), ("inv_1", 1, "(!A)")]
    library.write_text("library(one) {\n" + "".join(cell.format(*c) for c in [*cells, ("inv_2", 3, "!A")]) + "}\n")
    assert inverter(library) == "inv_2"


@pytest.mark.parametrize(
    ("prefix", "attribute"), [("cheap_", "dont_use : true;"), ("cheap_", 'dont_use : "true";'), ("lpflow_", "")]
)
def test_cells_that_are_not_to_be_used_are_not(prefix: str, attribute: str, tmp_path: Path):
    """A library has each cell a second time, a hundred times smaller and first in the file."""
    library, design = tmp_path / "twice.lib", tmp_path / "pair.v"
    design.write_text(
        "module pair(input clk, a, b, output reg q, output y); assign y = ~a;"
        " always @(posedge clk) q <= ~(a & b); endmodule\n"
    )
    head, *cells = KNOWN.read_text().rstrip().removesuffix("}").split("  cell(")
    cheap = [re.sub(r"area : (\d);", rf"area : 0.0\1;\n    {attribute}", f"{prefix}{cell}") for cell in cells]
    library.write_text("  cell(".join([head, *cheap, *cells]) + "}\n")
    assert inverter(library) == "INV"
    flat = json.loads(map_cells([design], "pair", library, PERIOD).flat.read_text())
    used = {cell["type"] for cell in flat["modules"]["pair"]["cells"].values()}
    assert used == {"NAND", "INV", "DFF"}


SAIF = r"""(SAIFILE
(DURATION 8)
 (INSTANCE TOP
  (NET
   (clk (T0 0) (T1 8) (TZ 0) (TX 0) (TB 0) (TC 1))
  )
  (INSTANCE top
   (NET
    (q\[0\] (T0 8) (T1 0) (TZ 0) (TX 0) (TB 0) (TC 0))
    (q\[1\] (T0 2) (T1 6) (TZ 0) (TX 0) (TB 0) (TC 5))
   )
   (INSTANCE unit.of
    (NET
     (_12_ (T0 4) (T1 4) (TZ 0) (TX 0) (TB 0) (TC 8))
    )
    (INSTANCE cell
    )
   )
   (INSTANCE other
    (NET
     (x (T0 4) (T1 4) (TZ 0) (TX 0) (TB 0) (TC 2))
    )
   )
  )
 )
)
"""


def test_saif_is_read_by_the_names_of_the_flat_netlist(tmp_path: Path):
    file = tmp_path / "x.saif"
    file.write_text(SAIF)
    # q[1] was 1 at first, and so was the clock
    beginning = re.sub(r"\(TC \d+\)", "(TC 0)", re.sub(r"\(T[01] \d+\)", "(T0 0)", SAIF))
    beginning = re.sub(r"\(T0 0\) \(T0 0\)", "(T0 0) (T1 0)", beginning).replace("(DURATION 8)", "(DURATION 0)")
    first_of(file).write_text(re.sub(r"(q\\\[1\\\] .*)\(TC 0\)", r"\1(TC 1)", beginning))
    assert read_saif(file, "top") == {
        "q[0]": Activity(0.0, 0.0),
        "q[1]": Activity(4 / 8, 6 / 8),
        "unit.of._12_": Activity(1.0, 0.5),
        "other.x": Activity(0.25, 0.5),
    }
    with pytest.raises(TritforgeError, match="tells nothing about core"):
        read_saif(file, "core")


def test_saturations_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model, drawn = random_checkpoint(tmp_path / "model"), {ARRAY: Power()}
    token = Token(zeros=0.3, cycles=10, beats=8, units=drawn, idle=drawn, saturations=7)
    monkeypatch.setattr("tritforge.host.measure.gate_power.measure", lambda *_, **__: {"model": token})
    result = invoke("power", str(model), "--liberty", str(KNOWN), "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["data"]["model"]["saturations"] == 7 and told["warnings"][0].startswith("7 results were too large")


def test_redrawn_changes_the_trits_alone(tmp_path: Path):
    source = IntegerCheckpoint(Checkpoint(random_checkpoint(tmp_path, tokenizer=False)), Formats())
    sparse = Redrawn(source, 0.9)
    assert zero_share(sparse) == pytest.approx(0.9, abs=0.01)
    for index in range(source.config.layers):
        ours, theirs = sparse.layer(index), source.layer(index)
        for name, norm in ours.norms.items():
            assert np.array_equal(norm.gains, theirs.norms[name].gains)
        assert np.array_equal(ours.omega, theirs.omega)
        for name, matrix in ours.matrices.items():
            assert (matrix.mantissa, matrix.exponent) == (
                theirs.matrices[name].mantissa,
                theirs.matrices[name].exponent,
            )
            assert matrix.trits.shape == theirs.matrices[name].trits.shape
            assert set(np.unique(matrix.trits).tolist()) == {-1, 0, 1}
            assert not np.array_equal(matrix.trits, theirs.matrices[name].trits)
