# SPDX-License-Identifier: Apache-2.0
"""Memory with one write and one read port, cut up so that block RAM may register what it reads."""

from collections.abc import Iterator
from functools import reduce
from operator import or_
from typing import ClassVar

from amaranth.hdl import Cat, Module, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from tritforge.hw.lib.pipeline import delay
from tritforge.hw.lib.width import cut

BANK = 1 << 13
"""Words that a bank has at most: more need a choice between blocks."""
BLOCK = 1 << 14
"""Bits of a block without parity."""
TOGETHER = 4
"""Blocks that share the registers in front of them, at most."""


def _ports(word: data.ArrayLayout, depth: int) -> dict[str, wiring.Member]:
    address = unsigned(max(1, (depth - 1).bit_length()))
    return {
        "read_address": In(address),
        "read_data": Out(word),
        "write": In(word.length),
        "write_address": In(address),
        "write_data": In(word),
    }


class RegisteredBank(wiring.Component):
    """Blocks with registers of their own for all that goes into them, and one behind what they read.

    Blocks are where they are, and those of a large memory, or of many small ones, are far apart. A module of its own,
    or synthesis would merge the registers of banks that get the same. The ports are those of `Ram`.
    """

    rtl_attributes: ClassVar = {"keep_hierarchy": 1}

    def __init__(self, word: data.ArrayLayout, depth: int) -> None:
        self._word, self._depth = word, depth
        super().__init__(_ports(word, depth))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        write = delay(m, self.write, 1, "write")
        inputs = (
            delay(m, port, 1, name, reset_less=True)
            for name, port in (
                ("read_address", self.read_address),
                ("write_address", self.write_address),
                ("write_data", self.write_data),
            )
        )
        held = _bank(m, self._word, self._depth, write, *inputs)
        m.d.comb += self.read_data.eq(delay(m, held, 1, "read", reset_less=True))
        return m


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
    registered : for blocks far from what uses them, and from each other: two registers more on the way of a read
        (`RegisteredBank`), and one behind the choice of a bank on that of a write.

    Attributes
    ----------
    latency, registered_latency : cycles from ``read_address`` to ``read_data``. A word can be read from the cycle
        after its write on, from the one after that if ``registered`` and of several banks.
    read_address : In. read_data : Out, elements.
    write : In, mask of elements. write_address : In. write_data : In, elements.
    """

    latency = 2
    registered_latency = 4

    def __init__(self, shape: object, elements: int, depth: int, *, registered: bool = False) -> None:
        self._depth, self._word, self._registered = depth, data.ArrayLayout(shape, elements), registered
        super().__init__(_ports(self._word, depth))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        first_bits = (min(self._depth, BANK) - 1).bit_length()
        banks: list[Value] = []
        write_delay = int(self._registered and self._depth > BANK)
        delayed_address, delayed_data = (
            delay(m, value, write_delay, name, reset_less=True)
            for name, value in (("write_address", self.write_address), ("write_data", self.write_data.as_value()))
        )
        for index, start in enumerate(range(0, self._depth, BANK)):
            depth = min(BANK, self._depth - start)
            bits = (depth - 1).bit_length() or 1
            # no multiplexer, of which synthesis would make a reset
            write = self.write & (self.write_address[first_bits:] == index).replicate(len(self.write))
            read_address, write_address = self.read_address[:bits], self.write_address[:bits]
            if not self._registered:
                read = _bank(m, self._word, depth, write, read_address, write_address, self.write_data, str(index))
                banks.append(read.as_value())
                continue
            write = delay(m, write, write_delay, f"write_{index}")
            parts = []
            for first, word, enable in self._parts(bits, write):
                m.submodules[f"bank_{index}_{first}"] = part = RegisteredBank(word, depth)
                m.d.comb += [
                    part.read_address.eq(read_address),
                    part.write.eq(enable),
                    part.write_address.eq(delayed_address[:bits]),
                    part.write_data.as_value().eq(delayed_data[first : first + word.size]),
                ]
                parts.append(part.read_data.as_value())
            banks.append(Cat(parts))
        chosen = banks[0]
        if len(banks) > 1:
            # one-hot: a bank is chosen by a conjunction
            number = self.read_address[first_bits:]
            latency = self.registered_latency if self._registered else self.latency
            number = delay(m, number, latency - 1, "bank", reset_less=True)
            masked = []
            for index, word in enumerate(banks):
                is_chosen = delay(m, number == index, 1, f"chosen_{index}", reset_less=True)
                masked.append(word & is_chosen.replicate(len(word)))
            chosen = reduce(or_, masked)
        m.d.comb += self.read_data.as_value().eq(chosen)
        return m

    def _parts(self, bits: int, write: Value) -> Iterator[tuple[int, data.ArrayLayout, Value]]:
        """What of a word is together in `TOGETHER` blocks: first bit, layout and write enables."""
        width, most = self._word.size // self._word.length, TOGETHER * (BLOCK >> bits)
        if most >= self._word.size:
            yield 0, self._word, write
            return
        for number in range(self._word.length):
            for low in range(0, width, most):
                yield number * width + low, data.ArrayLayout(min(most, width - low), 1), write[number]


def _bank(
    m: Module,
    word: data.ArrayLayout,
    depth: int,
    write: Value,
    read_address: Value,
    write_address: Value,
    write_data: Value,
    name: str = "0",
) -> data.View:
    """Blocks and their output register."""
    m.submodules[f"bank_{name}"] = bank = Memory(shape=word, depth=depth, init=[], attrs={"no_rw_check": 1})
    reader = bank.read_port()
    writer = bank.write_port(granularity=1)
    m.d.comb += [
        reader.en.eq(1),
        # a word alone has no address
        reader.addr.eq(cut(read_address, reader.addr)),
        writer.addr.eq(cut(write_address, writer.addr)),
        writer.data.eq(write_data),
        writer.en.eq(write),
    ]
    # of the width of the word alone: nothing may come between block RAM and its register
    held = Signal(word, name=f"read_{name}", reset_less=True)
    m.d.sync += held.eq(reader.data)
    return held
