# SPDX-License-Identifier: Apache-2.0
"""The closed form of a packet's cycles against the RTL's own counters."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.cores import CORES, packed
from tritforge.golden.checkpoints.reader import ModelConfig
from tritforge.host.run.driver import Driver
from tritforge.hw.packet import Context
from tritforge.hw.params import CoreParams
from tritforge.perf.estimates.cycles import CycleModel
from tritforge.sim.simulator import SimTransport

ROOT = Path(__file__).parents[3]
MODELS = {
    "64": ModelConfig(hidden=64, layers=2, intermediate=160, vocab=256),
    "128": ModelConfig(hidden=128, layers=3, intermediate=352, vocab=512),
    "256": ModelConfig(hidden=256, layers=2, intermediate=704, vocab=1024),
}
EXACT = [name for name in CORES if name != "4x1"]
"""With 4 lanes and one byte a row the ring of side words holds up the embedding a little, which is left out."""


WIDE = replace(CORES["4x2"], max_hidden=2048, max_intermediate=512, max_layers=1)
"""For the largest hidden size of a published model but one; all else is small, so that it is cheap."""
WIDE_MODEL = ModelConfig(hidden=2048, layers=1, intermediate=352, vocab=256)


def contexts(params: CoreParams) -> list[int]:
    return sorted({1, min(2, params.batch), min(4, params.batch)})


def compare(params: CoreParams, models: dict[str, ModelConfig], folder: Path, exact: bool) -> None:
    """Closed form and counters of each model on a core, with one and more contexts."""
    model = CycleModel(params)
    with SimTransport(params) as transport:
        for label, config in models.items():
            image = packed(params, folder / label, config)
            driver = Driver(transport, image)
            for count in contexts(params):
                driver.clear_counters()
                driver.step([Context(token, zero=token == 0) for token in range(count)])
                counted, formed = driver.counters(), model.packet(image.shape, count)
                where = f"{label} with {count} contexts"
                assert (formed.beats, formed.repeats) == (counted.beats, counted.repeats), where
                if exact:
                    assert formed.waits == counted.drain + counted.dependency, where
                    assert formed.total == counted.cycles, where
                else:
                    assert abs(formed.total - counted.cycles) < 0.01 * counted.cycles, where


@pytest.mark.parametrize("name", CORES)
def test_every_cycle_is_explained(name: str, tmp_path: Path) -> None:
    compare(CORES[name], MODELS, tmp_path, name in EXACT)


def test_every_cycle_is_explained_at_a_hidden_size_of_2048(tmp_path: Path) -> None:
    compare(WIDE, {"2048": WIDE_MODEL}, tmp_path, exact=True)


def test_the_readme_says_how_many_points_are_exact() -> None:
    points = {name: len(MODELS) * len(contexts(params)) for name, params in CORES.items()}
    whole, exact = sum(points.values()), sum(points[name] for name in EXACT)
    of_wide = len(contexts(WIDE))
    said = (ROOT / "README.md").read_text()
    assert f"{exact + of_wide} of {whole + of_wide} points" in said
