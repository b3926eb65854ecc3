# SPDX-License-Identifier: Apache-2.0
"""The estimates that report and picture show: each published model on each platform."""

from dataclasses import dataclass, replace
from functools import cache

from tritforge.golden.checkpoints.config import PUBLISHED
from tritforge.hw.params import PRESETS, CoreParams, limits_for
from tritforge.hw.schedule import Shape
from tritforge.perf.estimates.estimate import Estimate, estimate
from tritforge.perf.estimates.platform import Platform, names, platform
from tritforge.perf.estimates.project import project

CORES: dict[str, CoreParams] = {
    "edge": PRESETS["edge"],
    "wide": PRESETS["wide"],
    "256 lanes": replace(PRESETS["wide"], lanes=256, vector_rows=8),
}
"""The geometries that are tried; each is sized for the model that it runs."""
MANY = (1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64)
"""Numbers of cores that are shown."""
MANY_MODEL, MANY_CORE = "1.3B", "wide"
BATCH = (1, 2, 4, 8)
"""Contexts that the roofline shows."""


@dataclass(frozen=True)
class Choice:
    """A model on a platform, with the fastest of `CORES` that the device has room for."""

    model: str
    core: str
    estimate: Estimate


def sized_core(name: str, shape: Shape, batch: int = 1) -> CoreParams:
    """One of `CORES`, for just this model."""
    return replace(CORES[name], batch=batch, **limits_for(shape))


def shape(model: str) -> Shape:
    """Of a published model."""
    return Shape.of(PUBLISHED[model])


def choose(model: str, there: Platform) -> Choice | None:
    """The fastest core that fits, the smallest of equals; None where none fits."""
    found = [Choice(model, name, estimate(shape(model), sized_core(name, shape(model)), there)) for name in CORES]
    fitting = [choice for choice in found if choice.estimate.fits]
    return max(fitting, key=lambda choice: choice.estimate.rate.nominal, default=None)


@cache
def choices() -> tuple[Choice, ...]:
    """Every model on every platform that has room for it."""
    found = (choose(model, platform(name)) for model in PUBLISHED for name in names())
    return tuple(choice for choice in found if choice)


SAME = (("1.3B", "d5005"), ("370M", "u280"), ("2.7B", "u280"), ("2.7B", "kv260"))
"""Models and platforms of published systems that `perf.estimates.validation` reckons again; 2.7B for BitNet's 2B."""


@cache
def same_platforms() -> tuple[Choice, ...]:
    """What the best number of cores, a power of two, does there: the least hardware within 1 % of the fastest."""
    found = []
    for model, name in SAME:
        options = [
            Choice(model, core, one)
            for core in CORES
            for one in project(
                shape(model), sized_core(core, shape(model)), platform(name), [1 << n for n in range(7)]
            )
            if one.fits
        ]
        best = max(option.estimate.rate.nominal for option in options)
        good = [option for option in options if option.estimate.rate.nominal > 0.99 * best]
        found.append(min(good, key=lambda option: option.estimate.cores * option.estimate.params.lanes))
    return tuple(found)


def missing() -> list[str]:
    """What has no room: model and platform."""
    there = {(choice.model, choice.estimate.platform.name) for choice in choices()}
    return [
        f"{model} on {platform(name).name}"
        for model in PUBLISHED
        for name in names()
        if (model, platform(name).name) not in there
    ]


def many(there: Platform) -> list[Estimate]:
    """`MANY` cores of one kind with one model on a platform."""
    model = shape(MANY_MODEL)
    return project(model, sized_core(MANY_CORE, model), there, MANY)


def batches(choice: Choice) -> list[Estimate]:
    """The same with more contexts in a packet, on a core with as large a batch."""
    model, there = shape(choice.model), choice.estimate.platform
    return [estimate(model, sized_core(choice.core, model, batch), there, batch) for batch in BATCH]
