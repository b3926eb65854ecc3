# SPDX-License-Identifier: Apache-2.0
"""Systems that others published: perf/published.toml."""

from functools import cache

from perf.data import HERE, Positive, Table, read


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
    """All of them, and the parameters of those that perf/validation.py reckons again."""

    systems: list[System]
    paper: dict[str, Positive]
    tereffic: dict[str, Positive]
    kv260: dict[str, Positive]


@cache
def published() -> Published:
    """The file."""
    return read(HERE / "published.toml", Published)
