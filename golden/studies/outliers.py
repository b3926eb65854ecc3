# SPDX-License-Identifier: Apache-2.0
"""What outliers cost, and what wider codes mend.

The distance is that to the reference whose inputs of products are not quantised at all. *outliers* is the share of
elements at or beyond the threshold, token by token, *vectors with* that of vectors with at least one.
"""

from functools import lru_cache

from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.model.activations import DEFAULT_THRESHOLD, activations
from tritforge.golden.model.int8 import Quantise, QuantisedModel, Share, absmax, exact, extended, llm_int8
from tritforge.golden.model.integer import IntegerModel
from tritforge.golden.model.quantise import IntegerCheckpoint
from tritforge.golden.model.reference import ReferenceModel
from tritforge.golden.model.source import IntegerSource
from tritforge.golden.studies.compare import TOKENS, Row, Yardstick

BITS = (9, 10, 12)
LEAST = 1 / 16


class Kept:
    """An `IntegerSource` that keeps its layers."""

    def __init__(self, source: IntegerSource) -> None:
        self.config, self.fmt, self.embedding = source.config, source.fmt, source.embedding
        self.layer, self.head = lru_cache(None)(source.layer), source.head


def in_float(yardstick: Yardstick) -> list[Row]:
    """Quantised inputs in an otherwise float32 model."""

    def row(name: str, quantise: Quantise, share: Share | None = None) -> Row:
        measured = yardstick.measure(QuantisedModel(yardstick.model, quantise))
        shares = (share.elements, share.vectors) if share else ("", "")
        return {"activations": name, "outliers": shares[0], "vectors with": shares[1], **measured}

    rows = [row("not quantised", exact), row("int8", absmax(8)), row("LLM.int8()", llm_int8(share := Share()), share)]
    for name, power_of_two in ("6 rms", False), ("max / 2^s", True):
        for bits in BITS:
            quantise = extended(bits, share := Share(), power_of_two=power_of_two)
            rows.append(row(f"{bits} bits, 127 is {name}", quantise, share))
    return [*rows, *(row(f"{bits} bits, absmax", absmax(bits)) for bits in (10, 12, 16))]


def in_integers(yardstick: Yardstick, source: IntegerSource) -> list[Row]:
    """The integer model itself."""
    rows = []
    for bits, threshold in [(8, 0.0), *((bits, DEFAULT_THRESHOLD) for bits in BITS), (10, LEAST), (12, LEAST)]:
        model = IntegerModel(source, activations=activations(bits, threshold))
        name = f"integer model, {bits} bits, threshold {threshold:g}"
        rows.append({"activations": name, "outliers": "", "vectors with": "", **yardstick.measure(model)})
    return rows


def measure(checkpoint: Checkpoint, text: str | None = None, tokens: int = TOKENS) -> list[Row]:
    """All ways to code the inputs, in an otherwise float32 model and in the integer model."""
    yardstick = Yardstick(checkpoint, text, QuantisedModel(ReferenceModel.from_checkpoint(checkpoint), exact), tokens)
    return [*in_float(yardstick), *in_integers(yardstick, Kept(IntegerCheckpoint(checkpoint)))]
