# SPDX-License-Identifier: Apache-2.0
"""The port beside a reader carries out its requests, and the reader's words are its own."""

from pathlib import Path

import pytest

from tests.unit_bench import bench
from tritforge.golden import TritforgeError
from tritforge.hw.memory.axi_port import AxiPort


@pytest.mark.parametrize("bits", [64, 128])
def test_both_get_their_own(bits: int, tmp_path: Path) -> None:
    parameters = {"address_bits": 8, "bits": bits}
    assert bench(AxiPort(8, bits), "memory.axi_port", parameters, tmp_path) == ["both"]


def test_what_a_port_refuses() -> None:
    with pytest.raises(TritforgeError, match="64, 128, 256, 512 bits, not 32"):
        AxiPort(8, 32)
