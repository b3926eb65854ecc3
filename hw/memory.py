# SPDX-License-Identifier: Apache-2.0
"""Memory with one write and one read port, cut up so that block RAM may register what it reads."""

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

BANK = 1 << 14
"""Words that a block of RAM has at most: more need a choice between blocks."""


class Ram(wiring.Component):
    """Words of one or more elements; free running reads, without reset.

    A register follows each bank, so that block RAM can use its own; beyond ``BANK`` words, the bank is chosen behind
    the registers. What a read gives that meets a write of its word is undefined, or synthesis would add what makes it
    defined.

    Parameters
    ----------
    shape : of an element.
    elements : in a word, written one by one.
    depth : words.

    Attributes
    ----------
    latency : cycles from ``read_address`` to ``read_data``. A word can be read from the cycle after its write on.
    read_address : In. read_data : Out, elements.
    write : In, mask of elements. write_address : In. write_data : In, elements.
    """

    latency = 2

    def __init__(self, shape: object, elements: int, depth: int) -> None:
        self._depth, self._word = depth, data.ArrayLayout(shape, elements)
        address = unsigned(max(1, (depth - 1).bit_length()))
        super().__init__(
            {
                "read_address": In(address),
                "read_data": Out(self._word),
                "write": In(elements),
                "write_address": In(address),
                "write_data": In(self._word),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        first_bits = (min(self._depth, BANK) - 1).bit_length()
        banks: list[Value] = []
        for index, start in enumerate(range(0, self._depth, BANK)):
            bank = Memory(shape=self._word, depth=min(BANK, self._depth - start), init=[], attrs={"no_rw_check": 1})
            m.submodules[f"bank_{index}"] = bank
            read, write = bank.read_port(), bank.write_port(granularity=1)
            m.d.comb += [
                read.en.eq(1),
                read.addr.eq(self.read_address[:first_bits]),
                write.addr.eq(self.write_address[:first_bits]),
                write.data.eq(self.write_data),
                write.en.eq(Mux(self.write_address[first_bits:] == index, self.write, 0)),
            ]
            # of the width of the word alone: nothing may come between block RAM and its register
            held = Signal(self._word, name=f"read_{index}", reset_less=True)
            m.d.sync += held.eq(read.data)
            banks.append(held.as_value())
        chosen = banks[0]
        if len(banks) > 1:
            bank = self.read_address[first_bits:]
            for stage in range(self.latency):
                held = Signal(len(bank), name=f"chosen_{stage}", reset_less=True)
                m.d.sync += held.eq(bank)
                bank = held
            for index, word in enumerate(banks[1:], 1):
                chosen = Mux(bank == index, word, chosen)
        m.d.comb += self.read_data.as_value().eq(chosen)
        return m
