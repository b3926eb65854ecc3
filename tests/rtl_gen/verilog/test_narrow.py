# SPDX-License-Identifier: Apache-2.0
"""No assignment of the gateware drops bits in silence, and one that did would be found."""

from dataclasses import replace
from pathlib import Path

import pytest
from amaranth.hdl import Const, Fragment, Module, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator, SimulatorContext

from tests.cores import CORES
from tritforge.hw.core import Core
from tritforge.hw.lib.width import cut, minus_one, plus_one
from tritforge.hw.params import PRESETS, CoreParams, preset
from tritforge.rtl_gen.verilog.emit import emit_verilog
from tritforge.rtl_gen.verilog.narrow import narrowings


@pytest.mark.parametrize(
    "params",
    [
        *PRESETS.values(),
        *(replace(params, taps=True) for params in CORES.values()),
        *(preset("edge").override({"batch": str(batch)}) for batch in (2, 8)),
        *(preset("wide").override({"vector_rows": str(rows)}) for rows in (2, 8)),
    ],
    ids=lambda params: (
        f"{params.lanes}-{params.element_bytes}-{params.vector_rows}-{params.batch}-{params.max_vocab}"
    ),
)
def test_no_assignment_drops_bits_in_silence(params: CoreParams) -> None:
    assert narrowings(Fragment.get(Core(params), None)) == []


class Sum(wiring.Component):
    """Results that are too wide, negative, too large for a signed output; and one that fits."""

    a: In(8)
    s: In(signed(8))
    deep: In(1)
    o: Out(8)
    p: Out(9)
    q: Out(signed(9))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        with m.If(self.deep), m.Switch(self.a), m.Case(1):
            m.d.sync += self.o.eq(self.a + 1)
        with m.Else():
            m.d.sync += self.o.eq(self.s)
        m.d.comb += [self.q.eq(self.a + 1), self.p.eq(self.a + 1)]
        return m


def test_an_assignment_that_drops_bits_is_refused(tmp_path: Path) -> None:
    found = {(one.left, one.right) for one in narrowings(Fragment.get(Sum(), None))}
    assert found == {(unsigned(8), unsigned(9)), (unsigned(8), signed(8)), (signed(9), unsigned(9))}
    with pytest.raises(ValueError, match=r"test_narrow\.py:\d+ assigns unsigned\(9\) to unsigned\(8\)"):
        emit_verilog(Sum(), "sum", tmp_path)


def test_what_is_cut_keeps_its_low_bits_and_its_sign() -> None:
    pattern, negative = Const(0b10110, 5), Const(-3, signed(3))
    cases = [
        *((pattern, Signal(3), 6), (pattern, Signal(signed(4)), 6), (pattern, Signal(7), 22)),
        *((negative, Signal(8), 253), (negative, Signal(signed(2)), 1), (negative, Signal(signed(5)), -3)),
    ]
    m = Module()
    for value, output, _ in cases:
        m.d.comb += output.eq(cut(value, output))
    after, before = Signal(2), Signal(2)
    m.d.comb += [after.eq(plus_one(Const(3, 2))), before.eq(minus_one(Const(0, 2)))]

    async def check(context: SimulatorContext) -> None:
        assert [context.get(output) for _, output, _ in cases] == [wanted for *_, wanted in cases]
        assert (context.get(after), context.get(before)) == (0, 3)

    assert [cut(value, output).shape() for value, output, _ in cases] == [output.shape() for _, output, _ in cases]
    simulator = Simulator(m)
    simulator.add_testbench(check)
    simulator.run()
