# SPDX-License-Identifier: Apache-2.0
"""What can be drawn: any core, alone or in a ring, and models that it takes; the limits of both more often."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tritforge.golden.checkpoints.reader import ModelConfig
from tritforge.golden.model.formats import Formats
from tritforge.host.measure.mutants.cases import Tensors, louder, tied, weights
from tritforge.hw.params import LIMITS, MAX_BATCH, MAX_LINK_BYTES, CoreParams
from tritforge.hw.trits import CODES

MOST_BEATS = 6_000
"""Of a token of one context; eight, and stalls, take ten times as many cycles."""
MOST_WEIGHTS = 6_000_000
"""Of a model, likewise; a layer of 1,024 has four million."""
MOST_STATES = 1 << 21
"""Values of all slots."""
CHANGES: dict[str, Callable[[Tensors], Tensors] | None] = {
    "as drawn": None,
    "loud embeddings": louder("embeddings", 300),
    "quiet embeddings": louder("embeddings", 1e-3),
    "loud o_proj": louder("o_proj.weight", 1e4),
    "loud down_proj": louder("down_proj.weight", 1e4),
    "loud norms": louder("proj.norm", 30),
    "tied": tied,
}
"""What is done to the weights of a model."""


@dataclass(frozen=True)
class Text:
    """A model and how many tokens of it; ``seed`` of both."""

    config: ModelConfig
    seed: int
    change: str
    tokens: int


@dataclass(frozen=True)
class Trial:
    """A core, or a ring of them, and what runs on it. Stalls are probabilities, the latency is of the links."""

    params: CoreParams
    cores: int
    stall: float
    latency: int
    texts: list[Text]


@st.composite
def formats(draw: DrawFn) -> Formats:
    """Any widths."""
    if draw(st.booleans()):
        return Formats()
    wide_bits = draw(st.integers(24, 32))
    return Formats(wide_bits, draw(st.integers(12, wide_bits - 8)), draw(st.integers(12, 17)))


def near(least: int, most: int) -> st.SearchStrategy[int]:
    """The ends of a range, what is beside them, and anything between."""
    beside = [value for value in (least + 1, most - 1) if least <= value <= most]
    return st.one_of(st.sampled_from([least, most, *beside]), st.integers(least, most))


@st.composite
def cores(draw: DrawFn) -> CoreParams:
    """Any core; of a state that fits into a simulation."""
    # the broadest take a minute to build
    lanes = draw(st.sampled_from([*(4, 8, 16, 32, 64) * 3, 128, 256]))
    code = draw(st.sampled_from(sorted(CODES)))
    element_bytes = draw(st.sampled_from([size for size in (1, 2, 4) if lanes >= 2 * size]))
    most_rows = min(lanes // 4, CODES[code].trits * element_bytes)
    vector_rows = draw(st.sampled_from([rows for rows in (1, 2, 4, 8, 16, 32, 64) if rows <= most_rows]))
    batch = draw(st.sampled_from([1, 1, 2, 3, MAX_BATCH]))
    least, most = LIMITS["hidden"]
    hidden = draw(st.one_of(near(least, 300), st.sampled_from([1024, 2048, most])))
    hidden = -(-hidden // vector_rows) * vector_rows
    layers = draw(near(LIMITS["layers"][0], min(LIMITS["layers"][1], max(1, MOST_STATES // (batch * hidden)))))
    return CoreParams(
        lanes=lanes,
        element_bytes=element_bytes,
        code=code,
        act_bits=draw(st.sampled_from([8, 8, 9, 10, 12])),
        vector_rows=vector_rows,
        batch=batch,
        link_bytes=draw(st.sampled_from([0, 0, 0, 1, 2, 3, 8, MAX_LINK_BYTES])),
        max_hidden=hidden,
        max_layers=layers,
        max_intermediate=draw(st.one_of(near(LIMITS["intermediate"][0], 700), st.just(LIMITS["intermediate"][1]))),
        max_vocab=draw(st.one_of(near(*LIMITS["vocab"]), st.integers(2, 1500))),
        formats=draw(formats()),
    )


@st.composite
def models(draw: DrawFn, params: CoreParams, number: int) -> ModelConfig:
    """Any model that so many cores take: dimensions are drawn one after the other, each as far as there is time."""
    # a row group for each core
    least = params.vector_rows * (number - 1) + 1
    shape: dict[str, Any] = {"hidden": least, "layers": 1, "intermediate": least, "vocab": max(2, least)}
    ends: dict[str, Any] = {"bos": 0, "eos": (1,)}
    most = min(MOST_WEIGHTS, MOST_BEATS * params.lanes * params.trit_code.trits)
    for name in draw(st.permutations(list(shape))):
        low, high = shape[name], params.limits[name]
        while high > low and weights(ModelConfig(**ends | shape | {name: high})) > most:
            high = (low + high) // 2
        shape[name] = draw(near(low, max(low, high)))
    return ModelConfig(**ends | shape, use_lower_bound=draw(st.booleans()))


@st.composite
def trials(draw: DrawFn) -> Trial:
    """A core and three models of it."""
    params = draw(cores())
    most = min(params.limits[name] for name in ("hidden", "intermediate", "vocab")) // params.vector_rows
    number = draw(st.sampled_from([cores for cores in (1, 2, 3, 5) if cores <= max(1, most)])) if params.linked else 1
    return Trial(
        params,
        number,
        draw(st.sampled_from([0.0, 0.0, 0.4])),
        draw(st.sampled_from([0, 1, 9])) if params.linked else 0,
        [
            Text(
                draw(models(params, number)),
                draw(st.integers(0, 1 << 16)),
                draw(st.sampled_from(sorted(CHANGES))),
                draw(st.integers(2, 6)),
            )
            for _ in range(3)
        ],
    )
