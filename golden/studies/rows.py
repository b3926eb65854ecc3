# SPDX-License-Identifier: Apache-2.0
"""What embedding rows of fewer bits or larger groups cost."""

import math

import torch

from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.model.integer import IntegerModel
from tritforge.golden.model.quantise import EMBEDDING, IntegerCheckpoint
from tritforge.golden.studies.compare import TOKENS, Row, Yardstick

GROUPS = (32, 64, 128, 0)
"""Values that share a scale; 0 is a whole row."""


def measure(checkpoint: Checkpoint, text: str | None = None, tokens: int = TOKENS) -> list[Row]:
    """Bytes, rms error of the rows over their rms, and the distance of the integer model to the reference."""
    yardstick = Yardstick(checkpoint, text, tokens=tokens)
    table, hidden, rows = checkpoint.tensor(EMBEDDING), checkpoint.config.hidden, []
    for bits in (16, 8):
        for group in dict.fromkeys(math.gcd(hidden, group) for group in GROUPS):
            source = IntegerCheckpoint(checkpoint, None, bits, group)
            embedding = source.embedding
            found = torch.from_numpy(embedding.rows(range(len(table)))).double() * 2.0**-embedding.residual_frac
            error = ((found - table).square().mean() / table.square().mean()).sqrt().item()
            size = embedding.codes.nbytes + embedding.scales.nbytes
            facts: Row = {"bits": bits, "group": group, "bytes": size, "row error": error}
            rows.append(facts | yardstick.measure(IntegerModel(source)))
    return rows
