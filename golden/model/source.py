# SPDX-License-Identifier: Apache-2.0
"""What the integers of a model may come from."""

from typing import Protocol

from tritforge.golden.checkpoints.config import ModelConfig
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.model.embedding import Embedding
from tritforge.golden.model.formats import Formats
from tritforge.golden.model.quantise import IntegerHead, IntegerLayer


class IntegerSource(Protocol):
    """What the integer model runs from: a quantised checkpoint or a packed image."""

    config: ModelConfig
    fmt: Formats

    @property
    def embedding(self) -> Embedding: ...

    def layer(self, index: int) -> IntegerLayer: ...

    def head(self) -> IntegerHead: ...


class Quantised(IntegerSource, Protocol):
    """What an image is packed from: a quantised checkpoint, or one with other trits."""

    checkpoint: Checkpoint
