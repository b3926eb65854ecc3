# SPDX-License-Identifier: Apache-2.0
"""What a simulated board says, compared with the integer model, and how fast."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tritforge.golden import Failure
from tritforge.host.board.backend import BoardBackend
from tritforge.host.board.session import Opened
from tritforge.host.run.models import Model


class TokenError(Failure):
    """A board said another token than the integer model."""


def compared(said: Iterable[int], prompt: list[int], model: Model) -> Iterator[int]:
    """The tokens, each compared with the integer model's before it is given; TokenError where one differs."""
    from tritforge.golden.model.activations import activations
    from tritforge.host.run.golden_backends import IntegerBackend

    golden = IntegerBackend(model.source(), activations=activations(model.params.act_bits, None))
    wanted = int(golden.run(np.array(prompt), logits=False).tokens[-1])
    for number, token in enumerate(said):
        if token != wanted:
            raise TokenError(f"Token {number} is {token} instead of {wanted}.")
        yield token
        wanted = int(golden.run(np.array([token]), logits=False).tokens[-1])


def share(board: Opened, backend: BoardBackend) -> dict[str, Any]:
    """How fast the tokens were that a simulated board has made by itself.

    The share of the peak is the beats of a token in the cycles of a token, from its first request to its result in
    the memory, against as many as the data pins could carry.
    """
    identity = board.board.identity
    assert board.simulated is not None
    beat = board.simulated.params.memory.cycles_of_a_beat(8 * identity.beat_bytes)
    cycles = float(np.mean(backend.cycles)) if backend.cycles else float("nan")
    return {
        "clock_mhz": identity.clock_hz / 1e6,
        "cycles_per_token": cycles,
        "tokens_per_second": identity.clock_hz / cycles,
        "share_of_peak": backend.beats * beat / cycles,
        "peak_mb_per_second": identity.beat_bytes / beat * identity.clock_hz / 1e6,
    }
