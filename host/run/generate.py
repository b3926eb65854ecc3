# SPDX-License-Identifier: Apache-2.0
"""Token by token generation: sampling, and the comparison of a core with the golden integer model."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tritforge.golden import Failure, TritforgeError
from tritforge.host.run.backends import Advance, Backend, Ids, Output

CHUNK = 64
"""Tokens in one call of a backend: memory does not grow with a text, and there is progress to show."""


class CheckError(Failure):
    """A core that differs from the golden integer model; the message says where first."""


@dataclass(frozen=True)
class Sampler:
    """How the next token is chosen.

    Parameters
    ----------
    temperature
        0 takes the largest logit; otherwise logits are divided by it before the softmax.
    top_k
        Draw among the largest so many; 0 for all.
    seed
        Of NumPy's default generator, which makes one choice like another for every backend.

    Raises
    ------
    TritforgeError
        For a negative temperature, top_k or seed.
    """

    temperature: float = 0.0
    top_k: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise TritforgeError(f"The temperature must be 0 or more, not {self.temperature}.")
        if self.top_k < 0:
            raise TritforgeError(f"top-k must be 0 (all) or more, not {self.top_k}.")
        if self.seed < 0:
            raise TritforgeError(f"The seed must be 0 or more, not {self.seed}.")

    @property
    def greedy(self) -> bool:
        """Whether the argmax is enough."""
        return self.temperature == 0 or self.top_k == 1

    def generator(self) -> np.random.Generator:
        """A generator with the seed."""
        return np.random.default_rng(self.seed)

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Of each token [V] of logits [V], at a temperature above 0."""
        # the largest is taken off first, so that nothing overflows at the lowest temperature
        distance = logits.max() - logits.astype(np.float64)
        with np.errstate(over="ignore"):
            weights: NDArray[np.float64] = np.exp(-distance / self.temperature)
        if self.top_k:
            # a stable sort, so that among equals the lowest index stays
            weights[distance.argsort(kind="stable")[self.top_k :]] = 0
        weights /= weights.sum()
        return weights

    def pick(self, output: Output, generator: np.random.Generator) -> int:
        """The token after the last of an output."""
        if self.greedy:
            return int(output.tokens[-1])
        if output.logits is None:
            raise ValueError("A token cannot be drawn without logits.")
        chances = self.probabilities(output.logits[-1])
        return int(generator.choice(len(chances), p=chances))


class Checked:
    """A backend whose every raw logit is compared with the golden integer model.

    Parameters
    ----------
    backend
        The one under test; exact.
    golden
        The integer model, which it must equal.
    locate
        Given the tokens up to the first one that differs, says in words where in it the difference begins.

    Attributes
    ----------
    config
        The model's configuration.
    history
        The tokens run since the last reset.
    compared
        Tokens found equal so far.
    """

    def __init__(self, backend: Backend, golden: Backend, locate: Callable[[list[int]], str]) -> None:
        self.config = backend.config
        self._locate = locate
        self.history: list[int] = []
        self.compared = 0
        self._backend, self._golden = backend, golden
        self.state, self.counters, self.saturations = backend.state, backend.counters, backend.saturations

    def run(self, ids: Ids, logits: bool = True, advance: Advance | None = None) -> Output:
        """See `Backend`; raise CheckError at the first token that differs."""
        output, golden = self._backend.run(ids, True, advance), self._golden.run(ids)
        for position, token in enumerate(ids.tolist()):
            self.history.append(token)
            different = difference(output, golden, position)
            if different:
                where = self._locate(self.history)
                raise CheckError(f"Token {len(self.history) - 1} of the sequence differs: {different}; {where}.")
            self.compared += 1
        return output

    def reset(self) -> None:
        """See `Backend`."""
        self.history.clear()
        self._backend.reset()
        self._golden.reset()


def difference(output: Output, golden: Output, position: int) -> str | None:
    """Where the exact results of one position differ first, in words, or None."""
    raw, expected = output.integers.raw[position], golden.integers.raw[position]
    unequal = np.flatnonzero(raw != expected)
    if len(unequal):
        index = int(unequal[0])
        return f"logit {index} is {int(raw[index])} instead of {int(expected[index])} ({len(unequal)} differ)"
    for name in ("mantissa", "shift"):
        has, wants = (int(getattr(o.integers, name)[position]) for o in (output, golden))
        if has != wants:
            return f"the {name} of the logit scale is {has} instead of {wants}"
    if output.tokens[position] != golden.tokens[position]:
        return f"the argmax is {int(output.tokens[position])} instead of {int(golden.tokens[position])}"
    return None


def after(advance: Advance | None, start: int, total: int) -> Advance | None:
    """What tells `advance` of the tokens of a part, `start` of `total` before it."""
    return advance and (lambda done, _: advance(start + done, total))


@runtime_checkable
class Independent(Protocol):
    """A backend that goes on from a token by itself (`host.board.backend.BoardBackend`).

    Attributes
    ----------
    independent
        Whether it can.
    """

    @property
    def independent(self) -> bool: ...

    def play(self, token: int, count: int) -> Iterator[int]:
        """Run a token, and give up to ``count`` that follow, each the argmax; one that ends the text is the last."""
        ...


def generate(
    backend: Backend, prompt: list[int], count: int, sampler: Sampler, advance: Advance | None = None
) -> Iterator[int]:
    """Run the prompt from a zero state, then yield up to `count` tokens, ending before end-of-text.

    Parameters
    ----------
    backend
        The model.
    prompt
        At least one token.
    count
        Most tokens to yield.
    sampler
        Chooses them.
    advance
        Called while the prompt is run.
    """
    backend.reset()
    generator = sampler.generator()
    ids = np.array(prompt, dtype=np.int64)
    if sampler.greedy and isinstance(backend, Independent) and backend.independent:
        for start, stop in pairwise([*range(0, len(ids) - 1, CHUNK), len(ids) - 1]):
            backend.run(ids[start:stop], False, after(advance, start, len(ids)))
        yield from (token for token in backend.play(prompt[-1], count) if token not in backend.config.eos)
        return
    # only the last token's logits are drawn from
    single = [] if sampler.greedy else [len(ids) - 1]
    *parts, (last, _) = pairwise([*range(0, len(ids) - len(single), CHUNK), *single, len(ids)])
    for start, stop in parts:
        backend.run(ids[start:stop], False, after(advance, start, len(ids)))
        if advance is not None:
            advance(stop, len(ids))
    output = backend.run(ids[last:], not sampler.greedy, after(advance, last, len(ids)))
    for left in range(count, 0, -1):
        token = sampler.pick(output, generator)
        if token in backend.config.eos:
            return
        yield token
        if left > 1:
            output = backend.run(np.array([token]), not sampler.greedy)
