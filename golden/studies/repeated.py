# SPDX-License-Identifier: Apache-2.0
"""What storing ternary weights again and again does.

*Kept*: values that are already -s, 0 and s keep s. *Mean again*: the scale is the mean magnitude of whatever is
found, as for latent weights, so it shrinks by the share of non-zeros each time.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch

from tritforge.golden.arrays import FLOAT32, STORED
from tritforge.golden.checkpoints.preternary import dequantise
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.model.reference import ReferenceModel
from tritforge.golden.studies.compare import TOKENS, Row, Yardstick
from tritforge.golden.ternary import Ternary, ternarise
from tritforge.golden.train.latent import ternarise_latent

Step = Callable[[Ternary], Ternary]
TIMES = (1, 2, 3)
"""How often trits are stored and loaded, if nothing else is said."""


def keep(dtype: np.dtype, ternary: Ternary) -> Ternary:
    """Store trits times scale in a type and load them."""
    return ternarise(dequantise(ternary, dtype))


def mean_again(ternary: Ternary) -> Ternary:
    """Store trits times scale in float32 and take them for latent weights."""
    trits, scale = ternarise_latent(torch.from_numpy(dequantise(ternary, FLOAT32)))
    return Ternary(trits.to(torch.int8).numpy(), scale.item())


ROUTES: dict[str, Step] = {f"kept, {dtype.name}": partial(keep, dtype) for dtype in STORED.values()}
ROUTES["mean again"] = mean_again


def repeated(model: ReferenceModel, step: Step, times: int) -> ReferenceModel:
    """A copy of the model whose products went through ``step`` so many times."""
    linears = dict(model.linears)
    for _ in range(times):
        linears = {name: step(ternary) for name, ternary in linears.items()}
    return ReferenceModel(model.config, model.tensors, linears)


def measure(
    checkpoint: Checkpoint, text: str | None = None, tokens: int = TOKENS, times: Sequence[int] = TIMES
) -> list[Row]:
    """The scales that are left, and the distance to the reference, for every route and number of times."""
    yardstick = Yardstick(checkpoint, text, tokens=tokens)
    rows, before = [], yardstick.model
    for name, step, count in [("as it is", mean_again, 0), *((*r, n) for r in ROUTES.items() for n in times)]:
        after = repeated(before, step, count)
        left = [after.linears[n].scale / ternary.scale for n, ternary in before.linears.items()]
        rows.append({"route": name, "times": count, "scale left": sum(left) / len(left), **yardstick.measure(after)})
    return rows
