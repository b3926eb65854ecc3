# SPDX-License-Identifier: Apache-2.0
"""The pins of an SDR SDRAM."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.memory.chip import SdramChip


class SdramPins(wiring.Signature):
    """The pins, seen from the controller; the clock, which the chip takes inverted or shifted, is not among them.

    Attributes
    ----------
    cke, cs_n, ras_n, cas_n, we_n : Out, the command.
    ba, a : Out, bank and address. dqm : Out, bytes that are not written or read.
    dq_o, dq_oe : Out, data and whether they are driven. dq_i : In.
    """

    def __init__(self, chip: SdramChip) -> None:
        super().__init__(
            {
                "cke": Out(1),
                "cs_n": Out(1, init=1),
                "ras_n": Out(1, init=1),
                "cas_n": Out(1, init=1),
                "we_n": Out(1, init=1),
                "ba": Out(chip.bank_bits),
                "a": Out(chip.row_bits),
                "dqm": Out(chip.dq_bits // 8, init=(1 << chip.dq_bits // 8) - 1),
                "dq_o": Out(chip.dq_bits),
                "dq_oe": Out(1),
                "dq_i": In(chip.dq_bits),
            }
        )
