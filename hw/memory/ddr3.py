# SPDX-License-Identifier: Apache-2.0
"""DDR3 chips and the controllers in front of them: what LiteDRAM is asked for."""

from dataclasses import dataclass, replace

from tritforge.golden import TritforgeError

MOST_OUTSTANDING = 64
BANK_BITS, ROW_BYTES_BITS = 3, 11
REGISTER_BITS = 14
"""Of the word address of a controller's registers."""


@dataclass(frozen=True)
class Ddr3Chip:
    """A chip of 16 data pins.

    LiteDRAM gives tRFC of its DDR3 modules in clocks of the fastest grade: 208 of the 4 Gb chips, which are 260 ns at
    800 MHz and 1,387 ns at 150 MHz. So it is given here, in ns.

    Attributes
    ----------
    name : for people.
    module : LiteDRAM's, with the geometry and all other times.
    row_bits : of an address; a row has 2 KB, and there are 8 banks.
    t_rfc : ns; None leaves LiteDRAM's clocks.
    """

    name: str
    module: str
    row_bits: int
    t_rfc: float | None

    @property
    def size(self) -> int:
        """Bytes."""
        return 1 << self.row_bits + BANK_BITS + ROW_BYTES_BITS


ECPIX5 = Ddr3Chip("MT41K256M16", "MT41K256M16", 15, 260.0)
"""512 MB, the chip of LiteX's board file."""
ORANGECRAB = Ddr3Chip("MT41K64M16", "MT41K64M16", 13, 110.0)
"""128 MB, the smallest that this board is sold with."""


@dataclass(frozen=True)
class Ddr3Params:
    """A controller with its ECP5 PHY, which runs the pins at twice the clock of the logic.

    Attributes
    ----------
    chip : behind it.
    clock_hz : of the controller; a bit of a data pin takes a quarter of its period.
    reference_hz : of the oscillator.
    device : LiteX's name of the FPGA.
    outstanding : words that are asked for and not answered, at most.
    id_bits : of the AXI4 port.
    absent_pins : of the memory, that the board ties.
    """

    chip: Ddr3Chip = ECPIX5
    clock_hz: int = 75_000_000
    reference_hz: int = 100_000_000
    device: str = "LFE5UM5G-85F-8BG554I"
    outstanding: int = 16
    id_bits: int = 1
    absent_pins: tuple[str, ...] = ("cs_n", "reset_n")

    def __post_init__(self) -> None:
        if not 40_000_000 <= self.clock_hz <= 150_000_000:
            raise TritforgeError(
                f"A DDR3 controller on ECP5 has 40 to 150 MHz, not {self.clock_hz / 1e6:g}: choose another clock."
            )
        if not 1 <= self.outstanding <= MOST_OUTSTANDING:
            raise TritforgeError(f"1 to {MOST_OUTSTANDING} words are outstanding, not {self.outstanding}.")
        if self.id_bits < 1:
            raise TritforgeError(f"An AXI4 port has IDs of a bit or more, not {self.id_bits}.")

    def with_rows(self, row_bits: int) -> "Ddr3Params":
        """With other rows, such as fewer for a simulation; banks, columns and refreshes stay."""
        return replace(self, chip=replace(self.chip, row_bits=row_bits))


WORD_BITS = 128
"""Of the AXI4 port: a burst of 8 at 16 pins."""
CYCLES_OF_A_WORD = 2
"""Of the controller's clock, at the peak: four of the bursts' eight transfers each."""
