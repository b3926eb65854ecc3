# SPDX-License-Identifier: Apache-2.0
"""What a host must know of an emitted controller; read from the file that LiteDRAM's own tables are written to."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Step:
    """Of the initialisation.

    Attributes
    ----------
    what : in words. address, bank : put on the pins.
    code : a command, or what the control register gets. is_control : whether it is that.
    loops : of an empty loop, for which LiteDRAM's processor waits then.
    """

    what: str
    address: int
    bank: int
    code: int
    loops: int
    is_control: bool


@dataclass(frozen=True)
class Description:
    """A controller, seen from the host.

    Attributes
    ----------
    registers : byte address and 32 bit words of each, by LiteX's names.
    sequence : the initialisation.
    codes : bits of commands and of the control register, by LiteDRAM's names.
    phases : of a cycle of the controller. read_phase, write_phase : of commands.
    delays, bitslips : that a strobe can be given. strobes : groups of 8 data pins.
    clock_hz : of the controller.
    refresh_cycles : of a refresh, as LiteDRAM counts tRFC.
    """

    registers: Mapping[str, tuple[int, int]]
    sequence: tuple[Step, ...]
    codes: Mapping[str, int]
    phases: int
    read_phase: int
    write_phase: int
    delays: int
    bitslips: int
    strobes: int
    clock_hz: int
    refresh_cycles: int

    @classmethod
    def read(cls, path: Path) -> "Description":
        """From a file that `rtl_gen.ddr3.emit` wrote."""
        content: dict[str, Any] = json.loads(path.read_text())
        content["registers"] = {name: (address, words) for name, (address, words) in content["registers"].items()}
        content["sequence"] = tuple(Step(*step) for step in content["sequence"])
        return cls(**content)
