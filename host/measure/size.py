# SPDX-License-Identifier: Apache-2.0
"""Bytes of an image before there is a checkpoint to pack."""

import math
from typing import Any

from tritforge.golden.checkpoints.config import PUBLISHED, ModelConfig
from tritforge.host.image.image import image_header
from tritforge.host.run.fit import DEFAULT_PRESET
from tritforge.hw.params import CoreParams, preset
from tritforge.hw.schedule import MATRICES, Shape, groups
from tritforge.perf.pages.markdown import table


def measure(config: ModelConfig, params: CoreParams, bits: int, group: int) -> dict[str, Any]:
    """Bytes of embedding, body and image, and bits of a ternary weight with padding, gains and constants."""
    header = image_header(config, params, bits, group)
    weights = sum(math.prod(shape) for shape in config.linear_shapes().values())
    length = {name: section.length for name, section in header.sections.items()}
    return {
        "bits": bits,
        "group": group,
        "embedding": length["codes"] + length["scales"],
        "body": length["body"],
        "image": header.size,
        "MiB": header.size / 2**20,
        "per weight": 8 * length["body"] / weights,
    }


def ways(config: ModelConfig, params: CoreParams) -> list[dict[str, Any]]:
    """A line for each way to store the embedding."""
    groups = [(16, 32), *((8, group) for group in (32, 64, 128, config.hidden))]
    return [measure(config, params, bits, math.gcd(config.hidden, group)) for bits, group in groups]


def markdown() -> str:
    """The lines of 2.7B on the default preset, as documents have them."""
    config, lines = PUBLISHED["2.7B"], []
    for row in ways(config, preset(DEFAULT_PRESET)):
        bits = "16 (default)" if row["bits"] == 16 else str(row["bits"])
        group = f"{row['group']}, a row" if row["group"] == config.hidden else str(row["group"])
        counts = (f"{row[key]:,}" for key in ("embedding", "body", "image"))
        lines.append((bits, group, *counts, f"{row['MiB']:.1f}"))
    head = ("embedding bits", "values a scale", "embedding bytes", "body bytes", "image bytes", "MiB")
    return table(head, [False] * len(head), lines)


def body_bits() -> str:
    """Bits of a ternary weight of 2.7B in the body, and what they are."""
    config, params = PUBLISHED["2.7B"], preset(DEFAULT_PRESET)
    shape = Shape.of(config)
    weights = sum(math.prod(size) for size in config.linear_shapes().values())
    whole = float(ways(config, params)[0]["per weight"])
    trits = sum(
        params.blocks(shape.outputs(group)) * len(MATRICES[group]) * params.beats(shape.inputs(group))
        for group, _ in groups(shape)
    )
    packed, multiplied = 8 / params.trit_code.trits, 8 * params.lanes * trits / weights
    return (
        f"{whole:.4f} bits of each ternary weight, lm_head included: {packed:g} the trits, "
        f"{multiplied - packed:.4f} the padding of rows and columns, {whole - multiplied:.4f} gains, "
        "constants and their padding"
    )
