# SPDX-License-Identifier: Apache-2.0
"""Ways to run a model behind one interface, and the core itself as one; of NumPy alone, as a host has it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.config import ModelConfig
from tritforge.host.image.image import Image
from tritforge.host.image.stream import check_token
from tritforge.host.run.driver import Driver, Prediction
from tritforge.host.run.registers import Counters
from tritforge.host.run.ring import RingDriver
from tritforge.host.run.transport import RingTransport, Transport
from tritforge.hw.packet import Context, split_scale

Advance = Callable[[int, int], None]
"""Called with the tokens done and their total."""

Ids = NDArray[np.int64]
"""Tokens [T]."""


class Arith(StrEnum):
    """How the integer model computes its ternary products."""

    MATMUL = "matmul"
    ADDSUB = "addsub"


@dataclass(frozen=True)
class Exact:
    """The integers behind logits = raw * mantissa * 2**-shift: raw int64 [T, V], mantissa and shift int64 [T]."""

    raw: NDArray[np.int64]
    mantissa: NDArray[np.int64]
    shift: NDArray[np.int64]

    def scale(self) -> NDArray[np.float64]:
        """[T]."""
        return np.ldexp(self.mantissa.astype(np.float64), -self.shift)

    def logits(self) -> NDArray[np.float32]:
        """[T, V], rounded once; TritforgeError where float32 cannot hold one."""
        with np.errstate(over="ignore"):
            return held((self.raw * self.scale()[:, np.newaxis]).astype(np.float32))


@dataclass(frozen=True)
class Output:
    """What a model says after each of T tokens.

    Attributes
    ----------
    tokens
        [T], the largest logit's index, the lowest where several are equal; at least the last one's where no logits
        were asked for.
    logits
        [T, V], None where they were not asked for.
    exact
        The integers behind the logits, None in float.
    """

    tokens: Ids
    logits: NDArray[np.float32] | None = None
    exact: Exact | None = None

    @property
    def integers(self) -> Exact:
        """`exact` of a backend that has it and was asked for logits; ValueError where it is None."""
        if self.exact is None:
            raise ValueError("This output has no exact logits.")
        return self.exact


class Backend(Protocol):
    """A model with a state that advances with every token.

    Attributes
    ----------
    config
        The model's configuration.
    """

    config: ModelConfig

    def run(self, ids: Ids, logits: bool = True, advance: Advance | None = None) -> Output:
        """Run the tokens [T]; TritforgeError for one outside the vocabulary, before anything is run.

        Without `logits` only what follows the last token is sure to be told.
        """
        ...

    def reset(self) -> None:
        """Go back to a zero state."""
        ...

    def state(self) -> NDArray[np.float32] | NDArray[np.int32]:
        """The state [L, d]: float32, or int32 with `frac` fraction bits."""
        ...

    def counters(self) -> Counters | None:
        """The core's counters since the backend was made; None where there is no core."""
        ...

    def saturations(self) -> int | None:
        """Results too large for their integers since the backend was made; None in float."""
        ...


class CoreBackend:
    """A core behind its driver, or several that share the model.

    Parameters
    ----------
    transport
        The link to the core, or to the cores of a ring.
    image
        The model.
    outlier_threshold
        See `Driver`.
    """

    def __init__(
        self, transport: Transport | RingTransport, image: Image, outlier_threshold: float | None = None
    ) -> None:
        self.config = image.config
        if isinstance(transport, RingTransport):
            self.driver: Driver = RingDriver(transport, image, outlier_threshold)
        else:
            self.driver = Driver(transport, image, outlier_threshold)
        self.driver.clear_counters()
        self._fresh = True

    def run(self, ids: Ids, logits: bool = True, advance: Advance | None = None) -> Output:
        """See `Backend`; each packet takes as many tokens as the core has contexts, all in slot 0."""
        check_ids(ids, self.config.vocab)
        results: list[Prediction] = []
        for start in range(0, len(ids), self.driver.params.batch):
            part = ids[start : start + self.driver.params.batch]
            contexts = [Context(token, logits=logits) for token in part.tolist()]
            contexts[0] = replace(contexts[0], zero=self._fresh)
            results += self.driver.step(contexts)
            self._fresh = False
            if advance is not None:
                advance(len(results), len(ids))
        tokens = np.array([result.token for result in results])
        if not logits:
            return Output(tokens)
        scales = np.array([split_scale(result.scale) for result in results])
        raw = np.stack([result.logits for result in results if result.logits is not None]).astype(np.int64)
        exact = Exact(raw, scales[:, 0], scales[:, 1])
        return Output(tokens, exact.logits(), exact)

    def reset(self) -> None:
        """See `Backend`; the next context begins from a zero state."""
        self._fresh = True

    def resume(self, state: NDArray[np.int32]) -> None:
        """Go on from a state [L, d] of the integer model."""
        self.driver.write_state(state)
        self._fresh = False

    def state(self) -> NDArray[np.int32]:
        """See `Backend`; read word by word from the core's registers."""
        return self.driver.read_state()

    def counters(self) -> Counters:
        """See `Backend`."""
        return self.driver.counters()

    def saturations(self) -> int:
        """See `Backend`; the core counts the cycles that have any."""
        return self.driver.counters().saturations


def saturation_warnings(count: int | None) -> list[str]:
    """A sentence where there are any, and what it means."""
    if not count:
        return []
    return [
        f"{count:,} results were too large for the integers of the formats and were cut to the largest (saturated), "
        "so what the model says may be wrong: compare it with --backend float."
    ]


def held(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same; TritforgeError where one is not finite."""
    if not np.isfinite(logits).all():
        raise TritforgeError("The values of this model are too large for float32; is the checkpoint damaged?")
    return logits


def check_ids(ids: Ids, vocab: int) -> None:
    """Raise TritforgeError for no tokens at all or one outside the vocabulary."""
    if not len(ids):
        raise TritforgeError("There are no tokens to run; give at least one.")
    for token in (int(ids.min()), int(ids.max())):
        check_token(token, vocab)
