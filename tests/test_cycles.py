# SPDX-License-Identifier: Apache-2.0
"""The closed form of a packet's cycles against the RTL's own counters."""

from pathlib import Path

import pytest

from golden.checkpoint import ModelConfig
from host.driver import Driver
from hw.packet import Context
from hw.params import CoreParams
from perf.cycles import CycleModel
from sim.transport import SimTransport
from tests.cores import CORES, packed

MODELS = {
    "64": ModelConfig(hidden=64, layers=2, intermediate=160, vocab=256),
    "128": ModelConfig(hidden=128, layers=3, intermediate=352, vocab=512),
    "256": ModelConfig(hidden=256, layers=2, intermediate=704, vocab=1024),
}
EXACT = [name for name in CORES if name != "4x1"]
"""With 4 lanes and one byte a row the ring of side words holds up the embedding a little, which is left out."""


def contexts(core: CoreParams) -> list[int]:
    return sorted({1, min(2, core.batch), min(4, core.batch)})


@pytest.mark.parametrize("name", CORES)
def test_every_cycle_is_explained(name: str, tmp_path: Path) -> None:
    core = CORES[name]
    model = CycleModel(core)
    with SimTransport(core) as transport:
        for label, config in MODELS.items():
            image = packed(core, tmp_path / label, config)
            driver = Driver(transport, image)
            for count in contexts(core):
                driver.clear_counters()
                driver.step([Context(token, zero=token == 0) for token in range(count)])
                counted, formed = driver.counters(), model.packet(image.shape, count)
                where = f"{label} with {count} contexts"
                assert (formed.beats, formed.repeats) == (counted.beats, counted.repeats), where
                if name in EXACT:
                    assert formed.waits == counted.drain + counted.dependency, where
                    assert formed.total == counted.cycles, where
                else:
                    assert abs(formed.total - counted.cycles) < 0.01 * counted.cycles, where
