# SPDX-License-Identifier: Apache-2.0
"""Figures of a benchmark, each with how it was obtained and what it was to be."""

from dataclasses import dataclass

from tritforge.hw.params import CoreParams
from tritforge.perf.figure import Tag


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes
    ----------
    what, value, unit, tag
        Such as "cycles", 1100507, "per token", measured.
    target
        What it was to be, in words; empty where nothing was set.
    met
        Whether it is; None without a target.
    """

    what: str
    value: float
    unit: str
    tag: Tag
    target: str = ""
    met: bool | None = None


@dataclass(frozen=True)
class Section:
    """Figures under one heading, and what they are of.

    Attributes
    ----------
    cores, on
        That were run; digests of the model (`perf.measured.entries`).
    shape
        Dimensions of the model whose token it is: hidden, layers, intermediate, vocab.
    """

    title: str
    figures: list[Figure]
    cores: tuple[CoreParams, ...] = ()
    on: tuple[tuple[str, str], ...] = ()
    shape: tuple[int, int, int, int] | None = None


def at_least(value: float, least: float, asked: bool = True) -> tuple[str, bool] | tuple[()]:
    """Target of a figure and whether it is met; nothing where none is asked for."""
    return (f"at least {least:g}", value >= least) if asked else ()


def at_most(value: float, most: float, asked: bool = True) -> tuple[str, bool] | tuple[()]:
    """See `at_least`."""
    return (f"at most {most:g}", value <= most) if asked else ()
