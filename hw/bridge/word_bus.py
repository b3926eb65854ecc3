# SPDX-License-Identifier: Apache-2.0
"""The bus of the board: 32 bit words, one access at a time."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

WORD_ADDRESS_BITS = 30


class WordBus(wiring.Signature):
    """Accesses of words, seen from the master.

    An access begins when ``valid`` rises; ``valid``, ``write``, ``address`` and ``data`` stay as they are until the
    cycle with ``done``, in which ``answer`` and ``error`` hold. ``valid`` is low in the cycle behind it.

    Attributes
    ----------
    valid, write, data : Out. address : Out, of a word: a byte's without its last two bits.
    done : In. answer : In, the word read. error : In, there is nothing, or it refuses.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "valid": Out(1),
                "write": Out(1),
                "address": Out(WORD_ADDRESS_BITS),
                "data": Out(32),
                "done": In(1),
                "answer": In(32),
                "error": In(1),
            }
        )
