# SPDX-License-Identifier: Apache-2.0
"""The window writes whole beats and reads words, whatever the memory's pace."""

from pathlib import Path

import pytest

from tests.unit_bench import bench
from tritforge.golden import TritforgeError
from tritforge.hw.board.memory_window import MemoryWindow

CASES = {"a word": (29, 32), "four": (21, 128), "sixteen": (7, 512)}
"""Address bits, bits; the first is as large as the bus reaches, the second is the ULX3S'."""


@pytest.mark.parametrize("name", CASES)
def test_words_are_written_and_read(name: str, tmp_path: Path) -> None:
    address_bits, bits = CASES[name]
    parameters = {"address_bits": address_bits, "bits": bits}
    assert bench(MemoryWindow(address_bits, bits), "board.memory_window", parameters, tmp_path) == ["words"]


@pytest.mark.parametrize("bits", [0, 16, 48, 96])
def test_a_beat_is_words_times_a_power_of_two(bits: int) -> None:
    with pytest.raises(TritforgeError, match=f"32 bits times a power of two, not {bits}"):
        MemoryWindow(10, bits)


def test_the_bus_reaches_all_of_the_memory() -> None:
    with pytest.raises(TritforgeError, match="more than the bus can address"):
        MemoryWindow(28, 128)
