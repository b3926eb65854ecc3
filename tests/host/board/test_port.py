# SPDX-License-Identifier: Apache-2.0
"""A serial port of this computer: a terminal of its own stands for the adapter."""

import os
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

from tritforge.golden import TritforgeError
from tritforge.host.board.port import LinkLost, SerialPort, open_port

BAUD = 115_200


@pytest.fixture
def ends() -> Iterator[tuple[SerialPort, int]]:
    """The port, and the file that is the board's end."""
    board, adapter = os.openpty()
    tty.setraw(board)
    port = open_port(os.ttyname(adapter), BAUD)
    yield port, board
    port.close()
    os.close(adapter)


def test_bytes_go_both_ways(ends: tuple[SerialPort, int]) -> None:
    port, board = ends
    every = bytes(range(256))
    port.write(every)
    assert os.read(board, 1000) == every
    os.write(board, every)
    assert port.read(10, 1.0) == every[:10]
    assert port.read(1000, 1.0) == every[10:]
    assert port.read(10, 0.01) == b""


def test_one_that_is_unplugged_is_lost(ends: tuple[SerialPort, int]) -> None:
    port, board = ends
    os.close(board)
    with pytest.raises(LinkLost, match=r"^The serial port /dev/\S+ is gone: .*\.$"):
        port.read(10, 1.0)
    with pytest.raises(LinkLost, match="is gone"):
        port.write(b"1")


def test_one_that_takes_nothing_is_lost(ends: tuple[SerialPort, int], monkeypatch: pytest.MonkeyPatch) -> None:
    port, _ = ends
    monkeypatch.setattr(port._port, "write_timeout", 0.05)
    with pytest.raises(LinkLost):
        port.write(bytes(1 << 20))


def test_one_that_is_not_there_is_named() -> None:
    with pytest.raises(TritforgeError, match=r"^There is no serial port /dev/ttyUSB77: plug the board in.*\.$"):
        open_port("/dev/ttyUSB77", BAUD)


def test_one_in_use_is_left_alone(ends: tuple[SerialPort, int]) -> None:
    name = ends[0]._port.name
    with pytest.raises(TritforgeError, match="is used by another program"):
        open_port(name, BAUD)


def test_a_file_is_no_port(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TritforgeError, match="is no serial port"):
        open_port(str(tmp_path / "file"), BAUD)


def test_a_rate_that_cannot_be() -> None:
    board, adapter = os.openpty()
    with pytest.raises(TritforgeError, match="cannot have -1 baud"):
        open_port(os.ttyname(adapter), -1)
    os.close(board)
    os.close(adapter)


def test_a_port_that_may_not_be_opened_names_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: object, **options: object) -> None:
        # as pyserial says it: who runs the tests may open everything
        raise serial.SerialException(13, "could not open port /dev/ttyUSB0: Permission denied")

    monkeypatch.setattr(serial, "Serial", refused)
    with pytest.raises(TritforgeError, match=r"^/dev/ttyUSB0 may not be opened: join .*dialout.*\.$"):
        open_port("/dev/ttyUSB0", BAUD)
