# SPDX-License-Identifier: Apache-2.0
"""Strict lint of emitted Verilog with Verilator."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tritforge.golden import Failure, TritforgeError
from tritforge.rtl_gen.tools.toolchain import toolchain_env, verilator


class LintError(Failure):
    """Verilator has something to say about the Verilog."""


def lint(files: Sequence[Path], top: str) -> None:
    """Run ``verilator --lint-only -Wall`` with no warning waived.

    Parameters
    ----------
    files
        Verilog files of the whole design.
    top
        Name of the top module.

    Raises
    ------
    LintError
        With Verilator's messages, if there are any.
    """
    command = [verilator(), "--lint-only", "-Wall", "--quiet", "--top-module", top, *map(str, files)]
    result = subprocess.run(command, env=toolchain_env(), capture_output=True, text=True, check=False)
    messages = (result.stdout + result.stderr).strip()
    if result.returncode or messages:
        raise LintError(f"The Verilog of '{top}' does not pass the lint:\n{messages}")


def lint_list(path: Path) -> None:
    """Lint the design of a list of files, NAME.f, that `rtl_gen.verilog.emit` wrote, with NAME as its top."""
    try:
        names = path.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        raise TritforgeError(
            f"{path} is no list of files ({error}); give the .f that tritforge verilog wrote."
        ) from error
    lint([path.parent / name for name in names], path.stem)
