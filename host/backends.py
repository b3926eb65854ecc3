# SPDX-License-Identifier: Apache-2.0
"""Three ways to run a model behind one interface: float32, the golden integers, and the core itself."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from golden import addsub, integer
from golden.activations import Activations
from golden.checkpoint import ModelConfig
from golden.integer import INT8, IntegerLogits, IntegerModel, IntegerSource
from golden.quantise import IntegerHead, IntegerLayer
from golden.reference import ReferenceModel
from host.driver import Counters, Driver, Prediction
from host.image import Image
from host.stream import check_token
from host.transport import Transport
from hw.packet import Context, split_scale

Advance = Callable[[int, int], None]
"""Called with the tokens done and their total."""


class Arith(StrEnum):
    """How the integer model computes its ternary products."""

    MATMUL = "matmul"
    ADDSUB = "addsub"


PRODUCTS = {Arith.MATMUL: integer.accumulate, Arith.ADDSUB: addsub.accumulate}


@dataclass(frozen=True)
class Output:
    """What a model says after each of T tokens.

    Attributes
    ----------
    tokens
        int64 [T], the largest logit's index, the lowest where several are equal.
    logits
        float32 [T, V], None where they were not asked for.
    exact
        The integers behind the logits, None in float.
    """

    tokens: Tensor
    logits: Tensor | None = None
    exact: IntegerLogits | None = None


class Backend(Protocol):
    """A model with a state that advances with every token.

    Attributes
    ----------
    config
        The model's configuration.
    """

    config: ModelConfig

    def run(self, ids: Tensor, logits: bool = True, advance: Advance | None = None) -> Output:
        """Run the tokens int64 [T]; ValueError for one outside the vocabulary, before anything is run."""
        ...

    def reset(self) -> None:
        """Go back to a zero state."""
        ...

    def state(self) -> Tensor:
        """The state [L, d]: float32, or int32 with `frac` fraction bits."""
        ...

    def counters(self) -> Counters | None:
        """The core's counters since the backend was made; None where there is no core."""
        ...


class FloatBackend:
    """The float32 reference."""

    def __init__(self, model: ReferenceModel) -> None:
        self.config = model.config
        self._model = model
        self.reset()

    def run(self, ids: Tensor, logits: bool = True, advance: Advance | None = None) -> Output:
        """See `Backend`."""
        check_ids(ids, self.config.vocab)
        values, self._state = self._model.forward(ids, self._state)
        return Output(values.argmax(-1), values)

    def reset(self) -> None:
        """See `Backend`."""
        self._state = self._model.initial_state()

    def state(self) -> Tensor:
        """See `Backend`."""
        return self._state

    def counters(self) -> None:
        """See `Backend`."""
        return None


class IntegerBackend:
    """The golden integer model.

    Parameters
    ----------
    source
        An image or a quantised checkpoint; its layers are kept once they have been read.
    arith
        How it computes the ternary products; the outcome is the same.
    activations
        How it codes their inputs.
    """

    def __init__(self, source: IntegerSource, arith: Arith = Arith.MATMUL, activations: Activations = INT8) -> None:
        self.config = source.config
        self._model = IntegerModel(Cached(source), PRODUCTS[arith], activations)
        self.reset()

    def run(self, ids: Tensor, logits: bool = True, advance: Advance | None = None) -> Output:
        """See `Backend`."""
        check_ids(ids, self.config.vocab)
        exact, self._state = self._model.forward(ids, self._state)
        return Output(exact.raw.argmax(-1), exact.logits(), exact)

    def reset(self) -> None:
        """See `Backend`."""
        self._state = self._model.initial_state()

    def state(self) -> Tensor:
        """See `Backend`."""
        return self._state.int()

    def counters(self) -> None:
        """See `Backend`."""
        return None


class CoreBackend:
    """A core behind its driver.

    Parameters
    ----------
    transport
        The link to the core.
    image
        The model.
    outlier_threshold
        See `Driver`.
    """

    def __init__(self, transport: Transport, image: Image, outlier_threshold: float | None = None) -> None:
        self.config = image.config
        self.driver = Driver(transport, image, outlier_threshold)
        self.driver.clear_counters()
        self.reset()

    def run(self, ids: Tensor, logits: bool = True, advance: Advance | None = None) -> Output:
        """See `Backend`; each packet takes as many tokens as the core has contexts, all in slot 0."""
        check_ids(ids, self.config.vocab)
        results: list[Prediction] = []
        for part in ids.split(self.driver.core.batch):
            contexts = [Context(token, logits=logits) for token in part.tolist()]
            contexts[0] = replace(contexts[0], zero=self._fresh)
            results += self.driver.step(contexts)
            self._fresh = False
            if advance is not None:
                advance(len(results), len(ids))
        tokens = torch.tensor([result.token for result in results])
        if not logits:
            return Output(tokens)
        scales = torch.tensor([split_scale(result.scale) for result in results])
        raw = torch.from_numpy(np.stack([result.logits for result in results]).astype(np.int64))
        exact = IntegerLogits(raw, scales[:, 0], scales[:, 1])
        return Output(tokens, exact.logits(), exact)

    def reset(self) -> None:
        """See `Backend`; the next context begins from a zero state."""
        self._fresh = True

    def resume(self, state: Tensor) -> None:
        """Go on from a state [L, d] of the integer model."""
        self.driver.write_state(state.int().numpy())
        self._fresh = False

    def state(self) -> Tensor:
        """See `Backend`; read word by word from the core's registers."""
        return torch.from_numpy(self.driver.read_state())

    def counters(self) -> Counters:
        """See `Backend`."""
        return self.driver.counters()


class Cached:
    """An `IntegerSource` that keeps the layers and the head that it has read: a byte a weight."""

    def __init__(self, source: IntegerSource) -> None:
        self.config, self.fmt, self.embedding = source.config, source.fmt, source.embedding
        self._layer, self._head = cache(source.layer), cache(source.head)

    def layer(self, index: int) -> IntegerLayer:
        """One layer."""
        return self._layer(index)

    def head(self) -> IntegerHead:
        """The final norm and lm_head."""
        return self._head()


def check_ids(ids: Tensor, vocab: int) -> None:
    """Raise ValueError for no tokens at all or one outside the vocabulary."""
    if not len(ids):
        raise ValueError("There are no tokens to run; give at least one.")
    for token in (int(ids.min()), int(ids.max())):
        check_token(token, vocab)
