# SPDX-License-Identifier: Apache-2.0
"""In a ring every core hears every other one, and nothing ever waits for itself."""

from dataclasses import asdict
from pathlib import Path

import pytest

from tests.hw.link.stops import Stops
from tests.unit_bench import bench
from tritforge.hw.link.message import with_link
from tritforge.hw.params import preset


@pytest.mark.parametrize("count", [2, 3, 8])
def test_ring(count: int, tmp_path: Path) -> None:
    params = with_link(preset("tiny"))
    parameters = {"core": asdict(params), "count": count}
    found = bench(Stops(params, count), "link.ring_stop", parameters, tmp_path)
    assert found == ["everybody_hears_everybody", "a_full_ring_goes_on", "a_message_a_cycle"]
