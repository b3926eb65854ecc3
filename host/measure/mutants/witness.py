# SPDX-License-Identifier: Apache-2.0
"""Compares what a core does with the golden model, or with what the unmutated core did in the same place."""

from typing import Any

import numpy as np

from tritforge.host.measure.cosim import Mismatch, compare


class Witness:
    """Compares values with the golden model's, or with those that the unmutated core gave, in their order.

    Parameters
    ----------
    unmutated
        What it gave, to compare with; None to write it down.
    """

    def __init__(self, unmutated: list[Any] | None = None) -> None:
        self.seen: list[Any] = []
        self._unmutated = unmutated
        self.compared = 0

    def golden(self, name: str, got: Any, expected: Any) -> None:
        """Raise Mismatch where they differ."""
        self.compared += 1
        if isinstance(expected, np.ndarray):
            compare(name, np.asarray(got), expected)
        elif got != expected:
            raise Mismatch(f"{name} is {_short(got)}, the golden model's is {_short(expected)}.")

    def same(self, name: str, got: Any) -> None:
        """Raise Mismatch where the unmutated core gave something else."""
        self.compared += 1
        value = got.tolist() if isinstance(got, np.ndarray) else got
        if self._unmutated is not None:
            expected = self._unmutated[len(self.seen)]
            if value != expected:
                raise Mismatch(f"{name} is {_short(value)}, the unmutated core's is {_short(expected)}.")
        self.seen.append(value)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 80 else f"{text[:77]}..."
