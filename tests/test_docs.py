# SPDX-License-Identifier: Apache-2.0
"""Generated documents are what their sources generate."""

from pathlib import Path

from hw.register_map import markdown

DOCS = Path(__file__).parents[1] / "docs"


def test_the_register_document_is_current() -> None:
    """If this fails: tritforge verilog -o build/verilog && cp build/verilog/registers.md docs/."""
    assert (DOCS / "registers.md").read_text() == markdown()
