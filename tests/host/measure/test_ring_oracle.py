# SPDX-License-Identifier: Apache-2.0
"""The judge of the mutants of linked cores lets pass what is right, and finds a ring that is not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hw.test_ring import RINGS
from tritforge.host.measure.mutants.oracle import Oracle
from tritforge.rtl_gen.verilog.cached import TOP, cached_verilog
from tritforge.sim.build_harness import build_harness
from tritforge.sim.mutate.ring import MutantRings
from tritforge.sim.ring.simulator import SimRing

PARAMS = RINGS["4x2"]


@pytest.fixture(scope="module")
def library() -> Path:
    return build_harness(cached_verilog(PARAMS), TOP, PARAMS.lanes, link_bytes=PARAMS.link_bytes)


@pytest.fixture(scope="module")
def oracle(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    # it asks the right ring twice
    oracle = Oracle(PARAMS, tmp_path_factory.mktemp("models"))
    assert oracle.learn(library) > 1000
    yield oracle


@pytest.mark.parametrize(("change", "check"), [("cut", "registers after reset"), ("late", "first tokens")])
def test_another_ring_is_found(
    change: str, check: str, oracle: Oracle, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One without a link, and one whose streams stall."""
    made = MutantRings.ring

    def changed(self: MutantRings, count: int, *course: object) -> SimRing:
        ring = made(self, count, stalls=(0.5,)) if change == "late" else made(self, count)
        if change == "cut":
            ring.ring.cut(0)
        return ring

    monkeypatch.setattr(MutantRings, "ring", changed)
    found = oracle.judge(library, 0)
    assert found and (found.check, found.how) == (check, "differs")
