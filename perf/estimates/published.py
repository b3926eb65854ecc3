# SPDX-License-Identifier: Apache-2.0
"""Systems that others published: perf/estimates/published.toml."""

from functools import cache
from pathlib import Path

from tritforge.perf.data import Positive, Table, read


class System(Table):
    """What a system does, as its authors or others measured it.

    Attributes
    ----------
    name, model, platform
        Which one, with what, on what.
    rate, watts
        Tokens a second and W.
    """

    name: str
    model: str
    platform: str
    rate: Positive
    watts: Positive

    @property
    def joules(self) -> float:
        """J a token."""
        return self.watts.value / self.rate.value


class Published(Table):
    """All of them, and the parameters of those that perf/estimates/validation.py reckons again."""

    systems: list[System]
    paper: dict[str, Positive]
    tereffic: dict[str, Positive]
    kv260: dict[str, Positive]


@cache
def published() -> Published:
    """The file."""
    return read(Path(__file__).with_name("published.toml"), Published)
