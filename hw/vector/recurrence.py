# SPDX-License-Identifier: Apache-2.0
"""The MLGRU state: h += c * (silu(i) - h), one row group a cycle."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tritforge.golden.model.formats import DECAY_FRAC
from tritforge.hw.lib.multiplier import Multiplier
from tritforge.hw.lib.pipeline import delay
from tritforge.hw.lib.ram import Ram
from tritforge.hw.lib.width import cut
from tritforge.hw.operations import RECURRENCE_CYCLES
from tritforge.hw.params import CoreParams


class StateWindow(wiring.Signature):
    """The state as the host sees it, value by value, between packets.

    Attributes
    ----------
    host : Out, the memory belongs to the host; the others mean nothing otherwise.
    address : Out, number of a value: word ``address // V``, row ``address % V``.
    write, write_data : Out, same cycle. read_data : In, its owner says how many cycles after its address.
    """

    def __init__(self, params: CoreParams) -> None:
        wide = signed(params.formats.wide_bits)
        super().__init__(
            {
                "host": Out(1),
                "address": Out(range(params.batch * params.slot_values)),
                "write": Out(1),
                "write_data": Out(wide),
                "read_data": In(wide),
            }
        )


class Recurrence(wiring.Component):
    """Keeps the state of all slots and layers, V = ``params.vector_rows`` values a word, and updates it word by word.

    ``update`` reads a word, whose number comes a cycle before it; ``decay`` (c) and ``candidate`` (silu(i)) belong to
    it and are taken ``operand_latency`` cycles later. ``h``, the new state, is valid ``latency`` cycles after
    ``update`` and is written back in the cycle after that, in the rows of ``update``; so an update of the same word
    may follow latency + 3 cycles later. Throughput one word a cycle.

    While nothing is updated the host reaches single values through ``state``, whose ``read_data`` follows ``address``
    by ``read_latency`` cycles; a value can be read three cycles after its write.

    Parameters
    ----------
    params : limits, rows and widths.

    Attributes
    ----------
    latency : cycles from ``update`` to ``h``.
    operand_latency : cycles from ``update`` to its operands.
    read_latency : cycles from an address to the word.
    words : of the memory.
    update : In, mask of rows. word : In, which, a cycle before. zero : In, the old state reads as zero.
    decay : In, for each row, unsigned with 17 fraction bits. candidate : In, wide.
    h : Out, wide, for each row.
    state : In, for the host.
    """

    latency = RECURRENCE_CYCLES - 2
    read_latency = Ram.registered_latency + 2
    operand_latency = Ram.registered_latency + 2

    def __init__(self, params: CoreParams) -> None:
        self._rows = rows = params.vector_rows
        self._wide = wide = signed(params.formats.wide_bits)
        self.words = params.batch * params.slot_values // rows
        super().__init__(
            {
                "update": In(rows),
                "word": In(range(self.words)),
                "zero": In(1),
                "decay": In(data.ArrayLayout(DECAY_FRAC, rows)),
                "candidate": In(data.ArrayLayout(wide, rows)),
                "h": Out(data.ArrayLayout(wide, rows)),
                "state": In(StateWindow(params)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = memory = Ram(self._wide, self._rows, self.words, registered=True)
        bits = (self._rows - 1).bit_length()
        row, host_word = self.state.address[:bits], self.state.address[bits:]
        # the host's or the recurrence's, a cycle before the memory takes it
        word = Signal.like(self.word, name="word_held", reset_less=True)
        m.d.sync += word.eq(Mux(self.state.host, host_word, self.word))
        updated = delay(m, self.update, self.latency, "updated")
        written = delay(m, word, self.latency, "written", reset_less=True)
        write = Signal(self._rows)
        write_word = Signal.like(self.word, reset_less=True)
        write_data = Signal.like(self.h, reset_less=True)
        m.d.sync += [
            write.eq(Mux(self.state.host, self.state.write << row, updated)),
            write_word.eq(Mux(self.state.host, host_word, written)),
        ]
        m.d.sync += [
            write_data[i].eq(Mux(self.state.host, self.state.write_data, self.h[i])) for i in range(self._rows)
        ]
        # behind the choice of a bank
        read = delay(m, memory.read_data, 1, "read", reset_less=True)
        m.d.comb += [
            memory.read_address.eq(word),
            memory.write.eq(write),
            memory.write_address.eq(write_word),
            memory.write_data.eq(write_data),
            self.state.read_data.eq(Array(read)[delay(m, row, self.read_latency, "row", reset_less=True)]),
        ]

        zero = delay(m, self.zero, Ram.registered_latency + 1, "zero", reset_less=True)
        for index in range(self._rows):
            old = Signal(self._wide, name=f"old_{index}", reset_less=True)
            m.d.sync += old.eq(Mux(zero, 0, read[index]))
            m.submodules[f"step_{index}"] = multiplier = Multiplier(
                signed(self._wide.width + 1), unsigned(DECAY_FRAC)
            )
            difference = Signal(signed(self._wide.width + 1), name=f"difference_{index}", reset_less=True)
            m.d.sync += difference.eq(self.candidate[index] - old)
            m.d.comb += [
                multiplier.a.eq(difference),
                multiplier.b.eq(delay(m, self.decay[index], 1, f"decay_{index}", reset_less=True)),
            ]
            kept = delay(m, old, 1 + multiplier.latency, f"kept_{index}", reset_less=True)
            # a convex combination of two wide values: no saturation; half of the last bit comes in as a carry
            half = multiplier.product[DECAY_FRAC - 1]
            change = Cat(half, multiplier.product[DECAY_FRAC:])
            h = Signal(self._wide, name=f"new_{index}", reset_less=True)
            m.d.sync += h.eq(cut((Cat(half, kept) + change)[1:], h))
            m.d.comb += self.h[index].eq(h)
        return m
