# SPDX-License-Identifier: Apache-2.0
"""Opens rows ahead of a long read; part of the program that writes a controller (`rtl_gen.ddr3.soc`)."""

from typing import Any

from litex.gen import LiteXModule
from migen import If, Signal

AT = 64
"""Words of a row that have been asked for when the next one is opened."""


class RowOpener(LiteXModule):  # type: ignore[misc] # no types
    """Reads the first word of the next row by a port of its own while one is read, and drops it.

    A port of LiteDRAM goes to another bank only when all that it has asked of one is done, and then waits until a row
    is closed there and another one open. Asked for ahead it is open by then, at the price of one word.

    Parameters
    ----------
    native : the port that is watched. opener : another one, for this alone.
    row_words : of a row; the next one is of another bank.
    """

    def __init__(self, native: Any, opener: Any, row_words: int) -> None:
        bits = (row_words - 1).bit_length()
        column, row = native.cmd.addr[:bits], native.cmd.addr[bits:]
        reads = Signal()
        self.comb += [
            reads.eq(native.cmd.valid & native.cmd.ready & ~native.cmd.we & (column == AT)),
            opener.rdata.ready.eq(1),
        ]
        self.sync += If(
            reads,
            opener.cmd.valid.eq(1),
            opener.cmd.addr[bits:].eq(row + 1),
        ).Elif(opener.cmd.ready, opener.cmd.valid.eq(0))
