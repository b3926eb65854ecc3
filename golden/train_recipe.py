# SPDX-License-Identifier: Apache-2.0
"""How to train: lengths, rates and their schedule, what is dropped."""

import math
from dataclasses import dataclass


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
    fall
        Powers of ten that the rate falls by, evenly over the run: trits near a rounding threshold settle only
        at small rates, through which a cosine rushes. What is not quantised falls by half as many, so that it
        still learns once the trits have settled. With 0 the rate of all falls as a cosine, to zero.
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
    fall: float = 0.0
    muon: bool = False
    drop: float = 0.1
    noise: float = 0.0
    plain: bool = False
    seed: int = 0
    every: int = 250

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("Give either --steps or --minutes.")
        for name in ("steps", "minutes", "batch", "window", "lr", "every"):
            if getattr(self, name) is not None and getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}.")
        if self.fall < 0:
            raise ValueError(f"fall is a number of powers of ten, 0 or more, not {self.fall}.")
        for name in ("drop", "noise"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is a share in 0..1, not {getattr(self, name)}.")

    def done(self, step: int, seconds: float) -> float:
        """Return the share of the run that is over."""
        return min(1.0, step / self.steps if self.steps is not None else seconds / (60 * self.minutes))

    def rate(self, done: float, quantised: bool = True) -> float:
        """Return the learning rate of what is `quantised` or is not: a linear rise, then a fall."""
        decades = self.fall if quantised else self.fall / 2
        fall = 10 ** (-decades * done) if self.fall else 0.5 * (1 + math.cos(math.pi * done))
        return self.lr * min(1.0, (done + 1e-3) / self.warmup) * fall
