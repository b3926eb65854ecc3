# SPDX-License-Identifier: Apache-2.0
"""Strict lint of emitted Verilog with Verilator: ``python -m tritforge.rtl_gen.verilog.lint NAME.f ...``."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tritforge.golden import Failure
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


def main(file_lists: Sequence[str]) -> int:
    """Lint the designs of file lists written by `rtl_gen.verilog.emit`; 1 if any has a message, which is printed."""
    failed = False
    for file_list in map(Path, file_lists):
        try:
            lint([file_list.parent / name for name in file_list.read_text().split()], file_list.stem)
        except LintError as error:
            print(error, file=sys.stderr)
            failed = True
        else:
            print(f"{file_list}: no warnings")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
