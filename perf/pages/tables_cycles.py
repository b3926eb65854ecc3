# SPDX-License-Identifier: Apache-2.0
"""What documents say of cycles by the closed form: arithmetic on the gateware's own latencies."""

from dataclasses import replace

from tritforge.hw.array.array import ANNOUNCED, array_latency
from tritforge.hw.codes.store import VectorStore
from tritforge.hw.control.sequencer import Sequencer
from tritforge.hw.operations import Op
from tritforge.hw.params import PRESETS, CoreParams
from tritforge.hw.scales.scales import ScaleUnit
from tritforge.hw.stream.front import StreamFront
from tritforge.hw.vector.path import VectorPath
from tritforge.perf.estimates.cycles import CycleModel
from tritforge.perf.estimates.survey import CORES, shape
from tritforge.perf.pages.markdown import table

SHOWN = (Op.OUT, Op.CONTRACT, Op.UP, Op.G)
"""The last rows of each group."""


def dependency() -> str:
    """What a dependency of the preset edge is made of."""
    params = PRESETS["edge"]
    empty = VectorPath(params).until_empty
    issue = VectorStore.read_latency + array_latency(params) - ANNOUNCED + Sequencer.reaction
    quantised = VectorStore.latency + StreamFront.latency
    ends = ", ".join(f"{op.name} {empty[op]}" for op in SHOWN)
    rows = [
        (
            f"{issue}",
            f"the last beat's activation word is read ({VectorStore.read_latency}), then the array: operands, "
            f"decode, conditional adders, accumulator, shadow (`TernaryArray.latency` {array_latency(params)}). The "
            f"sequencer takes {Sequencer.reaction} cycles to issue the first row group (`Sequencer.reaction`) and is "
            f"told {ANNOUNCED} cycles ahead",
        ),
        ("(n - 1) s", "one row group every s cycles"),
        (
            f"{min(empty[op] for op in SHOWN)} to {max(empty[op] for op in SHOWN)}",
            f"until the vector path says that it is empty (`VectorPath.until_empty`): {ends}; one more for each "
            "doubling of the rows a cycle",
        ),
        (
            f"{Sequencer.conclusion}",
            "the sequencer sees that and starts the scalars (`Sequencer.conclusion`): by then it is true",
        ),
        (
            f"{ScaleUnit.reciprocal_latency}",
            "until the reciprocal of the first maximum is three cycles away (`ScaleUnit.reciprocal_latency`), as are "
            "the first values to be quantised; the others follow one a cycle, as they are needed",
        ),
        (
            f"{quantised}",
            f"vector store, quantiser (`VectorStore.latency` {VectorStore.latency}), and while the code is written "
            f"the decision of the front (`StreamFront.latency` {StreamFront.latency}): the next group's first trit "
            "beat is accepted",
        ),
    ]
    return table(("cycles", "what"), (True, True), rows)


def scalars() -> str:
    """When the other scalars are ready."""
    return str(ScaleUnit.root_latency + ScaleUnit.scale_latency)


def occupancy(core: str, model: str) -> str:
    """Share of the cycles in which a model streams on one of `perf.estimates.survey.CORES`."""
    cycles = CycleModel(CORES[core]).packet(shape(model))
    return f"{cycles.beats / cycles.total:.1%}"


def four_bytes(model: str) -> str:
    """What four bytes of an element cost on 64 lanes, against two."""
    return _more(PRESETS["wide"], replace(PRESETS["wide"], element_bytes=2), model)


def one_row(model: str) -> str:
    """What one row a cycle costs on 64 lanes, against two."""
    return _more(PRESETS["wide"], replace(PRESETS["wide"], vector_rows=2), model)


def _more(params: CoreParams, other: CoreParams, model: str) -> str:
    ours, theirs = (CycleModel(one).packet(shape(model)).total for one in (params, other))
    return f"{ours / theirs - 1:.2%}"
