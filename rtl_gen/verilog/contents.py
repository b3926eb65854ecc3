# SPDX-License-Identifier: Apache-2.0
"""Contents of memories as Amaranth writes them, but row by row: an object for each bit takes most of the time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from amaranth.back import rtlil
from amaranth.hdl import _nir

_emit_memory = rtlil.ModuleEmitter.emit_memory


@contextmanager
def by_rows() -> Iterator[None]:
    """Amaranth writes RTLIL faster, the same to the byte."""
    with patch.object(rtlil.ModuleEmitter, "emit_memory", _by_rows):
        yield


def _by_rows(emitter: Any, index: int, memory: Any) -> None:
    facts = {name: getattr(memory, name) for name in ("width", "depth", "name", "attributes", "src_loc")}
    _emit_memory(emitter, index, _nir.Memory(memory.module_idx, init=(), **facts))
    bits = [f"{row & (1 << memory.width) - 1:0{memory.width}b}" for row in reversed(memory.init)]
    if memory.width and bits:
        cell = next(reversed(emitter.builder.contents.values()))
        cell.ports["DATA"] = f"{memory.width * memory.depth}'{''.join(bits)}"
