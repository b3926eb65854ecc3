# SPDX-License-Identifier: Apache-2.0
"""The player reads what the driver's settings mean, packet after packet."""

import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.unit_bench import bench
from tritforge.host.board.board import Story
from tritforge.hw.board.layout import Plan
from tritforge.hw.board.machine_map import Setting
from tritforge.hw.board.player import Player

CASES = {"ULX3S": 21, "largest": 28}
"""Bits of a beat's address."""


def some_plan(dice: random.Random, address_bits: int, large: bool) -> Plan:
    """A plan without regard to whether its parts overlap; records have room for two tokens or more."""
    blocks = dice.choice([1, 1, 2, 5, 12])
    x_beats, head = dice.randint(1, 40), dice.randint(1, 40)
    if large:
        head = dice.choice([4095, 0xFFFF]) - blocks * x_beats
    stride, end = head + blocks * x_beats, 1 << address_bits
    records = dice.choice([0, 1, dice.randrange(end // 2), end - 2 * stride])
    gains, body, scratch, results = (dice.choice([0, dice.randrange(end // 2)]) for _ in range(4))
    gains_beats, body_beats = dice.randint(1, 300), dice.choice([1, dice.randint(1, (1 << 23) - 1)])
    return Plan(16, 0, blocks, head, x_beats, gains_beats, body_beats, gains, body, records, scratch, results, 0)


def some_story(dice: random.Random, address_bits: int, number: int) -> dict[str, Any]:
    """A story's plan and settings; its words are those of the driver."""
    where = some_plan(dice, address_bits, number % 4 == 0)
    contexts, count = dice.choice([1, 1, 3, 8]), dice.choice([1, 2, 6, 6, 0xFFFF])
    end = dice.choice([None, 0, 7, 0xFFFF])
    settings = Story(where, contexts, count, end).settings()
    if end is None:
        # a token that would end it, if it were enabled
        settings[Setting.END] = dice.choice([0, 7, dice.getrandbits(31)])
    return {
        "where": asdict(where),
        "contexts": contexts,
        "count": count,
        "end": end,
        "settings": settings.tolist(),
    }


@pytest.mark.parametrize("name", CASES)
def test_stories_are_played(name: str, tmp_path: Path) -> None:
    dice, address_bits = random.Random(1), CASES[name]
    stories = [some_story(dice, address_bits, number) for number in range(40)]
    parameters = {"address_bits": address_bits, "stories": stories}
    ran = bench(Player(address_bits), "board.player", parameters, tmp_path)
    assert ran == ["stories", "stops", "full_speed", "taken_at_last"]
