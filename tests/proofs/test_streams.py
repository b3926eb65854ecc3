# SPDX-License-Identifier: Apache-2.0
"""Streams between units, proved to keep their rule: each proof says something, and finds a bit that is changed."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from amaranth.lib import wiring

from tests.proofs.streams import Proof
from tritforge.hw.link.gearbox import FromLink, ToLink
from tritforge.hw.link.outbox import Outbox
from tritforge.hw.link.ring_stop import RingStop
from tritforge.hw.memory.axi_reader import AxiReader
from tritforge.hw.memory.ring import BeatRing
from tritforge.hw.params import CoreParams
from tritforge.rtl_gen.cache.folder import cache_folder

LEAST = {"max_hidden": 8, "max_layers": 1, "max_intermediate": 8, "max_vocab": 3}
LINKED = CoreParams(lanes=4, link_bytes=2, **LEAST)
UNITS: dict[str, Callable[[], wiring.Component]] = {
    "messages to a link": lambda: ToLink(LINKED),
    "a link to messages": lambda: FromLink(LINKED),
    "a ring of beats": lambda: BeatRing(8, 8),
    "a core's messages": lambda: Outbox(LINKED, 4, 4),
    "a stop of the ring": lambda: RingStop(LINKED),
    "reads at an AXI4 port": lambda: AxiReader(12, 64, burst=2, outstanding=2, depth=8),
}
PARTS = {"a core's messages": "queue"}
"""What is broken where it is not the whole unit: much of it makes what is queued, and may make anything."""
SEEDS = {"a core's messages": 2, "a stop of the ring": 5}
"""Of mutants among which one that breaks the rule comes soon; most break another thing."""
MUTANTS = 40


@pytest.fixture(scope="module", params=UNITS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def proof(name: str) -> Iterator[Proof]:
    # the tools see a /tmp of their own
    with tempfile.TemporaryDirectory(prefix="proof-", dir=cache_folder()) as folder:
        yield Proof(UNITS[name](), Path(folder))


def test_what_is_offered_stays_until_it_is_taken(proof: Proof) -> None:
    """Unbounded: by induction, for any inputs after a reset."""
    assert proof.holds(), "\n".join(proof.said[-30:])


def test_each_channel_can_wait(proof: Proof) -> None:
    waits = proof.waits()
    assert waits and all(waits)


def test_a_changed_bit_is_found(proof: Proof, name: str) -> None:
    mutants = proof.mutants(MUTANTS, PARTS.get(name, ""), SEEDS.get(name, 1))
    assert any(proof.holds(mutant) is False for mutant in mutants)
