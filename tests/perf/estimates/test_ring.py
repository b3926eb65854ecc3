# SPDX-License-Identifier: Apache-2.0
"""The closed form of a token's cycles on many cores against the RTL's own counters."""

import subprocess
import sys

import pytest

from tritforge.host.measure.scaling import together
from tritforge.hw.link.message import with_link
from tritforge.hw.params import CoreParams, preset
from tritforge.hw.schedule import Shape
from tritforge.perf.estimates.ring import RingModel
from tritforge.sim.ring.feed import Links

TINY = with_link(preset("tiny"))
SHAPES = (Shape(64, 1, 160, 256), Shape(64, 2, 160, 256), Shape(128, 2, 160, 256))


def error(params: CoreParams, shape: Shape, cores: int, latency: int) -> float:
    counted = together(params, shape, cores, Links(latency)).slowest.cycles
    return max(one.total for one in RingModel(params, latency).packet(shape, cores)) / counted - 1


@pytest.mark.parametrize("latency", [0, 10, 200])
@pytest.mark.parametrize("cores", [1, 2])
def test_it_is_exact_for_two_cores(cores: int, latency: int) -> None:
    """Which its constants are of."""
    for shape in SHAPES if cores == 2 else SHAPES[:1]:
        assert error(TINY, shape, cores, latency) == 0, shape


@pytest.mark.parametrize(("latency", "most"), [(0, 0.01), (50, 0.025)])
@pytest.mark.parametrize("cores", [3, 4, 8])
def test_it_predicts_more(cores: int, latency: int, most: float) -> None:
    """Short rows and little of them: the ring is what these wait for, and its length says who waits for whom."""
    for shape in SHAPES:
        assert abs(error(TINY, shape, cores, latency)) < most, shape


QUIET = """
from amaranth.back import rtlil
from tritforge.hw.lib.multiplier import Multiplier
from tritforge.hw.link.message import with_link
from tritforge.hw.params import preset
from tritforge.perf.estimates.ring import RingModel
rtlil.convert(Multiplier(8, 8))
RingModel(with_link(preset("tiny")))
"""


def test_units_that_are_only_asked_are_not_missed() -> None:
    """Once something is elaborated, Amaranth warns of every unit that is not."""
    done = subprocess.run([sys.executable, "-c", QUIET], capture_output=True, text=True, check=True)
    assert done.stderr == ""
