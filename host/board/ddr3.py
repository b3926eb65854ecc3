# SPDX-License-Identifier: Apache-2.0
"""What a host does to a DDR3 controller of LiteDRAM before its memory can be used: initialisation and read levelling.

There is no processor on the board, and the memory needs its mode registers written and each strobe's delay found:
both are words written and read through the bridge, with commands put on the pins by the controller's registers. ECP5
needs no write levelling.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tritforge.golden import Failure, TritforgeError
from tritforge.hw.board.boards import BOARDS
from tritforge.hw.board.ddr3_side import Ddr3Side
from tritforge.hw.board.machine_map import Identity
from tritforge.rtl_gen.ddr3.description import Description
from tritforge.rtl_gen.ddr3.emit import cached_controller

HELD_S = 200e-6
"""For which the memory's reset is held."""
LOOP_CYCLES = 8
"""Of the loop that LiteDRAM's waits are counted in, at least; what a processor takes for one differs."""
SEEDS = (42, 84, 36)
TRANSFERS = 4
"""Of a phase's data, on each pin."""


class Words(Protocol):
    """Registers, words at byte addresses; such as `host.board.link.Link`."""

    def write(self, address: int, data: Sequence[int]) -> None:
        """Write words from an address on."""
        ...

    def read(self, address: int, words: int) -> NDArray[np.uint32]:
        """Words from an address on."""
        ...


@dataclass(frozen=True)
class Window:
    """Where a strobe's data come right.

    Attributes
    ----------
    bitslip : by which bits of a pin are put in order. first, last : delays that read what was written.
    """

    bitslip: int
    first: int
    last: int

    @property
    def delay(self) -> int:
        """The one in the middle."""
        return (self.first + self.last) // 2


class Ddr3:
    """A controller, seen from the host.

    Parameters
    ----------
    words
        The board's registers.
    description
        Of the controller, as it was emitted.
    base
        Byte address of its registers.
    sleep
        Waits for so many seconds, or longer.
    """

    def __init__(
        self, words: Words, description: Description, base: int = 0, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._words, self._d, self._base, self._sleep = words, description, base, sleep
        self._all = (1 << description.strobes) - 1

    def start(self) -> list[Window]:
        """Everything, in order; what `level` found.

        Raises
        ------
        Failure
            If the memory does not read what was written.
        """
        self.initialise()
        windows = self.level()
        self.hand_over()
        return windows

    def initialise(self) -> None:
        """Reset the memory and write its mode registers: LiteDRAM's sequence, behind a reset that is long enough."""
        self._control(0)
        self._sleep(HELD_S)
        for step in self._d.sequence:
            self._write("sdram_dfii_pi0_address", step.address, step.bank)
            if step.is_control:
                self._control(step.code)
            else:
                self._write("sdram_dfii_pi0_command", step.code, 1)
            if step.loops:
                self._sleep(step.loops * LOOP_CYCLES / self._d.clock_hz)

    def level(self) -> list[Window]:
        """Find and set each strobe's bitslip and delay, between `initialise` and `hand_over`.

        All strobes are tried at once, at every bitslip and delay, with three patterns each. A strobe gets the bitslip
        with the most delays in a row that read all of them, and the delay in the middle of these.

        Raises
        ------
        Failure
            If a strobe reads nothing right, or no longer does when all are set.
        """
        # of the commands of all trials: the first row and column of the first bank
        for phase in {0, self._d.read_phase, self._d.write_phase}:
            self._write(f"sdram_dfii_pi{phase}_address", 0, 0)
        found: list[list[Window]] = [[] for _ in range(self._d.strobes)]
        for bitslip in range(self._d.bitslips):
            self._act(self._all, "ddrphy_rdly_dq_bitslip" if bitslip else "ddrphy_rdly_dq_bitslip_rst")
            self._act(self._all, "ddrphy_rdly_dq_rst")
            works = []
            for delay in range(self._d.delays):
                if delay:
                    self._act(self._all, "ddrphy_rdly_dq_inc")
                works.append(self._right())
            for strobe, windows in enumerate(found):
                windows += _windows(bitslip, [bool(right >> strobe & 1) for right in works])
        silent = [str(strobe) for strobe, windows in enumerate(found) if not windows]
        if silent:
            raise Failure(
                f"The memory does not read what was written, at any delay of strobe {' and '.join(silent)}: check "
                "that the bitstream is for this board, or take a lower clock."
            )
        best = [max(windows, key=lambda window: window.last - window.first) for windows in found]
        for strobe, window in enumerate(best):
            self._act(1 << strobe, "ddrphy_rdly_dq_bitslip_rst")
            self._act(1 << strobe, "ddrphy_rdly_dq_rst")
            for _ in range(window.bitslip):
                self._act(1 << strobe, "ddrphy_rdly_dq_bitslip")
            for _ in range(window.delay):
                self._act(1 << strobe, "ddrphy_rdly_dq_inc")
        if self._right() != self._all:
            raise Failure("The memory reads at delays that were found, but not always: take a lower clock.")
        return best

    def hand_over(self) -> None:
        """Give the memory to the controller, which takes reads and writes from now on."""
        self._control(self._d.codes["dfii_control_sel"])
        self._write("ddrctrl_init_done", 1)

    def _right(self) -> int:
        """The strobes that read all patterns, a bit each."""
        right = self._all
        for seed in SEEDS:
            if right:
                right &= self._tried(seed)
        return right

    def _tried(self, seed: int) -> int:
        """Write a pattern to the memory's first words and read it; the strobes that do, a bit each."""
        code = {name.removeprefix("dfii_command_"): bit for name, bit in self._d.codes.items()}
        pattern = [random.Random(seed + phase).getrandbits(16 * TRANSFERS) for phase in range(self._d.phases)]
        self._command(0, code["ras"] | code["cs"])
        for phase, data in enumerate(pattern):
            self._write(f"sdram_dfii_pi{phase}_wrdata", data >> 32, data & 0xFFFFFFFF)
        self._command(self._d.write_phase, code["cas"] | code["we"] | code["cs"] | code["wrdata"])
        self._write("ddrphy_burstdet_clr", 1)
        self._command(self._d.read_phase, code["cas"] | code["cs"] | code["rddata"])
        self._command(0, code["ras"] | code["we"] | code["cs"])
        wrong = 0
        for phase, data in enumerate(pattern):
            high, low = map(int, self._read(f"sdram_dfii_pi{phase}_rddata"))
            for transfer in range(TRANSFERS):
                differing = (data ^ (high << 32 | low)) >> 16 * transfer
                wrong |= sum(1 << strobe for strobe in range(self._d.strobes) if differing >> 8 * strobe & 0xFF)
        return ~wrong & int(self._read("ddrphy_burstdet_seen")[0]) & self._all

    def _act(self, strobes: int, register: str) -> None:
        """One step of some strobes' delays, which stand still meanwhile; then all of them begin together."""
        for name, value in (
            ("ddrphy_dly_sel", strobes),
            (register, 1),
            ("ddrphy_dly_sel", 0),
            ("ddrphy_dly_sel", self._all),
            ("ddrphy_dly_sel", 0),
        ):
            self._write(name, value)

    def _command(self, phase: int, code: int) -> None:
        self._write(f"sdram_dfii_pi{phase}_command", code, 1)

    def _control(self, code: int) -> None:
        self._write("sdram_dfii_control", code)

    def _write(self, register: str, *values: int) -> None:
        """Write a register and those behind it: a command is issued there, and an address has its bank."""
        self._words.write(self._base + self._d.registers[register][0], values)

    def _read(self, register: str) -> NDArray[np.uint32]:
        address, words = self._d.registers[register]
        return self._words.read(self._base + address, words)


def controller_of(identity: Identity) -> Description:
    """The controller of a board, one of `BOARDS`; TritforgeError where it is none of these, or the extra is missing.

    How many rows its memory has changes nothing for the host.
    """
    for params in BOARDS.values():
        known = params.identity
        if isinstance(params.memory, Ddr3Side) and (known.beat_bytes, known.clock_hz) == (
            identity.beat_bytes,
            identity.clock_hz,
        ):
            return cached_controller(params.memory.params).description
    raise TritforgeError(
        f"The board has a DDR3 controller at {identity.clock_hz / 1e6:g} MHz that this version does not know; build "
        "its bitstream anew."
    )


def _windows(bitslip: int, works: Sequence[bool]) -> list[Window]:
    """The delays that work, in rows without a gap."""
    edges = [at for at in range(len(works) + 1) if (at > 0 and works[at - 1]) != (at < len(works) and works[at])]
    return [Window(bitslip, first, end - 1) for first, end in zip(edges[::2], edges[1::2], strict=True)]
