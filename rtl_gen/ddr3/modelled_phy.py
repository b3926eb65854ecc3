# SPDX-License-Identifier: Apache-2.0
"""LiteDRAM's model of a memory behind strobes that have to be levelled, as those of the ECP5's PHY; part of the
program that writes a controller (`rtl_gen.ddr3.soc`)."""

from collections.abc import Sequence
from typing import Any

from litedram.phy.dfi import Interface
from litex.gen import LiteXModule
from litex.soc.interconnect.csr import CSR, CSRStatus, CSRStorage
from migen import Case, If, Replicate, Signal

DELAYS, BITSLIPS, TRANSFERS = 8, 4, 4
"""Of a strobe, and of a phase's data on each pin."""


class ModelledPhy(LiteXModule):  # type: ignore[misc] # no types
    """A model with the registers of the PHY: data of a strobe come right with one bitslip, in a window of delays.

    With another bitslip the transfers come in another order, with a delay outside they are inverted, and a delay
    farther outside sees no burst. The model says of the first phase alone that its data are valid; a controller looks
    at no other, but each phase's register for the host keeps what its own phase says is valid.

    Parameters
    ----------
    model : of LiteDRAM.
    windows : of each strobe {bitslip, first delay, last delay}.
    """

    def __init__(self, model: Any, windows: Sequence[tuple[int, int, int]]) -> None:
        self.model = model
        self.settings = settings = model.settings
        address, bank = (getattr(model.dfi.phases[0], name) for name in ("address", "bank"))
        self.dfi = Interface(len(address), len(bank), settings.nranks, settings.dfi_databits, settings.nphases)
        # names and meanings of litedram.phy.ecp5ddrphy
        self._dly_sel = CSRStorage(len(windows))
        self._rdly_dq_rst = CSR()
        self._rdly_dq_inc = CSR()
        self._rdly_dq_bitslip_rst = CSR()
        self._rdly_dq_bitslip = CSR()
        self._burstdet_clr = CSR()
        self._burstdet_seen = CSRStatus(len(windows))

        valid = model.dfi.phases[0].rddata_valid
        for phase, behind in zip(self.dfi.phases, model.dfi.phases, strict=True):
            self.comb += [phase.connect(behind, omit={"rddata", "rddata_valid"}), phase.rddata_valid.eq(valid)]
        for strobe, window in enumerate(windows):
            self._strobe(strobe, *window)

    def _strobe(self, strobe: int, bitslip: int, first: int, last: int) -> None:
        chosen = self._dly_sel.storage[strobe]
        delay, slips, wrong = Signal(max=DELAYS), Signal(max=BITSLIPS), Signal()
        for count, step, back in (
            (delay, self._rdly_dq_inc, self._rdly_dq_rst),
            (slips, self._rdly_dq_bitslip, self._rdly_dq_bitslip_rst),
        ):
            self.sync += [If(chosen & step.re, count.eq(count + 1)), If(chosen & back.re, count.eq(0))]
        seen, valid = self._burstdet_seen.status[strobe], self.dfi.phases[0].rddata_valid
        self.sync += [
            If(self._burstdet_clr.re, seen.eq(0)),
            If(valid & (delay >= max(first - 1, 0)) & (delay <= last + 1), seen.eq(1)),
        ]
        self.comb += wrong.eq((delay < first) | (delay > last))
        came, given = (
            [
                phase.rddata[at : at + 8]
                for phase in dfi.phases
                for at in range(8 * strobe, TRANSFERS * self.settings.databits, self.settings.databits)
            ]
            for dfi in (self.model.dfi, self.dfi)
        )
        inverted = Replicate(wrong, 8)
        orders = {
            slip: [to.eq(came[(at + slip - bitslip) % len(came)] ^ inverted) for at, to in enumerate(given)]
            for slip in range(BITSLIPS)
        }
        self.comb += Case(slips, orders)
