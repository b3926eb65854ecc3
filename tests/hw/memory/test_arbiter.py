# SPDX-License-Identifier: Apache-2.0
"""The arbiter joins ports as if each had the memory for itself, but for waiting."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit_bench import bench
from tritforge.golden import TritforgeError
from tritforge.hw.memory.arbiter import Arbiter

CASES: dict[str, dict[str, Any]] = {
    "three": {"ports": 3, "address_bits": 21, "bits": 128, "writers": [0, 1], "outstanding": 8},
    "two": {"ports": 2, "address_bits": 8, "bits": 32, "writers": [1], "outstanding": 4},
    "one that reads": {"ports": 1, "address_bits": 8, "bits": 16, "writers": [], "outstanding": 8},
}


@pytest.mark.parametrize("name", CASES)
def test_ports_are_joined(name: str, tmp_path: Path) -> None:
    parameters = CASES[name]
    assert bench(Arbiter(**parameters), "arbiter", parameters, tmp_path) == ["joins", "a_request_in_three_cycles"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ports": 0, "writers": []}, "1 port or more, not 0"),
        ({"writers": [3]}, "some of 0 to 2, not \\[3\\]"),
        ({"outstanding": 6}, "2, 4, 8 and so on, not 6"),
        ({"outstanding": 1}, "2, 4, 8 and so on, not 1"),
    ],
)
def test_what_an_arbiter_refuses(change: dict[str, Any], message: str) -> None:
    with pytest.raises(TritforgeError, match=message):
        Arbiter(**CASES["three"] | change)


def test_needed_outstanding() -> None:
    assert [Arbiter.needed_outstanding(latency) for latency in (1, 3, 4, 9, 10, 21, 22)] == [2, 2, 4, 4, 8, 8, 16]
    assert Arbiter.needed_outstanding(16, 8) == 4
