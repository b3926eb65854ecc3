# SPDX-License-Identifier: Apache-2.0
"""The two backends that are the specification's own: the float32 reference and the integer model, with PyTorch."""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from tritforge.golden.model import addsub, integer
from tritforge.golden.model.activations import Activations
from tritforge.golden.model.integer import INT8, IntegerModel
from tritforge.golden.model.quantise import IntegerHead, IntegerLayer
from tritforge.golden.model.reference import ReferenceModel
from tritforge.golden.model.source import IntegerSource
from tritforge.host.run.backends import Advance, Arith, Backend, Exact, Ids, Output, check_ids, held

PRODUCTS = {Arith.MATMUL: integer.accumulate, Arith.ADDSUB: addsub.accumulate}


class FloatBackend:
    """The float32 reference."""

    def __init__(self, model: ReferenceModel) -> None:
        self.config = model.config
        self._model, self._state = model, model.initial_state()

    def run(self, ids: Ids, logits: bool = True, advance: Advance | None = None) -> Output:
        """See `Backend`."""
        check_ids(ids, self.config.vocab)
        values, self._state = self._model.forward(torch.from_numpy(ids), self._state, last=not logits)
        found = held(values.numpy())
        return Output(found.argmax(-1), found if logits else None)

    def reset(self) -> None:
        """See `Backend`."""
        self._state = self._model.initial_state()

    def state(self) -> NDArray[np.float32]:
        """See `Backend`."""
        return self._state.numpy()

    def counters(self) -> None:
        """See `Backend`."""
        return None

    def saturations(self) -> None:
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
        self._state = self._model.initial_state()

    def run(self, ids: Ids, logits: bool = True, advance: Advance | None = None) -> Output:
        """See `Backend`."""
        check_ids(ids, self.config.vocab)
        found, self._state = self._model.forward(torch.from_numpy(ids), self._state, last=not logits)
        if not logits:
            return Output(found.raw.numpy().argmax(-1))
        exact = Exact(found.raw.numpy(), found.mantissa.numpy(), found.shift.numpy())
        return Output(exact.raw.argmax(-1), exact.logits(), exact)

    def reset(self) -> None:
        """See `Backend`."""
        self._state = self._model.initial_state()

    def state(self) -> NDArray[np.int32]:
        """See `Backend`."""
        return self._state.int().numpy()

    def counters(self) -> None:
        """See `Backend`."""
        return None

    def saturations(self) -> int:
        """See `Backend`."""
        return self._model.saturations


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


class Scored:
    """A backend as `golden.checkpoints.text.Model`; the state stays inside."""

    def __init__(self, backend: Backend) -> None:
        self.config = backend.config
        self._backend = backend
        backend.reset()

    def forward(self, ids: torch.Tensor, state: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of the next tokens, and nothing for the state."""
        return torch.from_numpy(self._backend.run(ids.numpy()).logits), torch.empty(0)
