# SPDX-License-Identifier: Apache-2.0
"""Small components that exercise the Verilog emission."""

from amaranth.hdl import Array, Cat, Elaboratable, Module, Mux, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from tritforge.hw.lib.width import cut


class Accumulator(wiring.Component):
    """Adds 0, the activation or its negative, as two bits of the byte say; the other six are unused."""

    byte: In(8)
    activation: In(signed(8))
    enable: In(1)
    clear: In(1)
    total: Out(signed(20))

    def __init__(self, *, clearable: bool = True) -> None:
        super().__init__()
        self._clearable = clearable

    def elaborate(self, platform: object) -> Module:
        m = Module()
        term = Signal(signed(9))
        with m.Switch(self.byte[:2]):
            with m.Case(1):
                m.d.comb += term.eq(self.activation)
            with m.Case(2):
                m.d.comb += term.eq(-self.activation)
        with m.If(self.clear & self._clearable):
            m.d.sync += self.total.eq(term)
        with m.Elif(self.enable):
            m.d.sync += self.total.eq(cut(self.total + term, self.total))
        return m


class Pipe(wiring.Component):
    """One register that asks to stay a module of its own."""

    rtl_attributes = {"keep_hierarchy": 1}  # noqa: RUF012

    i: In(8)
    o: Out(8)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += self.o.eq(self.i)
        return m


class Bank(wiring.Component):
    """Equal accumulators and, if asked for, an unequal one of the same class."""

    def __init__(self, count: int, *, odd_one: bool = False) -> None:
        self._count, self._odd_one = count, odd_one
        ports = {"bytes": In(8 * count), "activation": In(signed(8)), "enable": In(1), "clear": In(1)}
        super().__init__({**ports, "select": In(range(count)), "total": Out(signed(20)), "level": Out(4)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.pipe = pipe = Pipe()
        m.d.comb += pipe.i.eq(self.activation.as_unsigned())
        units = [Accumulator(clearable=not (self._odd_one and index == 1)) for index in range(self._count)]
        for index, unit in enumerate(units):
            m.submodules[f"unit_{index}"] = unit
            m.d.comb += [
                unit.byte.eq(self.bytes.word_select(index, 8)),
                unit.activation.eq(pipe.o.as_signed()),
                unit.enable.eq(self.enable),
                unit.clear.eq(self.clear),
            ]
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=20, depth=9)
        m.d.comb += [
            fifo.w_data.eq(Array([unit.total for unit in units])[self.select].as_unsigned()),
            fifo.w_en.eq(self.enable),
            fifo.r_en.eq(self.clear),
            self.total.eq(fifo.r_data.as_signed()),
            self.level.eq(fifo.level),
        ]
        return m


class Arithmetic(wiring.Component):
    """Every operator, at widths that make Verilog's rules for extension and signs matter."""

    a: In(unsigned(11))
    b: In(unsigned(5))
    s: In(signed(9))
    t: In(signed(4))
    o: Out(unsigned(302))
    memory: Out(signed(12))
    state: Out(unsigned(7))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        a, b, s, t = self.a, self.b, self.s, self.t
        narrow_sum, product, inserted = Signal(6), Signal(signed(7)), Signal(11)
        m.d.comb += [
            narrow_sum.eq(cut(a + b + s, narrow_sum)),
            product.eq(cut(s * t, product)),
            inserted.eq(a),
            inserted.bit_select(b[:3], 3).eq(t[:3]),
            self.o.eq(
                Cat(
                    *(a + b, a - b, a + s, s - t, s - a, -s, -b, ~t, a * b, s * t, a * t),
                    *(a & b, a | s, s ^ t, a & t),
                    *(a == b, s == t, a == t, a != s, a < b, s < t, a < s, s >= a, t <= b),
                    *(a << b[:2], s << b[:2], a >> b[:3], s >> b[:3], s.shift_right(3), a.rotate_left(4)),
                    *(a.any(), a.all(), a.xor(), s.bool(), ~b.any(), abs(s)),
                    *(a.bit_select(b[:3], 3), a.word_select(b[:2], 3), Mux(t < 0, s, a), Mux(s, b, t)),
                    *(narrow_sum, product, inserted),
                )
            ),
        ]
        self._add_memory(m)
        self._add_states(m)
        return m

    def _add_memory(self, m: Module) -> None:
        """A masked write port, a transparent read port and a table read at the read data."""
        m.submodules.store = store = Memory(shape=12, depth=32, init=range(0, 4096, 128))
        write = store.write_port(granularity=4)
        read = store.read_port(transparent_for=(write,))
        m.submodules.table = table = Memory(shape=signed(12), depth=16, init=[-i * i for i in range(16)])
        look_up = table.read_port(domain="comb")
        m.d.comb += [
            *(write.addr.eq(self.b), write.data.eq(self.a), write.en.eq(self.t[:3])),
            *(read.addr.eq(self.s[:5]), read.en.eq(~self.t[3]), look_up.addr.eq(read.data[:4])),
        ]
        m.d.sync += self.memory.eq(cut(look_up.data + read.data, self.memory))

    def _add_states(self, m: Module) -> None:
        with m.FSM():
            for name, following in (("FIRST", "SECOND"), ("SECOND", "THIRD"), ("THIRD", "FIRST")):
                with m.State(name), m.If(self.a[0]):
                    m.next = following
                    m.d.sync += self.state.eq(cut(self.state + self.b, self.state))
        with m.Switch(self.a[4:8]):
            with m.Case("1--0"):
                m.d.sync += self.state[0].eq(1)
            with m.Case("0-11", "0000"):
                m.d.sync += self.state.eq(~self.state)
            with m.Default(), m.If(self.t == -8):
                m.d.sync += self.state.eq(0)


class Trespasser(wiring.Component):
    """Reads a signal inside another unit."""

    o: Out(8)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.inner = inner = Leaky()
        m.d.comb += self.o.eq(inner.hidden)
        return m


class Leaky(wiring.Component):
    """Has a register that is no port."""

    i: In(8)

    def __init__(self) -> None:
        super().__init__()
        self.hidden = Signal(8)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += self.hidden.eq(self.i)
        return m


class Wrapped(Elaboratable):
    """A plain elaboratable between two components."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.pipe = self.pipe
        return m
