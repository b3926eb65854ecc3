# SPDX-License-Identifier: Apache-2.0
"""The port of a memory that is read and written in whole words, such as a burst of an SDRAM."""

from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out


def request_layout(address_bits: int, bits: int) -> data.StructLayout:
    """A request. address : of a word. write : or else it is read. data : to be written."""
    return data.StructLayout({"address": address_bits, "write": 1, "data": bits})


class MemoryPort(wiring.Signature):
    """A memory, seen from what uses it.

    Requests are carried out in order. Each read is answered once, in order, any number of cycles later; whoever asks
    must have room, since an answer cannot be held back. Writes are not answered.

    Parameters
    ----------
    address_bits : of an address, which counts words.
    bits : of a word.

    Attributes
    ----------
    request : Out, a stream of `request_layout`.
    answer_valid : In, a read is answered. answer : In, its word.
    """

    def __init__(self, address_bits: int, bits: int) -> None:
        self.address_bits, self.bits = address_bits, bits
        super().__init__(
            {
                "request": Out(stream.Signature(request_layout(address_bits, bits))),
                "answer_valid": In(1),
                "answer": In(bits),
            }
        )
