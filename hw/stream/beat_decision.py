# SPDX-License-Identifier: Apache-2.0
"""What the stream front decides in the cycle in which a beat comes."""

from typing import ClassVar

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class BeatDecision(wiring.Component):
    """What follows at once from a beat that is accepted; a table each, in a module of its own, or synthesis
    would make chains of them.

    Attributes
    ----------
    valid, ready : In, of the stream.
    last : In, the next beat is its run's last.
    run_valid : In, there is a run.
    wrap, release : In, flags of the run.
    accepted, ends : Out, a beat is accepted, the run ends with it.
    loads : Out, the next run moves up.
    wraps, released : Out, the run ends and has the flag.
    """

    rtl_attributes: ClassVar = {"keep_hierarchy": 1}

    def __init__(self) -> None:
        inputs = ("valid", "ready", "last", "run_valid", "wrap", "release")
        outputs = ("accepted", "ends", "loads", "wraps", "released")
        super().__init__(dict.fromkeys(inputs, In(1)) | dict.fromkeys(outputs, Out(1)))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ends = self.valid & self.ready & self.last
        m.d.comb += [
            self.accepted.eq(self.valid & self.ready),
            self.ends.eq(ends),
            self.loads.eq(ends | ~self.run_valid),
            self.wraps.eq(ends & self.wrap),
            self.released.eq(ends & self.release),
        ]
        return m
