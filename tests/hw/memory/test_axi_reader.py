# SPDX-License-Identifier: Apache-2.0
"""The reader behind AXI4 gives what memory holds, within the rules of the protocol, at full rate."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit_bench import bench
from tritforge.golden import TritforgeError
from tritforge.hw.memory.axi_reader import AxiReader

CASES = {
    # the longest bursts are 256 beats, or 4 KB
    "64 bits": {"address_bits": 13, "bits": 64, "depth": 300, "outstanding": 3, "burst": 256},
    "128 bits": {"address_bits": 12, "bits": 128, "depth": 512, "outstanding": 16, "burst": 256},
    "256 bits": {"address_bits": 11, "bits": 256, "depth": 128, "outstanding": 1, "burst": 128},
    "512 bits": {"address_bits": 10, "bits": 512, "depth": 200, "outstanding": 3, "burst": 64},
    "short bursts": {"address_bits": 12, "bits": 64, "depth": 40, "outstanding": 7, "burst": 8},
}


@pytest.mark.parametrize("name", CASES)
def test_runs_are_replayed(name: str, tmp_path: Path) -> None:
    parameters = CASES[name]
    reader = AxiReader(**parameters)
    assert reader.burst == parameters["burst"]
    ran = bench(reader, "memory.axi_reader", parameters, tmp_path)
    assert ran == ["replays", "from_the_usual_memory", "a_beat_a_cycle", "errors"]


@pytest.mark.parametrize(("bits", "longest"), [(64, 256), (128, 256), (256, 128), (512, 64)])
def test_the_longest_burst_lies_in_a_page(bits: int, longest: int) -> None:
    assert AxiReader(20, bits, 512).burst == longest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bits": 32}, "64, 128, 256, 512 bits, not 32"),
        ({"burst": 48}, "to 256 beats, not 48"),
        ({"burst": 512}, "to 256 beats, not 512"),
        ({"outstanding": 0}, "1 to 16 bursts are outstanding, not 0"),
        ({"outstanding": 17}, "1 to 16 bursts are outstanding, not 17"),
        ({"depth": 255}, "a burst of 256 beats or more, not 255"),
    ],
)
def test_what_a_reader_refuses(change: dict[str, Any], message: str) -> None:
    with pytest.raises(TritforgeError, match=message):
        AxiReader(**CASES["128 bits"] | change)


def test_needed() -> None:
    assert AxiReader.needed_depth(60, 64) == 63 + 60 + AxiReader.turnaround == 127
    assert AxiReader.needed_depth(60, 64, gap=100, interval=2) == 63 + (160 + AxiReader.turnaround) // 2
    assert [AxiReader.needed_outstanding(latency, 16) for latency in (1, 14, 15, 30, 31)] == [2, 2, 3, 3, 4]
    assert AxiReader.needed_outstanding(31, 16, 2) == 2
