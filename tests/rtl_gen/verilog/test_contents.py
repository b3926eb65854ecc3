# SPDX-License-Identifier: Apache-2.0
"""Contents of memories, written by rows, are what Amaranth writes."""

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, signed, unsigned
from amaranth.hdl._ast import Shape
from amaranth.lib.memory import Memory

from tritforge.rtl_gen.verilog.contents import by_rows


@pytest.mark.parametrize(
    ("shape", "depth", "init"),
    [
        (unsigned(5), 4, [1, 2, 30]),
        (signed(7), 3, [-64, -1, 63]),
        (unsigned(1), 1, [1]),
        (unsigned(32), 9, []),
        (unsigned(3), 0, []),
    ],
)
def test_the_text_is_amaranths(shape: Shape, depth: int, init: list[int]) -> None:
    def text() -> str:
        m = Module()
        for name in ("one", "other"):
            m.submodules[name] = memory = Memory(shape=shape, depth=depth, init=init)
            memory.read_port()
        return rtlil.convert(m, ports=(), emit_src=False)

    wanted = text()
    with by_rows():
        found = text()
    assert found == wanted == text() and "meminit" in found
