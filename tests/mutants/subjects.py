# SPDX-License-Identifier: Apache-2.0
"""The units around a core, each with the bench and the parameters of its test."""

import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from amaranth.lib import wiring

from tests.hw.board import test_machine_registers, test_memory_window, test_player
from tests.hw.bridge import test_bridge
from tests.hw.memory import test_arbiter, test_axi_reader, test_reader
from tritforge.hw.board.boards import BOARDS
from tritforge.hw.board.bus_split import BusSplit
from tritforge.hw.board.machine_map import Identity
from tritforge.hw.board.machine_registers import MachineRegisters
from tritforge.hw.board.memory_window import MemoryWindow
from tritforge.hw.board.phase_stepper import PhaseStepper
from tritforge.hw.board.player import Player
from tritforge.hw.board.register_window import RegisterWindow
from tritforge.hw.board.result_writer import ResultWriter
from tritforge.hw.board.wishbone_window import WishboneWindow
from tritforge.hw.bridge.bridge import Bridge
from tritforge.hw.memory.arbiter import Arbiter
from tritforge.hw.memory.axi_port import AxiPort
from tritforge.hw.memory.axi_reader import AxiReader
from tritforge.hw.memory.reader import Reader

BOARD = "ulx3s-85f"


@dataclass(frozen=True)
class Subject:
    """A unit.

    Attributes
    ----------
    bench : of `sim.benches`, ROOM.NAME. make : the unit. told : what its bench is told.
    """

    bench: str
    make: Callable[[], wiring.Component]
    told: dict[str, Any]


def _with(bench: str, make: Callable[..., wiring.Component], **parameters: Any) -> Subject:
    """A unit whose bench is told what it is made with."""
    return Subject(bench, lambda: make(**parameters), parameters)


def _player() -> Subject:
    dice, bits = random.Random(1), test_player.CASES["ULX3S"]
    stories = [test_player.some_story(dice, bits, number) for number in range(40)]
    return Subject("board.player", lambda: Player(bits), {"address_bits": bits, "stories": stories})


def _machine_registers() -> Subject:
    bits, beat, clock, by_host = test_machine_registers.CASES["ULX3S"]
    identity = Identity(beat, beat << bits, clock, by_host)
    told = {"address_bits": bits} | asdict(identity)
    return Subject("board.machine_registers", lambda: MachineRegisters(identity, bits), told)


def subjects() -> dict[str, list[Subject]]:
    """By the name of what they belong to."""
    window, depth = test_memory_window.CASES["four"], test_reader.CASES["shallow"][-1]
    ways = BOARDS[BOARD].memory.ways
    return {
        "reader": [
            _with("memory.axi_reader", AxiReader, **test_axi_reader.CASES["short bursts"]),
            _with("memory.axi_port", AxiPort, address_bits=8, bits=64),
            Subject("memory.reader", lambda: Reader(*test_reader.CASES["shallow"]), {"depth": depth}),
            _with("arbiter", Arbiter, **test_arbiter.CASES["three"]),
        ],
        "controller": [
            _player(),
            _machine_registers(),
            _with("board.result_writer", ResultWriter, address_bits=10, bits=128),
            Subject("board.register_window", RegisterWindow, {}),
            _with("board.memory_window", MemoryWindow, address_bits=window[0], bits=window[1]),
            Subject("board.bus_split", lambda: BusSplit(ways), {"ways": [*ways]}),
            _with("board.wishbone_window", WishboneWindow, address_bits=6),
            Subject("board.phase_stepper", PhaseStepper, {}),
        ],
        "bridge": [
            Subject(
                "bridge.bridge",
                lambda: Bridge(100_000_000, 25_000_000, test_bridge.GAP),
                {"gap": test_bridge.GAP},
            ),
        ],
    }
