# SPDX-License-Identifier: Apache-2.0
"""The emitted Verilog: its modules, its ports, its lint and its behaviour."""

import random
import re
from pathlib import Path

import pytest
from amaranth.hdl import Cat, DomainRenamer, Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator, SimulatorContext

from tests.cores import CORES
from tests.loopback import Loopback
from tests.rtl_samples import Accumulator, Arithmetic, Bank, Pipe, Trespasser, Wrapped
from tritforge.hw.lib.width import plus_one
from tritforge.rtl_gen.verilog import netlist
from tritforge.rtl_gen.verilog.cached import cached_verilog
from tritforge.rtl_gen.verilog.emit import emit_verilog
from tritforge.rtl_gen.verilog.lint import LintError, lint
from tritforge.sim.cocotb_run import CocotbFailure, run_cocotb

SAMPLES = {
    "bank": lambda: Bank(5),
    "odd_bank": lambda: Bank(4, odd_one=True),
    "arithmetic": Arithmetic,
    "loopback": lambda: Loopback(16),
}


def test_equal_units_share_a_module(tmp_path: Path) -> None:
    files = emit_verilog(Bank(64), "bank", tmp_path)
    names = [file.name for file in files]
    assert sorted(names[:-1]) == ["bank_accumulator.v", "bank_fifo.v", "bank_pipe.v"]
    assert names[-1] == "bank.v"
    assert files[-1].read_text().count("\n  bank_accumulator unit_") == 64
    assert (tmp_path / "bank.f").read_text().split() == names


def test_unequal_units_of_a_class_have_names_of_their_own(tmp_path: Path) -> None:
    files = emit_verilog(Bank(4, odd_one=True), "bank", tmp_path)
    accumulators = {file.stem for file in files if "accumulator" in file.name}
    assert accumulators == {"bank_accumulator_unit_0", "bank_accumulator_unit_1"}
    top = files[-1].read_text()
    assert re.findall(r"bank_accumulator_unit_(\d) (\w+)", top) == [
        *(("0", "unit_0"), ("1", "unit_1"), ("0", "unit_2"), ("0", "unit_3"))
    ]


def test_ports_are_those_of_the_signature(tmp_path: Path) -> None:
    component = Loopback(16)
    text = emit_verilog(component, "core", tmp_path)[-1].read_text()
    ports = {
        (name, flow, int(high or 0) + 1)
        for flow, high, name in re.findall(r"^  (input|output) (?:\[(\d+):0\] )?\\?(\w+) ?;", text, re.M)
    }
    expected = {
        (name, "input" if member.flow == In else "output", Value.cast(getattr(component, name)).shape().width)
        for name, member in component.signature.members.items()
    }
    assert ports == expected | {("clk", "input", 1), ("rst", "input", 1)}


@pytest.mark.parametrize("core", CORES)
def test_every_signal_of_a_core_has_a_name(core: str) -> None:
    """Amaranth reads names from bytecode: in tuples it sees some or none, as the version of Python has it."""
    text = "\n".join(path.read_text() for path in cached_verilog(CORES[core]))
    assert not re.findall(r"\b_(?:signal|signature)(?:_\w+)?\b", text)


def test_units_keep_ports_they_do_not_use(tmp_path: Path) -> None:
    emit_verilog(Bank(2), "bank", tmp_path)
    text = (tmp_path / "bank_accumulator.v").read_text()
    assert "input [7:0] \\byte ;" in text
    assert "assign unused = & \\byte [7:2];" in text


@pytest.mark.parametrize("sample", SAMPLES)
def test_output_is_deterministic_and_self_contained(sample: str, tmp_path: Path) -> None:
    texts = []
    for run in ("first", "second"):
        files = emit_verilog(SAMPLES[sample](), sample, tmp_path / run)
        texts.append([(file.name, file.read_text()) for file in files])
        assert sorted(path.name for path in (tmp_path / run).iterdir()) == sorted(
            [*(file.name for file in files), f"{sample}.f"]
        )
    assert texts[0] == texts[1]
    assert not re.search(r"src =|\.py|/work|/home|\$auto|\\\$", str(texts[0]))


def test_synthesis_attributes_are_kept(tmp_path: Path) -> None:
    emit_verilog(Bank(2), "bank", tmp_path)
    assert re.search(r"\(\* keep_hierarchy = +1 +\*\)\nmodule bank_pipe\(", (tmp_path / "bank_pipe.v").read_text())


def test_a_module_between_two_with_attributes_is_emitted(tmp_path: Path) -> None:
    class Inverter(wiring.Component):
        i: In(8)
        o: Out(8)

        def elaborate(self, platform: object) -> Module:
            m = Module()
            m.d.sync += self.o.eq(~self.i)
            return m

    class Plain(Inverter):
        pass

    class Early(Inverter):
        rtl_attributes = Pipe.rtl_attributes

        def elaborate(self, platform: object) -> Module:
            m = Module()
            m.d.sync += self.o.eq(plus_one(self.i))
            return m

    class Top(Inverter):
        def elaborate(self, platform: object) -> Module:
            m = Module()
            value = self.i
            for name, unit in (("early", Early()), ("plain", Plain()), ("wide", Pipe())):
                m.submodules[name] = unit
                m.d.comb += unit.i.eq(value)
                value = unit.o
            m.d.comb += self.o.eq(value)
            return m

    files = emit_verilog(Top(), "top", tmp_path)
    assert {file.stem for file in files} == {"top_early", "top_pipe", "top_plain", "top"}


@pytest.mark.parametrize("sample", SAMPLES)
def test_lint_is_clean(sample: str, tmp_path: Path) -> None:
    lint(emit_verilog(SAMPLES[sample](), sample, tmp_path), sample)


def test_lint_finds_mistakes(tmp_path: Path) -> None:
    source = tmp_path / "narrow.v"
    source.write_text("module narrow(input [3:0] a, output [1:0] y);\n  assign y = a;\nendmodule\n")
    with pytest.raises(LintError, match=r"(?s)'narrow' does not pass.*WIDTHTRUNC.*UNUSEDSIGNAL"):
        lint([source], "narrow")


class _Loop(wiring.Component):
    """A combinational loop through two units, which only the lint can see."""

    o: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.one, m.submodules.two = one, two = _Inverter(), _Inverter()
        m.d.comb += [one.i.eq(two.o), two.i.eq(one.o), self.o.eq(one.o)]
        return m


class _Inverter(wiring.Component):
    i: In(1)
    o: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.o.eq(~self.i)
        return m


def test_lint_finds_a_mistake_of_the_component(tmp_path: Path) -> None:
    with pytest.raises(LintError, match="UNOPTFLAT"):
        lint(emit_verilog(_Loop(), "loop", tmp_path), "loop")


def test_reading_past_the_ports_is_refused(tmp_path: Path) -> None:
    message = r"'trespasser' reads the signal 'hidden' of 'trespasser\.inner', which is not one of its ports"
    with pytest.raises(ValueError, match=message):
        emit_verilog(Trespasser(), "trespasser", tmp_path)


def test_an_input_that_nothing_drives_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'half\.pipe' has the input 'i', which nothing drives"):
        emit_verilog(_HalfConnected(), "half", tmp_path)


def test_so_is_that_of_a_unit_of_which_another_is_connected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'pair\.second' has the input 'i', which nothing drives"):
        emit_verilog(_Pair(), "pair", tmp_path)


class _Pair(wiring.Component):
    i: In(1)
    o: Out(2)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.first, m.submodules.second = pair = _Inverter(), _Inverter()
        m.d.comb += [pair[0].i.eq(self.i), self.o.eq(Cat(pair[0].o, pair[1].o))]
        return m


def test_units_alike_but_for_what_they_are_made_with_are_not_one(tmp_path: Path) -> None:
    """Their values tell them apart; alike ones are one."""
    files = emit_verilog(_Unlike(), "unlike", tmp_path)
    assert sorted(file.stem for file in files if "added" in file.stem) == [
        "unlike__added_four",
        "unlike__added_seven",
        "unlike__added_three",
    ]


class _Added(wiring.Component):
    def __init__(self, *summands: int) -> None:
        self._summands = summands
        super().__init__({"i": In(8), "o": Out(8)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.o.eq((self.i + sum(self._summands))[:8])
        return m


class _Unlike(wiring.Component):
    i: In(8)
    o: Out(8)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        units = {"three": _Added(3), "four": _Added(4), "seven": _Added(3, 4), "again": _Added(3)}
        value = self.i
        for name, unit in units.items():
            m.submodules[name] = unit
            m.d.comb += unit.i.eq(value)
            value = unit.o
        m.d.comb += self.o.eq(value)
        return m


class _HalfConnected(wiring.Component):
    o: Out(8)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.pipe = pipe = Pipe()
        m.d.comb += self.o.eq(pipe.o)
        return m


class _Renamed(wiring.Component):
    o: Out(8)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.pipe = DomainRenamer("other")(Pipe())
        return m


def test_another_clock_domain_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'renamed\.pipe' needs 'other_clk', but only the clock domain 'sync'"):
        emit_verilog(_Renamed(), "renamed", tmp_path)


class _Wrapping(wiring.Component):
    i: In(8)
    o: Out(8)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pipe = Pipe()
        m.submodules.wrapped = Wrapped(pipe)
        m.d.comb += [pipe.i.eq(self.i), self.o.eq(pipe.o)]
        return m


def test_a_plain_elaboratable_is_part_of_its_unit(tmp_path: Path) -> None:
    files = emit_verilog(_Wrapping(), "outer", tmp_path)
    assert {file.stem for file in files} == {"outer", "outer_wrapped", "outer_pipe"}
    lint(files, "outer")


def _record(component: wiring.Component, cycles: int) -> list[dict[str, dict[str, int]]]:
    """Random inputs and the outputs Amaranth's own simulator gives after each clock edge."""
    members = component.signature.members.items()
    inputs = {name: Value.cast(getattr(component, name)) for name, member in members if member.flow == In}
    outputs = {name: Value.cast(getattr(component, name)) for name, member in members if member.flow == Out}
    trace = []
    rng = random.Random(1)

    async def bench(ctx: SimulatorContext) -> None:
        for _ in range(cycles):
            given = {name: rng.getrandbits(len(value)) for name, value in inputs.items()}
            for name, value in given.items():
                ctx.set(inputs[name].as_unsigned(), value)
            await ctx.tick()
            seen = {name: ctx.get(value.as_unsigned()) for name, value in outputs.items()}
            trace.append({"inputs": given, "outputs": seen})

    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return trace


@pytest.mark.parametrize("sample", SAMPLES)
def test_verilog_does_what_the_component_does(sample: str) -> None:
    cycles = _record(SAMPLES[sample](), 400)
    run_cocotb(SAMPLES[sample](), sample, "tests.cocotb_replay", {"cycles": cycles})


def test_a_wrong_trace_is_noticed() -> None:
    cycles = _record(SAMPLES["arithmetic"](), 20)
    cycles[19]["outputs"]["o"] ^= 1 << 77
    with pytest.raises(CocotbFailure, match="cycle 19"):
        run_cocotb(SAMPLES["arithmetic"](), "arithmetic", "tests.cocotb_replay", {"cycles": cycles})


def test_accumulator_alone(tmp_path: Path) -> None:
    """A unit can be the top itself."""
    files = emit_verilog(Accumulator(), "alone", tmp_path)
    assert [file.name for file in files] == ["alone.v"]
    lint(files, "alone")


@pytest.mark.parametrize("line", ["parameter", "parameter \\WIDTH", "process $1", "memory width 8 \\m"])
def test_a_line_that_is_no_netlist_is_named(line: str):
    with pytest.raises(ValueError, match="Not a netlist line"):
        netlist.parse(f"module \\top\ncell $add $1\n{line}\nend\nend\n")
