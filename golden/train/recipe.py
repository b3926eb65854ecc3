# SPDX-License-Identifier: Apache-2.0
"""How to train: lengths, rates and their schedule, what is dropped."""

import math
from dataclasses import dataclass

from tritforge.golden import TritforgeError


@dataclass(frozen=True)
class Recipe:
    """How to train; everything but the data.

    Attributes
    ----------
    steps, minutes
        The end, by count or by the clock; exactly one is given, and the schedule follows it.
    batch, window
        Sequences a step and tokens a sequence.
    lr, warmup, decay
        Peak learning rate, share of the run it rises over, weight decay of the matrices.
    settle
        Share of the run, at its end, in which the ternary matrices rest: trits near a rounding threshold flip at any
        rate, and what is not quantised learns well only once they are still. 1: the matrices never learn.
    muon
        Whether Muon steps the matrices of the layers, not AdamW.
    drop
        Dropout.
    noise
        Share of the tokenizer's merges skipped at random in all but one of the corpus's copies; with 0
        there is one copy. The library seeds this by itself, so a resumed run has other copies.
    plain
        Whether to train a teacher, whose products are not quantised.
    seed
        Of initial weights, windows and dropout.
    every
        Steps between evaluations.
    """

    steps: int | None = None
    minutes: float | None = None
    batch: int = 64
    window: int = 256
    lr: float = 4e-3
    warmup: float = 0.03
    decay: float = 0.1
    settle: float = 0.0
    muon: bool = False
    drop: float = 0.1
    noise: float = 0.0
    plain: bool = False
    seed: int = 0
    every: int = 250

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise TritforgeError("Give either --steps or --minutes.")
        for name in ("steps", "minutes", "batch", "window", "lr", "every"):
            if getattr(self, name) is not None and getattr(self, name) <= 0:
                raise TritforgeError(f"{name} must be positive, not {getattr(self, name)}.")
        if not 0 <= self.settle <= 1:
            raise TritforgeError(f"settle is a share in 0..1, not {self.settle}.")
        for name in ("drop", "noise"):
            if not 0 <= getattr(self, name) < 1:
                raise TritforgeError(f"{name} is a share in 0..1, not {getattr(self, name)}.")

    def done(self, step: int, seconds: float) -> float:
        """Return the share of the run that is over."""
        return min(1.0, max(step / (self.steps or math.inf), seconds / (60 * (self.minutes or math.inf))))

    def rate(self, done: float, quantised: bool = True) -> float:
        """Return the learning rate of what is `quantised` or is not: a linear rise, then a cosine to zero."""
        end = 1 - self.settle if quantised else 1.0
        if done >= end:
            return 0.0
        return self.lr * min(1.0, (done + 1e-3) / self.warmup) * 0.5 * (1 + math.cos(math.pi * done / end))
