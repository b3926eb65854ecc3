# SPDX-License-Identifier: Apache-2.0
"""The MLGRU state: h += c * (silu(i) - h), one row a cycle."""

from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.numerics import DECAY_FRAC
from hw.ops import delay
from hw.params import CoreParams


class Recurrence(wiring.Component):
    """Keeps the state of all layers and updates it row by row, in the order of the weight stream.

    ``update`` reads the state of the next row; ``decay`` (c, 17 fraction bits) and ``candidate`` (silu(i)) belong
    to that row and are taken one cycle later. ``h``, the new state, is valid ``latency`` cycles after ``update``
    and is written back then. Throughput one row a cycle; a row comes once a token, so there is no hazard.
    ``begin`` returns to the first row. With ``zero`` the old state reads as zero.

    Between tokens the host reaches the memory through ``address``: ``read_data`` follows after one cycle.
    """

    latency = 5

    def __init__(self, core: CoreParams) -> None:
        self._depth = core.max_layers * core.max_hidden
        wide = signed(core.formats.wide_bits)
        super().__init__(
            {
                "begin": In(1),
                "zero": In(1),
                "update": In(1),
                "decay": In(unsigned(DECAY_FRAC)),
                "candidate": In(wide),
                "h": Out(wide),
                "host": In(1),
                "address": In(range(self._depth)),
                "write": In(1),
                "write_data": In(wide),
                "read_data": Out(wide),
            }
        )
        self._wide = wide

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = memory = Memory(shape=self._wide, depth=self._depth, init=[])
        read, write = memory.read_port(), memory.write_port()
        row_read, row_write = Signal(range(self._depth)), Signal(range(self._depth))

        with m.If(self.begin):
            m.d.sync += [row_read.eq(0), row_write.eq(0)]
        with m.Elif(self.update):
            m.d.sync += row_read.eq(row_read + 1)
        m.d.comb += [read.addr.eq(row_read), read.en.eq(1), self.read_data.eq(read.data)]
        with m.If(self.host):
            m.d.comb += read.addr.eq(self.address)

        width = self._wide.width
        old = Signal(self._wide)
        m.d.comb += old.eq(read.data)
        with m.If(self.zero):
            m.d.comb += old.eq(0)
        difference = Signal(signed(width + 1))
        factor = Signal(signed(DECAY_FRAC + 1))
        # modulo 2**width is enough: the new state is a wide value
        product = Signal(signed(width + DECAY_FRAC))
        m.d.sync += [
            difference.eq(self.candidate - old),
            factor.eq(self.decay),
            product.eq(difference * factor),
        ]
        product_2 = delay(m, product, 1, "product")
        kept = delay(m, old, 3, "kept")
        step = (product_2 + (1 << (DECAY_FRAC - 1))) >> DECAY_FRAC
        # a convex combination of two wide values: no saturation
        m.d.sync += self.h.eq(kept + step)

        done = delay(m, self.update & ~self.begin, self.latency, "done")
        with m.If(done & ~self.begin):
            m.d.sync += row_write.eq(row_write + 1)
        m.d.comb += [write.addr.eq(row_write), write.data.eq(self.h), write.en.eq(done)]
        with m.If(self.host):
            m.d.comb += [write.addr.eq(self.address), write.data.eq(self.write_data), write.en.eq(self.write)]
        return m
