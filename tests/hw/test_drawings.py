# SPDX-License-Identifier: Apache-2.0
"""The drawings of cycles in docstrings show the units' own latencies."""

import inspect

from tritforge.hw.codes.quantiser import Quantiser
from tritforge.hw.codes.store import VectorStore
from tritforge.hw.control.sequencer import Sequencer
from tritforge.hw.operations import Op, slots
from tritforge.hw.params import preset
from tritforge.hw.scales.scales import ScaleUnit
from tritforge.hw.stream.front import StreamFront
from tritforge.hw.vector.path import VectorPath

CORE = preset("edge")


def drawn(unit: type) -> dict[str, dict[int, str]]:
    """Of each line of a unit's drawing, what stands there by the cycle; "~" is time left out."""
    lines = (line.split() for line in inspect.getdoc(unit).splitlines())
    cycles = next(words for words in lines if words[:2] == ["cycle", "0"])[1:]
    rows = {}
    for words in lines:
        if not words:
            return rows
        values = zip(cycles, words[-len(cycles) :], strict=True)
        rows[" ".join(words[: -len(cycles)])] = {int(at): word for at, word in values if at != "~"}
    raise ValueError("The drawing has no end.")


def first(row: dict[int, str], nothing: str = ".", after: int = -1) -> int:
    """The first cycle with something."""
    return next(cycle for cycle, word in row.items() if word != nothing and cycle > after)


def last(row: dict[int, str]) -> int:
    """The last one."""
    return max(cycle for cycle, word in row.items() if word != ".")


def test_front() -> None:
    rows = drawn(StreamFront)
    ready, beats, drained = rows["weights.tready"], rows["a beat comes"], first(rows["packet.drained"])
    assert first(ready) - first(rows["codes.available"], "0") == StreamFront.latency
    assert first(ready, after=drained) - drained == StreamFront.drained_latency
    assert [at for at in ready if ready[at] == "#"] == [at for at in beats if beats[at] != "."]
    fed = {at: word for at, word in rows["feed.valid"].items() if word != "."}
    assert fed == {at + 1: word for at, word in beats.items() if word[0] in "AB" and word != "."}
    assert all(int(word[1]) == int(rows["codes.address"][at - 1]) for at, word in fed.items())
    put = {at for at, word in rows["side.put"].items() if word == "#"}
    assert put == {at + 1 for at, word in beats.items() if word == "g" and at + 1 in beats}


def test_store() -> None:
    rows = drawn(VectorStore)
    ready, available = first(rows["factors.ready"]), first(rows["reads.available"], "0")
    address, codes = first(rows["reads.address"]), first(rows["codes"])
    assert first(rows["busy"]) == ready and available - ready == VectorStore.latency
    assert ready == ScaleUnit.reciprocal_latency - 1, "the store is told of the dependency a cycle later"
    assert first(rows["and from it"]) - first(rows["to the quantiser"]) == Quantiser.latency
    assert address - available == StreamFront.latency and codes - address == VectorStore.read_latency
    assert first(rows["and from it"]) < address, "what is read was written"


def test_scales() -> None:
    rows = drawn(ScaleUnit)
    ready = first(rows["select.ready (0)"])
    assert first(rows["factors.ready"]) == ScaleUnit.reciprocal_latency
    assert ready == ScaleUnit.root_latency + ScaleUnit.scale_latency
    # the other two matrices follow one a cycle, and the last is seen a cycle after it is done
    assert last(rows["scaling"]) == ready + 1


def test_sequencer() -> None:
    rows = drawn(Sequencer)
    issues = [at for at, word in rows["rows.tag.valid"].items() if word == "#"]
    empty, valid = first(rows["rows.empty"]), first(rows["scale_words.valid"], after=30)
    assert issues[0] - first(rows["array.loaded"]) == Sequencer.reaction
    assert issues[1] - issues[0] == slots(CORE)[Op.OUT]
    assert rows["array.drain"] == rows["rows.tag.valid"] and first(rows["packet.drained"]) == issues[1]
    assert empty - issues[1] == VectorPath(CORE).until_empty[Op.OUT]
    assert first(rows["course.dependency"]) - empty == Sequencer.conclusion
    assert valid - last(rows["reading"]) == Sequencer.read_latency + 1
    assert first(rows["course.begin"]) == valid + 1


def test_vector_path() -> None:
    unit, rows = VectorPath(CORE), {}
    for words in (line.split() for line in inspect.getdoc(VectorPath).splitlines()):
        if len(words) == 2 and words[0] in Op.__members__ and words[1].startswith("i"):
            rows[Op[words[0]]] = words[1]
    assert rows.keys() == unit.arrival.keys()
    for op, row in rows.items():
        assert len(row) - 1 == row.index("e") == unit.until_empty[op]
        assert row.find("b") == unit.until_buffered.get(op, -1)
        assert row.find("g") == (unit.arrival[op] if op not in (Op.I, Op.GATE) else -1)
