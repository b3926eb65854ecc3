# SPDX-License-Identifier: Apache-2.0
"""What joins the units: interfaces that come late, ports at the edge, and errors where a wire is wrong."""

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect
from amaranth.sim import Simulator, SimulatorContext

from tritforge.hw.core import BUSES, Core
from tritforge.hw.lib.interfaces import AxiStream, Edge, delayed
from tritforge.hw.params import preset

CYCLES = 2
LINK = wiring.Signature({"asked": Out(8), "at_once": Out(8), "answer": In(8)})


class Ends(wiring.Component):
    """Two ends of a link, whose ``asked`` and ``answer`` come late."""

    near: In(LINK)
    far: Out(LINK)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        late = delayed(m, wiring.flipped(self.near), "late", CYCLES, ("asked", "answer"), reset_less=("answer",))
        connect(m, late, wiring.flipped(self.far))
        return m


def test_members_come_late_in_their_own_direction() -> None:
    ends = Ends()

    async def bench(context: SimulatorContext) -> None:
        for cycle in range(20):
            for port, value in ((ends.near.asked, 3), (ends.near.at_once, 5), (ends.far.answer, 7)):
                context.set(port, value * cycle)
            before = max(0, cycle - CYCLES)
            found = [context.get(port) for port in (ends.far.asked, ends.far.at_once, ends.near.answer)]
            assert found == [3 * before, 5 * cycle, 7 * before], cycle
            await context.tick()

    simulator = Simulator(ends)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def test_a_misspelt_member_is_an_error() -> None:
    with pytest.raises(AssertionError, match=r"no members \{'aksed'\}"):
        delayed(Module(), LINK.create(), "late", members=("aksed",))
    with pytest.raises(wiring.ConnectionError, match="is present in"):
        connect(Module(), LINK.create(), wiring.Signature({"asked": In(8), "at_once": In(8)}).create())


def test_ports_at_the_edge_have_the_names_of_axi() -> None:
    edge = Edge("s_axis", AxiStream(16).flip())
    assert {name: member.flow for name, member in edge.ports.items()} == {
        "s_axis_tdata": In,
        "s_axis_tvalid": In,
        "s_axis_tready": Out,
        "s_axis_tlast": In,
    }
    ports = Core(preset("tiny")).signature.members
    assert [name for name in ports if not name.startswith(tuple(f"{bus}_" for bus in BUSES))] == []
    assert len(ports) == 4 + 4 + 19
