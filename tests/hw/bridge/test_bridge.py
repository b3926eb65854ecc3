# SPDX-License-Identifier: Apache-2.0
"""The bridge from its pins to its bus."""

from pathlib import Path

import pytest

from tests.unit_bench import bench
from tritforge.golden import TritforgeError
from tritforge.hw.bridge.bridge import Bridge
from tritforge.hw.bridge.byte_bridge import ByteBridge

GAP = 256
"""Cycles; a byte takes 40."""


def test_the_bridge_does_what_frames_say(tmp_path: Path) -> None:
    names = ["operations", "third", "pulled", "tokens"]
    assert bench(Bridge(100_000_000, 25_000_000, GAP), "bridge.bridge", {"gap": GAP}, tmp_path) == names


@pytest.mark.parametrize("gap", [8, 100])
def test_a_gap_is_a_power_of_two(gap: int) -> None:
    with pytest.raises(TritforgeError, match=f"a power of two from 16 on, not {gap}"):
        ByteBridge(gap)


def test_a_gap_that_bytes_do_not_keep_is_refused() -> None:
    with pytest.raises(TritforgeError, match="A byte takes 138540 cycles at 9600 baud"):
        Bridge(133_000_000, 9600)
