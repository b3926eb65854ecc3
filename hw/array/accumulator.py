# SPDX-License-Identifier: Apache-2.0
"""Accumulator of one row of the ternary array: the sums of all contexts, and the shadow to read them from."""

from amaranth.hdl import Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from tritforge.hw.array.adder import ConditionalAdder
from tritforge.hw.array.element import sum_bits
from tritforge.hw.params import CoreParams


def accumulator_latency(params: CoreParams) -> int:
    """`Accumulator.latency`."""
    return 1 if params.batch == 1 else 2


class Accumulator(wiring.Component):
    """Adds a row's beats up for each context and keeps the finished sums in a shadow register.

    With a batch of one, the sum is a register that the shadow copies. Otherwise the sums are words of a small
    memory with asynchronous read (look-up tables), and a context's last beat goes to a second one: so the finished
    sums can be read while the next row block accumulates, and a block that is never finished changes none.

    Parameters
    ----------
    params : geometry.

    Attributes
    ----------
    latency : cycles from ``add`` of a row block's last beat to its sum in ``shadow``, by ``load``.
    value, carry : In, two terms of the row's sum of the beat.
    add : In, add the beat. context : In, with it, whose it is.
    clear : In, a cycle before ``add`` of a context's first beat of a row block: it starts from zero.
    last : In, with ``add`` of a context's last beat: its sum is complete.
    load : In, ``latency - 1`` cycles after ``last`` or later (with a batch of one, then only): ``shadow`` takes the
        complete sum of ``load_context``.
    shadow : Out, signed ``params.acc_bits``.
    """

    def __init__(self, params: CoreParams) -> None:
        self._params = params
        self.latency = accumulator_latency(params)
        acc = signed(params.acc_bits)
        super().__init__(
            {
                "value": In(signed(sum_bits(params, params.columns))),
                "carry": In(1),
                "context": In(params.context_bits),
                "clear": In(1),
                "add": In(1),
                "last": In(1),
                "load": In(1),
                "load_context": In(params.context_bits),
                "shadow": Out(acc),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        finished = self._register(m) if self._params.batch == 1 else self._memories(m)
        with m.If(self.load):
            m.d.sync += self.shadow.eq(finished)
        return m

    def _register(self, m: Module) -> Value:
        """The sum of the only context; finished in the cycle of its last beat."""
        accumulator = Signal(self.shadow.shape(), reset_less=True)
        total = self._total(m, accumulator, 1)
        with m.If(self.clear):
            m.d.sync += accumulator.eq(0)
        with m.Elif(self.add):
            m.d.sync += accumulator.eq(total)
        return total

    def _memories(self, m: Module) -> Value:
        """The sums under way and the finished ones, a word a context; the finished sum of ``load_context``."""
        shape, depth = self.shadow.shape(), self._params.batch
        m.submodules.sums = sums = Memory(shape=shape, depth=depth, init=[])
        m.submodules.finished = finished = Memory(shape=shape, depth=depth, init=[])
        read = sums.read_port(domain="comb")
        write = sums.write_port()
        finish = finished.write_port()
        load = finished.read_port(domain="comb")
        clear_d1 = Signal()
        m.d.sync += clear_d1.eq(self.clear)
        total = self._total(m, read.data, ~clear_d1)
        m.d.comb += [
            read.addr.eq(self.context),
            write.addr.eq(self.context),
            write.data.eq(total),
            write.en.eq(self.add),
            finish.addr.eq(self.context),
            finish.data.eq(total),
            finish.en.eq(self.last),
            load.addr.eq(self.load_context),
        ]
        return load.data

    def _total(self, m: Module, accumulated: Value, keep: Value | int) -> Value:
        """The beat's sum, and the accumulated one if it is to be kept."""
        m.submodules.adder = adder = ConditionalAdder(self._params.acc_bits)
        m.d.comb += [
            # inputs beyond the longest row are zero
            adder.a.eq(self.value[: self._params.acc_bits].as_signed()),
            adder.b.eq(accumulated),
            adder.plus.eq(keep),
            adder.minus.eq(0),
            adder.carry.eq(self.carry),
        ]
        return adder.total
