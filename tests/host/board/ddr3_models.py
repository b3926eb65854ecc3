# SPDX-License-Identifier: Apache-2.0
"""For tests of a DDR3 memory's initialisation: delay lines with windows, and a memory of one word."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tritforge.host.board.ddr3 import TRANSFERS, Window, Words
from tritforge.rtl_gen.ddr3.description import Description, Step

REGISTERS = {
    "ddrctrl_init_done": (0, 1),
    "ddrphy_dly_sel": (0x800, 1),
    "ddrphy_rdly_dq_rst": (0x804, 1),
    "ddrphy_rdly_dq_inc": (0x808, 1),
    "ddrphy_rdly_dq_bitslip_rst": (0x80C, 1),
    "ddrphy_rdly_dq_bitslip": (0x810, 1),
    "ddrphy_burstdet_clr": (0x814, 1),
    "ddrphy_burstdet_seen": (0x818, 1),
    "sdram_dfii_control": (0x1000, 1),
} | {
    f"sdram_dfii_pi{phase}_{name}": (0x1004 + 0x20 * phase + at, words)
    for phase in range(2)
    for name, at, words in (
        ("command", 0, 1),
        ("command_issue", 4, 1),
        ("address", 8, 1),
        ("baddress", 12, 1),
        ("wrdata", 16, 2),
        ("rddata", 24, 2),
    )
}
CODES = {
    **{f"dfii_control_{name}": 1 << bit for bit, name in enumerate(("sel", "cke", "odt", "reset_n"))},
    **{f"dfii_command_{name}": 1 << bit for bit, name in enumerate(("cs", "we", "cas", "ras", "wrdata", "rddata"))},
}
SEQUENCE = (Step("Reset", 0, 0, 12, 50000, True), Step("Mode", 0x320, 2, 15, 200, False))
DESCRIPTION = Description(REGISTERS, SEQUENCE, CODES, 2, 0, 1, 8, 4, 2, 75_000_000, 20)


class OneWord:
    """A memory that keeps what was written last, if its row is open; and all that is written to its registers."""

    def __init__(self) -> None:
        self.words: dict[int, int] = {}
        self.written: list[tuple[int, int]] = []
        self._open = False
        self._kept: list[int] = []

    def write(self, address: int, data: Sequence[int]) -> None:
        for number, word in enumerate(data):
            at = address + 4 * number
            assert 0 <= word < 1 << 32
            self.words[at] = word
            self.written.append((at, word))
            for phase in range(2):
                if at == REGISTERS[f"sdram_dfii_pi{phase}_command_issue"][0]:
                    self._command(self.words[REGISTERS[f"sdram_dfii_pi{phase}_command"][0]], phase)

    def read(self, address: int, words: int) -> NDArray[np.uint32]:
        return np.array([self.words.get(address + 4 * number, 0) for number in range(words)], np.uint32)

    def _command(self, code: int, phase: int) -> None:
        """The pins: cs 1, we 2, cas 4, ras 8, and with them data to the memory 16, from it 32."""
        data = [REGISTERS[f"sdram_dfii_pi{number}_wrdata"][0] + 4 * half for number in range(2) for half in range(2)]
        if code in (9, 11):
            self._open = code == 9
        elif code == 1 | 2 | 4 | 16:
            assert self._open and phase == DESCRIPTION.write_phase
            self._kept = [self.words[at] for at in data]
        elif code == 1 | 4 | 32:
            assert self._open and phase == DESCRIPTION.read_phase
            self.words |= {at + 8: word for at, word in zip(data, self._kept, strict=True)}


class DelayLines:
    """Registers of a PHY's strobes in front of others: data come right in a window of each, and else they do not.

    Parameters
    ----------
    words : all other registers.
    description : of the controller.
    windows : where each strobe's data come right. With a wrong bitslip its transfers come in another order; with a
        delay outside they are altered, and two steps outside no burst is seen.
    hole : a delay within them at which every third burst is altered.
    unseen : one at which data come right, and yet no burst is seen.
    """

    def __init__(
        self, words: Words, description: Description, windows: Sequence[Window], hole: int = -1, unseen: int = -1
    ) -> None:
        self._words, self._d, self._windows, self._hole, self._unseen = words, description, windows, hole, unseen
        self._bursts = 0
        self.delays, self.bitslips = [5] * len(windows), [3] * len(windows)
        self._chosen = self._moved = 0
        self.writes = self.reads = 0

    def write(self, address: int, data: Sequence[int]) -> None:
        self.writes += len(data)
        name = next((name for name, (at, _) in self._d.registers.items() if at == address), "")
        if not name.startswith("ddrphy_"):
            # a strobe whose delay was moved is not used before all were stopped together
            assert not self._chosen and not self._moved
            self._words.write(address, data)
            return
        (value,) = data
        if name == "ddrphy_dly_sel":
            if value == (1 << len(self._windows)) - 1 and not self._chosen:
                self._moved = 0
            self._chosen = value
        self._bursts += name == "ddrphy_burstdet_clr"
        for strobe in range(len(self._windows)):
            if self._chosen >> strobe & 1 and name.startswith("ddrphy_rdly"):
                values, turns = (self.bitslips, 4) if "bitslip" in name else (self.delays, 8)
                values[strobe] = 0 if name.endswith("rst") else (values[strobe] + 1) % turns
                self._moved = 1

    def read(self, address: int, words: int) -> NDArray[np.uint32]:
        self.reads += words
        registers = self._d.registers
        if address == registers["ddrphy_burstdet_seen"][0]:
            return np.array([sum(self._seen(strobe) << strobe for strobe in range(len(self._windows)))], np.uint32)
        phase = next((n for n in range(2) if registers[f"sdram_dfii_pi{n}_rddata"][0] == address), None)
        if phase is None:
            return self._words.read(address, words)
        # the transfers of both phases, one after another
        transfers = []
        for number in range(2):
            high, low = map(int, self._words.read(registers[f"sdram_dfii_pi{number}_rddata"][0], 2))
            transfers += [(high << 32 | low) >> 16 * n & 0xFFFF for n in range(TRANSFERS)]
        came = 0
        for n in range(TRANSFERS):
            for strobe, window in enumerate(self._windows):
                slipped = (phase * TRANSFERS + n + self.bitslips[strobe] - window.bitslip) % len(transfers)
                byte = transfers[slipped] >> 8 * strobe & 0xFF
                works = window.first <= self.delays[strobe] <= window.last
                works &= self.delays[strobe] != self._hole or self._bursts % 3 != 1
                byte ^= 0 if works else 1 << n
                came |= byte << 16 * n + 8 * strobe
        return np.array([came >> 32, came & 0xFFFFFFFF], np.uint32)

    def _seen(self, strobe: int) -> bool:
        window = self._windows[strobe]
        return window.first - 2 < self.delays[strobe] < window.last + 2 and self.delays[strobe] != self._unseen
