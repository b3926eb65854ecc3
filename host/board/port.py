# SPDX-License-Identifier: Apache-2.0
"""Serial ports: what a link needs of one, and those of this computer."""

import errno
from contextlib import suppress
from typing import Protocol

import serial

from tritforge.golden import Failure, TritforgeError

_WRITE_S = 10.0
"""A port that takes nothing for so long is stuck."""


class LinkLost(Failure):
    """The board is not reached any more, or never was."""


class SerialPort(Protocol):
    """Bytes to a board and from it."""

    def write(self, data: bytes) -> None:
        """Send bytes; `LinkLost` if they cannot be."""
        ...

    def read(self, count_at_most: int, timeout_s: float) -> bytes:
        """Wait for bytes, but not longer, and return those that are there; `LinkLost` if there can be none."""
        ...

    def close(self) -> None:
        """Give the port back."""
        ...


class _Port:
    """A port of this computer, by pyserial."""

    def __init__(self, port: serial.Serial) -> None:
        self._port = port

    def write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except OSError as error:
            raise self._lost() from error

    def read(self, count_at_most: int, timeout_s: float) -> bytes:
        try:
            self._port.timeout = timeout_s
            first: bytes = self._port.read(1)
            rest: bytes = self._port.read(min(count_at_most - 1, self._port.in_waiting)) if first else b""
        except OSError as error:
            raise self._lost() from error
        return first + rest

    def close(self) -> None:
        self._port.close()

    def _lost(self) -> LinkLost:
        return LinkLost(f"The serial port {self._port.name} is gone: plug the board in again and start anew.")


def open_port(path: str, baud: int) -> SerialPort:
    """Open a serial port of 8 data bits, no parity, one stop bit.

    Parameters
    ----------
    path
        Its name, such as /dev/ttyUSB0 or COM3.
    baud
        Its rate.

    Raises
    ------
    TritforgeError
        If there is none, or it cannot be opened: says why and what helps.
    """
    try:
        port = serial.Serial(path, baud, write_timeout=_WRITE_S, exclusive=True)
    except (OSError, ValueError) as error:
        raise TritforgeError(_why(path, baud, error)) from error
    # what adapters collect for 16 ms comes at once; not all of them can
    with suppress(OSError, ValueError, AttributeError, NotImplementedError):
        port.set_low_latency_mode(True)
    port.reset_input_buffer()
    return _Port(port)


def _why(path: str, baud: int, error: OSError | ValueError) -> str:
    # pyserial says some things in words only, behind which the number is
    numbers = (getattr(error, "errno", None), *getattr(error.__context__, "args", ()))
    match next((number for number in numbers if isinstance(number, int)), None):
        case errno.ENOENT | errno.ENODEV | errno.ENXIO:
            return f"There is no serial port {path}: plug the board in, or name another port."
        case errno.EACCES | errno.EPERM:
            return f"{path} may not be opened: join the group that owns it (often 'dialout') and log in again."
        case errno.EBUSY | errno.EAGAIN:
            return f"{path} is used by another program: close that first."
        case errno.ENOTTY:
            return f"{path} is no serial port: name another one."
        case None if isinstance(error, ValueError):
            return f"{path} cannot have {baud} baud: choose another rate."
    return f"{path} cannot be opened as a serial port: {error}."
