# SPDX-License-Identifier: Apache-2.0
"""The window turns accesses into those of Wishbone."""

from pathlib import Path

import pytest

from tests.unit_bench import bench
from tritforge.hw.board.wishbone_window import WishboneWindow


@pytest.mark.parametrize("address_bits", [14, 6])
def test_accesses_become_those_of_wishbone(address_bits: int, tmp_path: Path) -> None:
    parameters = {"address_bits": address_bits}
    assert bench(WishboneWindow(address_bits), "board.wishbone_window", parameters, tmp_path) == ["accesses"]
