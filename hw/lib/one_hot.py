# SPDX-License-Identifier: Apache-2.0
"""A state machine with a register for each state."""

from collections.abc import Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Const, Module, Signal, Value, ValueLike


class OneHot:
    """One register a state: few levels of logic from states and conditions to states.

    Parameters
    ----------
    m : gets the registers with `build`.
    names : of the states; the first is that after reset.

    Attributes
    ----------
    at : high while in the state.
    """

    def __init__(self, m: Module, names: Sequence[str]) -> None:
        self._m = m
        self.at = {name: Signal(name=f"at_{name.lower()}", init=name == names[0]) for name in names}
        self._enters: dict[str, list[Value]] = {name: [] for name in names}
        self._leaves: dict[str, list[Value]] = {name: [] for name in names}
        self._interrupts: list[tuple[str, Value]] = []

    def go(self, source: str, target: str, condition: ValueLike = 1) -> None:
        """From source to target under a condition, which excludes those of its other ways."""
        self._enters[target].append(self.at[source] & condition)
        self._leaves[source].append(Value.cast(condition))

    def interrupt(self, target: str, condition: Value) -> None:
        """To target instead of anywhere else."""
        self._interrupts.append((target, condition))

    def build(self) -> None:
        """Add the registers."""
        stopped = reduce(or_, (condition for _, condition in self._interrupts), Const(0, 1))
        for name, state in self.at.items():
            stays = state & ~reduce(or_, self._leaves[name], Const(0, 1))
            next_state = reduce(or_, self._enters[name], stays) & ~stopped
            forced = (condition for target, condition in self._interrupts if target == name)
            self._m.d.sync += state.eq(reduce(or_, forced, next_state))
