# SPDX-License-Identifier: Apache-2.0
"""Memories that a simulated core may have, as times: what `sim/memory_model.h` needs of them, and how it was checked.

The times of a chip are those of its data sheet (of DDR3 and DDR4 as LiteDRAM 2024.12 has them). One parameter, what a
controller loses at a change of rows, is fitted to the share of the peak that was measured; ``latency`` follows from
runs with few reads under way where there are some, and is assumed elsewhere.
"""

import ctypes
import math
from dataclasses import dataclass, field, replace

from tritforge.golden import TritforgeError

CROSSING = 2 + 3
"""Cycles of the core from a beat at the reader to the core: into its clock, and through the reader's ring."""
DEPTH = 512
"""Beats of the reader's ring, unless said: what block RAM has at its widest."""


class MemoryTiming(ctypes.Structure):
    """As in sim/memory_model.h."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            *("core", "controller", "burst", "cas", "rcd", "rp", "ras", "rrd", "refi", "rfc", "row", "latency"),
            *("burst_bytes", "row_bytes", "stripe_bytes", "channels", "banks", "refreshes", "depth", "crossing"),
        )
    )


@dataclass(frozen=True)
class Measured:
    """A share of the peak that a sequential reader was found to get, where, and whether that was a simulation.

    low, high : between which it was where there are several.
    """

    share: float
    source: str
    simulated: bool = True
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class MemoryModel:
    """A memory with its controller.

    Attributes
    ----------
    mhz : the controller's clock.
    burst : its clocks in which a burst is on the data pins. burst_bytes : of a channel.
    row_bytes, banks : of a channel.
    cas, rcd, rp, ras, rrd, refi, rfc : ns.
    latency : ns from a request to its data at the reader, beside row, CAS and burst.
    row : clocks of the controller lost at a change of rows, beside what rows take: fitted.
    channels : side by side. stripe_bytes : of a channel, before the next one has its turn; 0: a burst.
    refreshes : in a row.
    depth : beats of the reader's ring. crossing : see `CROSSING`.
    measured : what the model is held against; None where nothing is known.
    """

    mhz: float
    burst: int
    burst_bytes: int
    row_bytes: int
    banks: int
    cas: float
    rcd: float
    rp: float
    ras: float
    rrd: float
    refi: float
    rfc: float
    latency: float
    row: int
    channels: int = 1
    stripe_bytes: int = 0
    refreshes: int = 1
    depth: int = DEPTH
    crossing: int = CROSSING
    measured: Measured | None = field(default=None, compare=False)

    @property
    def peak(self) -> float:
        """Bytes a second on the data pins."""
        return self.channels * self.burst_bytes * self.mhz * 1e6 / self.burst

    def timing(self, core_mhz: float) -> MemoryTiming:
        """For a core at a clock; times in whole clocks of the controller, rounded up as controllers do."""
        if core_mhz <= 0:
            raise TritforgeError(f"The clock of a core is above 0 MHz, not {core_mhz:g}.")

        def clocks(ns: float) -> int:
            return math.ceil(round(ns * self.mhz / 1000, 6))

        same = ("burst", "row", "burst_bytes", "row_bytes", "channels", "banks", "refreshes", "depth", "crossing")
        times = ("cas", "rcd", "rp", "ras", "rrd", "rfc", "latency")
        return MemoryTiming(
            core=round(1e9 / core_mhz),
            controller=round(1e9 / self.mhz),
            refi=int(self.refi * self.mhz / 1000),
            stripe_bytes=self.stripe_bytes or self.burst_bytes,
            **{name: getattr(self, name) for name in same},
            **{name: clocks(getattr(self, name)) for name in times},
        )


REFI = 64e6 / 8192
"""ns: 64 ms for 8,192 refreshes."""
LITEDRAM = "LiteDRAM 2024.12, simulated at its port"

_SDR = MemoryModel(
    mhz=100,
    burst=8,
    burst_bytes=16,
    row_bytes=1024,
    banks=4,
    cas=20,
    rcd=20,
    rp=20,
    ras=45,
    rrd=15,
    refi=REFI,
    rfc=70,
    latency=60,
    row=0,
)
_DDR3 = MemoryModel(
    mhz=100,
    burst=1,
    burst_bytes=16,
    row_bytes=2048,
    banks=8,
    cas=15,
    rcd=13.75,
    rp=13.75,
    ras=35,
    rrd=10,
    refi=REFI,
    rfc=260,
    latency=90,
    row=9,
)
_DDR4 = MemoryModel(
    mhz=300,
    burst=1,
    burst_bytes=64,
    row_bytes=8192,
    banks=8,
    cas=14.16,
    rcd=13.32,
    rp=13.32,
    ras=32,
    rrd=4.9,
    refi=REFI,
    rfc=350,
    latency=90,
    row=8,
)
_HBM2 = MemoryModel(
    mhz=450,
    burst=1,
    burst_bytes=32,
    row_bytes=1024,
    banks=16,
    cas=14,
    rcd=14,
    rp=14,
    ras=33,
    rrd=4,
    refi=REFI / 2,
    rfc=260,
    latency=90,
    row=0,
)

MEMORIES = {
    "sdr-100x16": replace(
        _SDR,
        refreshes=8,
        measured=Measured(0.9904, "hw/memory/sdram.py at the simulated chip, 100 MHz, CAS latency 2"),
    ),
    "sdr-143x16": replace(
        _SDR,
        mhz=1000 / 7,
        cas=21,
        refreshes=8,
        measured=Measured(0.9904, "hw/memory/sdram.py at the simulated chip, 143 MHz, CAS latency 3"),
    ),
    "sdr-100x16-litedram": replace(
        _SDR, burst=1, burst_bytes=2, rfc=66, latency=30, row=9, measured=Measured(0.968, LITEDRAM)
    ),
    "ddr3-800x16": replace(_DDR3, measured=Measured(0.895, f"{LITEDRAM}, 1:4, 100 MHz, tRFC 260 ns")),
    "ddr3-600x16": replace(
        _DDR3,
        mhz=75,
        burst=2,
        refreshes=8,
        row=7,
        measured=Measured(
            0.9410, "rtl_gen/ddr3 with hw/memory/axi_reader.py, 1:2 as on ECP5, 75 MHz, tRFC 260 ns (docs/ddr3.md)"
        ),
    ),
    "ddr4-2400x64": replace(
        _DDR4,
        measured=Measured(
            0.8925, "published for LiteDRAM, DDR4-2400 to 3200 of 16 pins", simulated=False, low=0.886, high=0.899
        ),
    ),
    "ddr4-2666x64": replace(_DDR4, mhz=1000 / 3),
    "hbm2-1pc": replace(
        _HBM2, measured=Measured(0.922, "425 of 460.8 GB/s on a U280 (Shuhai, arXiv 2005.04324)", simulated=False)
    ),
    "hbm2-4pc": replace(_HBM2, channels=4, stripe_bytes=64),
    "lpddr4-3200x32": MemoryModel(
        mhz=400,
        burst=2,
        burst_bytes=32,
        row_bytes=2048,
        banks=8,
        cas=17.5,
        rcd=18,
        rp=21,
        ras=42,
        rrd=10,
        refi=REFI / 2,
        rfc=280,
        latency=90,
        row=8,
        channels=2,
    ),
}
"""Memories by the names of the command line: kind, transfers a second in millions, data pins or pseudo-channels."""


@dataclass(frozen=True)
class MemoryUse:
    """What became of a memory's time, from the first request of each packet to its last result word.

    What is neither of the two shares was lost to refreshes and rows.

    Attributes
    ----------
    gigabytes_per_second : read.
    share_of_peak : share of the time in which data were on the pins.
    waited : share of the time in which they could have been, but nothing was asked for.
    """

    gigabytes_per_second: float
    share_of_peak: float
    waited: float


@dataclass(frozen=True)
class AttachedMemory:
    """A memory behind a core.

    Attributes
    ----------
    name : a key of `MEMORIES`. mhz : the core's clock.
    """

    name: str
    mhz: float

    def __post_init__(self) -> None:
        if self.name not in MEMORIES:
            raise TritforgeError(f"A memory is {', '.join(MEMORIES)}, not '{self.name}'.")
        _ = self.timing

    @property
    def model(self) -> MemoryModel:
        """The memory itself."""
        return MEMORIES[self.name]

    @property
    def timing(self) -> MemoryTiming:
        """For the simulation."""
        return self.model.timing(self.mhz)

    def use(self, bytes_read: int, cycles: int, waited: int) -> MemoryUse:
        """What became of the memory's time.

        Parameters
        ----------
        bytes_read, cycles
            By the core, in so many of its cycles.
        waited
            Clocks of the controller in which nothing was asked for, the sum of the channels'.
        """
        seconds, model = cycles / (self.mhz * 1e6), self.model
        clocks = seconds * model.mhz * 1e6 * model.channels
        return MemoryUse(bytes_read / seconds / 1e9, bytes_read / seconds / model.peak, waited / clocks)
