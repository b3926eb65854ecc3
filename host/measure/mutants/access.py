# SPDX-License-Identifier: Apache-2.0
"""Accesses to registers that may be refused."""

from collections.abc import Callable

from tritforge.host.run.transport import Registers
from tritforge.sim.native import HarnessError, HarnessTimeout

REFUSED = "refused"
"""What an access comes to that is answered with an error."""


def read(core: Registers, offset: int) -> int | str:
    """What a register says, or `REFUSED`; a hang is raised."""
    return _outcome(lambda: core.read_register(offset))


def write(core: Registers, offset: int, value: int) -> int | str:
    """0, or `REFUSED`; a hang is raised."""
    return _outcome(lambda: core.write_register(offset, value))


def _outcome(access: Callable[[], int | None]) -> int | str:
    try:
        return access() or 0
    except HarnessTimeout:
        raise
    except HarnessError:
        return REFUSED
