# SPDX-License-Identifier: Apache-2.0
"""Figures as estimates need them: a low, a nominal and a high value, and how they were obtained."""

from dataclasses import dataclass
from enum import StrEnum


class Tag(StrEnum):
    """How a figure was obtained, the surest first."""

    MEASURED = "measured"
    """Counted or measured where it is said."""
    SIMULATED = "simulated"
    """Counted where it is simulated, cycle by cycle."""
    DERIVED = "derived"
    """Arithmetic on measured or simulated figures and data sheets."""
    PROJECTED = "projected"
    """Arithmetic that an assumption goes into."""
    ASSUMED = "assumed"
    """Taken as plausible; the source says why."""


_WEIGHT = {tag: weight for weight, tag in enumerate(Tag)}


@dataclass(frozen=True)
class Figure:
    """A positive quantity between two bounds.

    Arithmetic takes the bounds that lie farthest apart (interval arithmetic of positive numbers), so a result holds
    whatever the true values between their bounds are. The tag of a result is that of its least sure operand, and at
    least *derived*; an assumption makes it *projected*.
    """

    low: float
    nominal: float
    high: float
    tag: Tag

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.nominal <= self.high:
            raise ValueError(
                f"A figure needs 0 <= low <= nominal <= high, not {self.low}, {self.nominal}, {self.high}."
            )

    @classmethod
    def exact(cls, value: float, tag: Tag = Tag.DERIVED) -> "Figure":
        """A figure without spread."""
        return cls(value, value, value, tag)

    def __add__(self, other: "Figure | float") -> "Figure":
        other = _figure(other)
        return Figure(
            self.low + other.low, self.nominal + other.nominal, self.high + other.high, _result(self.tag, other.tag)
        )

    __radd__ = __add__

    def __mul__(self, other: "Figure | float") -> "Figure":
        other = _figure(other)
        return Figure(
            self.low * other.low, self.nominal * other.nominal, self.high * other.high, _result(self.tag, other.tag)
        )

    __rmul__ = __mul__

    def __truediv__(self, other: "Figure | float") -> "Figure":
        return self * _figure(other).inverse()

    def __rtruediv__(self, other: float) -> "Figure":
        return other * self.inverse()

    def inverse(self) -> "Figure":
        """One over it."""
        return Figure(1 / self.high, 1 / self.nominal, 1 / self.low, self.tag)

    def at_least(self, other: "Figure") -> "Figure":
        """The larger of the two, bound by bound."""
        return Figure(
            max(self.low, other.low),
            max(self.nominal, other.nominal),
            max(self.high, other.high),
            _result(self.tag, other.tag),
        )


def number(value: float) -> str:
    """As it is shown: three digits, thousands with commas."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _figure(value: "Figure | float") -> Figure:
    return value if isinstance(value, Figure) else Figure.exact(value)


def _result(*tags: Tag) -> Tag:
    weakest = max(tags, key=_WEIGHT.__getitem__)
    if weakest is Tag.ASSUMED:
        return Tag.PROJECTED
    return Tag.DERIVED if _WEIGHT[weakest] < _WEIGHT[Tag.DERIVED] else weakest
