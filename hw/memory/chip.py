# SPDX-License-Identifier: Apache-2.0
"""SDR SDRAM chips: geometry and timing, in nanoseconds and, at a clock, in clocks."""

import math
from dataclasses import dataclass

from tritforge.golden import TritforgeError

WRITE_CLOCKS, MODE_CLOCKS = 2, 2
"""Least tWR, and tMRD: data sheets give them in clocks."""
TURN = 1
"""Clocks between data read and data written in which nobody drives the data pins."""
POSTPONED = 8
"""Refreshes that may be owed at a time."""


@dataclass(frozen=True)
class SdramClocks:
    """A chip's times in clocks.

    Attributes
    ----------
    cas_latency : from READ to the edge at which its first data are taken.
    rcd : ACTIVATE to READ or WRITE. rp : PRECHARGE to ACTIVATE or REFRESH. ras : ACTIVATE to PRECHARGE.
    rc : ACTIVATE to ACTIVATE of a bank. rrd : the same of two banks. rfc : REFRESH to anything.
    wr : last data written to PRECHARGE. mrd : mode register to anything.
    refi : from refresh to refresh, on the average. power_up : until the first command.
    """

    cas_latency: int
    rcd: int
    rp: int
    ras: int
    rc: int
    rrd: int
    rfc: int
    wr: int
    mrd: int
    refi: int
    power_up: int

    @property
    def row(self) -> int:
        """ACTIVATE to PRECHARGE, so that the bank's next ACTIVATE is not too early either."""
        return max(self.ras, self.rc - self.rp)


@dataclass(frozen=True)
class SdramChip:
    """A chip, or several side by side.

    Attributes
    ----------
    name : for messages.
    dq_bits : 16 or 32. row_bits, column_bits, bank_bits : of an address.
    t_rcd, t_rp, t_ras, t_rc, t_rrd, t_rfc, t_wr, t_refi : ns, as in `SdramClocks`.
    t_power_up : microseconds.
    initial_refreshes : after the power-up, at least.
    latencies : CAS latencies, each with the fastest clock in MHz that it serves; the shortest latency first.
    """

    name: str
    dq_bits: int
    row_bits: int
    column_bits: int
    bank_bits: int
    t_rcd: float
    t_rp: float
    t_ras: float
    t_rc: float
    t_rrd: float
    t_rfc: float
    t_wr: float
    t_refi: float
    t_power_up: float
    initial_refreshes: int
    latencies: tuple[tuple[int, float], ...]

    def __post_init__(self) -> None:
        if self.dq_bits not in (16, 32):
            raise TritforgeError(f"{self.name} must have 16 or 32 data pins, not {self.dq_bits}.")
        # a chip of fewer row bits has no address pin 10, which says that all banks are meant
        if self.row_bits < 11 or not 8 <= self.column_bits <= 12 or self.bank_bits not in (1, 2):
            raise TritforgeError(
                f"{self.name} must have at least 11 row bits, 8 to 12 column bits, 1 or 2 bank bits."
            )

    @property
    def size(self) -> int:
        """Bytes."""
        return self.dq_bits // 8 << self.row_bits + self.column_bits + self.bank_bits

    def least_latency(self, mhz: float) -> int:
        """The shortest CAS latency at a clock.

        Raises
        ------
        TritforgeError
            If the chip does not run at that clock.
        """
        for latency, fastest in self.latencies:
            if mhz <= fastest:
                return latency
        fastest = max(fastest for _, fastest in self.latencies)
        raise TritforgeError(f"{self.name} runs at {fastest:g} MHz at most, not at {mhz:g}; choose a slower clock.")

    def clocks(self, mhz: float, cas_latency: int) -> SdramClocks:
        """The chip's times at a clock, rounded up, and from refresh to refresh down.

        Raises
        ------
        TritforgeError
            If the chip does not run at that clock, or not with that CAS latency.
        """
        least = self.least_latency(mhz)
        if cas_latency < least or cas_latency not in dict(self.latencies):
            raise TritforgeError(
                f"{self.name} does not run at {mhz:g} MHz with a CAS latency of {cas_latency}; choose {least}."
            )

        def clocks(ns: float) -> int:
            # 15 ns at 1000 / 7.5 MHz are 2 clocks, whatever the last bit of the quotient says
            return max(1, math.ceil(ns * mhz / 1000 - 1e-6))

        return SdramClocks(
            cas_latency=cas_latency,
            rcd=clocks(self.t_rcd),
            rp=clocks(self.t_rp),
            ras=clocks(self.t_ras),
            rc=clocks(self.t_rc),
            rrd=clocks(self.t_rrd),
            rfc=clocks(self.t_rfc),
            wr=max(WRITE_CLOCKS, clocks(self.t_wr)),
            mrd=MODE_CLOCKS,
            refi=math.floor(self.t_refi * mhz / 1000),
            power_up=clocks(self.t_power_up * 1000),
        )


ULX3S = SdramChip(
    name="The SDRAM of the ULX3S",
    dq_bits=16,
    row_bits=13,
    column_bits=9,
    bank_bits=2,
    t_rcd=20,
    t_rp=20,
    t_ras=45,
    t_rc=66,
    t_rrd=15,
    t_rfc=70,
    t_wr=15,
    t_refi=64e6 / 8192,
    t_power_up=200,
    initial_refreshes=8,
    latencies=((2, 100), (3, 1000 / 7)),
)
"""32 MB; boards differ in the maker, so each time is the longest of the usual chips of grades 6 and 7."""
