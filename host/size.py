# SPDX-License-Identifier: Apache-2.0
"""Bytes of an image before there is a checkpoint to pack: ``python -m host.size SHAPE``."""

import argparse
import math

from golden.compare import Row, print_rows
from golden.config import ModelConfig
from host.cli_checkpoint import parse_shape
from host.image import image_header
from host.models import DEFAULT_PRESET
from hw.params import CoreParams, preset


def measure(config: ModelConfig, core: CoreParams, bits: int, group: int) -> Row:
    """Bytes of embedding, body and image, and bits of a ternary weight with padding, gains and constants."""
    header = image_header(config, core, bits, group)
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


def main() -> None:
    """Print a line for each way to store the embedding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shape", help="a published name, or hidden,layers,intermediate,vocab")
    parser.add_argument("--preset", default=DEFAULT_PRESET, help="the core")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    config, core = parse_shape(given.shape), preset(given.preset)
    ways = [
        (16, math.gcd(config.hidden, 32)),
        *((8, math.gcd(config.hidden, n)) for n in (32, 64, 128, config.hidden)),
    ]
    print_rows([measure(config, core, *way) for way in ways], given.json)


if __name__ == "__main__":
    main()
