# SPDX-License-Identifier: Apache-2.0
"""The judge of the mutants of a core: the unmutated one must pass every check, a mutant should fail one."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tritforge.golden import Failure
from tritforge.host.measure.cosim import Mismatch
from tritforge.host.measure.mutants.checks import Checks
from tritforge.host.measure.mutants.ring_checks import RingChecks
from tritforge.host.measure.mutants.witness import Witness
from tritforge.hw.params import CoreParams
from tritforge.sim.mutate.core import MutantCore
from tritforge.sim.mutate.ring import MutantRings
from tritforge.sim.native import HarnessTimeout


@dataclass(frozen=True)
class Kill:
    """How a mutant was found out.

    Attributes
    ----------
    check : the name of the check. how : ``differs``, ``hangs`` or ``fails``. what : the first difference, in words.
    """

    check: str
    how: str
    what: str


class Oracle:
    """The judge of a core's mutants, by its checks; of one with links by those of a ring.

    Parameters
    ----------
    params : of the core. folder : for models, which are made once.
    """

    def __init__(self, params: CoreParams, folder: Path) -> None:
        checks: Any = RingChecks(params, folder) if params.linked else Checks(params, folder)
        self._checks: list[tuple[str, Callable[[Any, Witness], None]]] = list(checks.all())
        self._made: Callable[[Path, int], Any] = partial(MutantRings if params.linked else MutantCore, params)
        self._unmutated: list[Any] | None = None

    def learn(self, library: Path) -> int:
        """Run the unmutated core, which must pass, twice, and be the same; returns how many values are compared.

        Raises
        ------
        Failure
            If it is not as the golden model, or not the same again: then nothing can be said about mutants.
        """
        witness = Witness()
        with self._made(library, 0) as core:
            for name, check in self._checks:
                try:
                    check(core, witness)
                except Failure as error:
                    raise Failure(
                        f"The unmutated core fails the check '{name}', so it cannot judge: {error}"
                    ) from error
        self._unmutated = witness.seen
        kill = self.judge(library, 0)
        if kill:
            raise Failure(f"The unmutated core is not the same twice: {kill.check}: {kill.what}")
        return witness.compared

    def judge(self, library: Path, number: int) -> Kill | None:
        """How a mutant is found out; None where it passes every check. After `learn`."""
        witness = Witness(self._unmutated)
        with self._made(library, number) as core:
            for name, check in self._checks:
                try:
                    check(core, witness)
                except Mismatch as error:
                    return Kill(name, "differs", str(error))
                except HarnessTimeout as error:
                    return Kill(name, "hangs", str(error))
                except Exception as error:  # whatever a driver stumbles over
                    return Kill(name, "fails", f"{type(error).__name__}: {error}")
        return None
