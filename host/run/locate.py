# SPDX-License-Identifier: Apache-2.0
"""Finds the first difference between a core's debug taps and the golden integer model."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tritforge.golden.model.activations import Activations
from tritforge.golden.model.formats import Formats
from tritforge.golden.model.integer import INT8, IntegerModel
from tritforge.golden.model.numerics import sigmoid_negative
from tritforge.golden.model.source import IntegerSource
from tritforge.host.run.generate import CHUNK
from tritforge.hw.operations import Op
from tritforge.hw.schedule import Group, Shape, Share
from tritforge.hw.schedule import shares as shares_of

ACC, WIDE = 0, 1
"""Kinds of tap: accumulators, and rows as they arrive at the gain stage."""

_TAPPED = {
    "embedding": (WIDE, Op.EMBED),
    "f.acc": (ACC, Op.F),
    "i.acc": (ACC, Op.I),
    "g.acc": (ACC, Op.G),
    "mix": (WIDE, Op.G),
    "o.acc": (ACC, Op.OUT),
    "out": (WIDE, Op.OUT),
    "expand": (WIDE, Op.UP),
    "down.acc": (ACC, Op.CONTRACT),
    "contract": (WIDE, Op.CONTRACT),
    "head.acc": (ACC, Op.HEAD),
}


GROUPS = {"gate.acc": Group.EXPAND, "up.acc": Group.EXPAND, "expand": Group.EXPAND, "head.acc": Group.HEAD}
"""Those whose rows a point has, where they are not of hidden."""


class Difference(NamedTuple):
    """The first row that differs.

    Attributes
    ----------
    layer, unit, row
        Where: the layer (the layer count for the head), the golden model's name of the point, the row.
    has, wants
        Its values; has is None where the core stopped before.
    """

    layer: int
    unit: str
    row: int
    has: int | None
    wants: int

    def __str__(self) -> str:
        has = "missing" if self.has is None else self.has
        return f"layer {self.layer}, {self.unit}[{self.row}] is {has} instead of {self.wants}"


def locate_difference(
    taps: Sequence[NDArray[np.uint32]],
    source: IntegerSource,
    ids: list[int],
    activations: Activations = INT8,
    shares: Sequence[Share] | None = None,
) -> Difference | None:
    """Compare what cores recorded while they ran the last of the tokens `ids` from a zero state.

    Parameters
    ----------
    taps
        Of each core that shares the model, uint32 [n, 2] of (kind << 4 | op, value), as
        `sim.harness.Harness.fetch_taps` returns them.
    source
        The model.
    ids
        All tokens since the reset.
    activations
        How they code the inputs of products.
    shares
        What each core has of the model; None for one that has all.

    Returns
    -------
    The first difference in the golden model's order; None if every row is equal.
    """
    model, state = IntegerModel(source, activations=activations), None
    for part in torch.tensor(ids[:-1]).split(CHUNK) if len(ids) > 1 else ():
        state = model.forward(part, state, last=True)[1]
    points: list[tuple[int, str, torch.Tensor]] = []
    model.forward(torch.tensor(ids[-1:]), state, lambda layer, unit, values: points.append((layer, unit, values[0])))
    recorded = [_Recorded(of_core) for of_core in taps]
    shares = shares or shares_of(Shape.of(source.config), 1, 1)
    for layer, unit, key, values in _expected(points, model.config.layers, model.fmt):
        for core, share in zip(recorded, shares, strict=True):
            own = share.own(GROUPS.get(unit, Group.OUT))
            has, wants = core.next(key, own.stop - own.start), values[own]
            unequal = np.flatnonzero(has != wants[: len(has)])
            if len(unequal):
                index = int(unequal[0])
                return Difference(layer, unit, own.start + index, int(has[index]), int(wants[index]))
            if len(has) < len(wants):
                return Difference(layer, unit, own.start + len(has), None, int(wants[len(has)]))
    return None


class _Recorded:
    """What one core recorded, by kind and operation, taken from the beginning."""

    def __init__(self, taps: NDArray[np.uint32]) -> None:
        self._values = {int(key): taps[taps[:, 0] == key, 1].view(np.int32) for key in np.unique(taps[:, 0])}

    def next(self, key: int, count: int) -> NDArray[np.int32]:
        """The next so many values; fewer where there are no more."""
        values: NDArray[np.int32] = self._values.get(key, np.zeros(0, np.int32))
        self._values[key] = values[count:]
        return values[:count]


def _expected(
    points: list[tuple[int, str, torch.Tensor]], layers: int, fmt: Formats
) -> Iterator[tuple[int, str, int, NDArray[np.int64]]]:
    """(layer, unit, tap key, values) of the golden points that a core shows, in the golden order."""
    for layer, unit, values in points:
        if unit == "gate.acc":
            gate, up = values.chunk(2)
            yield layer, "gate.acc", ACC << 4 | Op.GATE, gate.numpy()
            yield layer, "up.acc", ACC << 4 | Op.UP, up.numpy()
        elif unit == "f":
            yield layer, "sigmoid(-f)", WIDE << 4 | Op.F, sigmoid_negative(values, fmt).numpy()
        elif unit in _TAPPED:
            kind, op = _TAPPED[unit]
            # before the head the last product has one successor, like OUT, and runs as it
            op = Op.OUT if op is Op.CONTRACT and layer == layers - 1 else op
            yield layer, unit, kind << 4 | op, values.numpy()
