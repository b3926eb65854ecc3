# SPDX-License-Identifier: Apache-2.0
"""Cores for the units of the vector path, and how a unit and its bench are run."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from amaranth.lib import wiring

from tests.unit_bench import bench
from tritforge.golden.model.formats import Formats
from tritforge.hw.params import CoreParams

LIMITS = {"max_intermediate": 30, "max_layers": 3, "max_vocab": 64}
CORES = {
    "1x1": CoreParams(lanes=4, element_bytes=1, max_hidden=22, **LIMITS),
    # one row group is a whole row block: the row buffers are read right after their last write
    "4x1": CoreParams(
        lanes=16,
        element_bytes=4,
        vector_rows=4,
        max_hidden=24,
        formats=Formats(wide_bits=24, frac=13, mantissa=14),
        **LIMITS,
    ),
    "2x3": CoreParams(lanes=8, vector_rows=2, batch=3, act_bits=10, max_hidden=22, **LIMITS),
    # a row block is longer than any matrix: the numbers of its last row groups do not fit a tag
    "1x2": CoreParams(
        lanes=16, element_bytes=1, batch=2, max_hidden=8, max_intermediate=8, max_layers=2, max_vocab=64
    ),
}
"""Rows a cycle x contexts."""
UNITS = ("1x1", "4x1", "2x3")
"""The cores of the units below the path."""
ATTRIBUTES = ("latency", "maximum_latency", "power_latency", "settled", "until_empty", "until_buffered", "words")


def check(
    make: Callable[[CoreParams], wiring.Component], core: str, test: str, folder: Path, name: str = "vector"
) -> None:
    """Run the cocotb test of a unit in the bench ``tb_NAME``, which is told the unit's latencies."""
    unit = make(CORES[core])
    parameters = {"core": asdict(CORES[core]), "formats": asdict(CORES[core].formats)}
    for attribute in ATTRIBUTES:
        value = getattr(unit, attribute, None)
        parameters[attribute] = (
            {op.name: cycles for op, cycles in value.items()} if isinstance(value, dict) else value
        )
    assert bench(unit, name, parameters, folder, testcase=test) == [test]
