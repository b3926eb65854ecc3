# SPDX-License-Identifier: Apache-2.0
"""The page of the board has the registers that the gateware has."""

from tritforge.hw.board.machine_map import markdown
from tritforge.rtl_gen.cache.folder import ROOT


def test_the_page_has_the_map() -> None:
    assert markdown() in (ROOT / "docs" / "board.md").read_text()
