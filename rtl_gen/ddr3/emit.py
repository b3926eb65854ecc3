# SPDX-License-Identifier: Apache-2.0
"""Emits a DDR3 controller as Verilog, with what the host must know of it."""

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib import metadata, util
from pathlib import Path

from tritforge.golden import Failure, TritforgeError
from tritforge.golden.files import replacing_folder
from tritforge.hw.memory.ddr3 import Ddr3Params
from tritforge.rtl_gen.cache.folder import cache_folder
from tritforge.rtl_gen.cache.sources import code_digest
from tritforge.rtl_gen.ddr3.description import Description
from tritforge.rtl_gen.tools.build import Status, say

PROGRAM = "tritforge.rtl_gen.ddr3.soc"
_CALL = f"import json, pathlib, sys, {PROGRAM} as soc; soc.main(json.loads(sys.argv[1]), pathlib.Path(sys.argv[2]))"
"""In a process of its own: LiteX keeps what it has built in global variables."""
TOP = "ddr3"
PACKAGES = ("litex", "litedram", "migen")
WINDOWS = ((2, 1, 5), (1, 4, 7))
"""Of the strobes of a modelled memory {bitslip, first delay, last delay}: where their data come right."""
DRIVEN = ("ddram_dq", "ddram_dqs_p")
"""Pins that LiteX declares as inputs, though it drives them."""


@dataclass(frozen=True)
class Emitted:
    """A controller.

    Attributes
    ----------
    verilog : one file, of the module `TOP`.
    description : for the host.
    """

    verilog: Path
    description: Description


def missing() -> str | None:
    """Why the extra cannot be used: a sentence with the remedy; None if it can."""
    absent = [name for name in PACKAGES if util.find_spec(name) is None]
    if not absent:
        return None
    return f"A DDR3 controller needs {' and '.join(absent)}, which is not installed: pip install 'tritforge[ddr3]'."


def cached_controller(params: Ddr3Params, simulated: bool = False, status: Status | None = None) -> Emitted:
    """A controller, kept and emitted anew when parameters, packages or the Python version have changed.

    LiteX reads the names of signals from Python's bytecode, so that another version of Python may give other names.

    Parameters
    ----------
    params
        Of the controller.
    simulated
        Instead of the PHY and the pins there is LiteDRAM's model of a memory, of any number of rows.
    status
        Told what begins.

    Raises
    ------
    TritforgeError
        If the extra is not installed, or is not as it was.
    """
    if sentence := missing():
        raise TritforgeError(sentence)
    versions = [metadata.version(name) for name in PACKAGES]
    content = (params, simulated, WINDOWS, versions, sys.version_info[:2], code_digest(__name__, PROGRAM))
    folder = cache_folder() / "ddr3" / hashlib.sha256(repr(content).encode()).hexdigest()[:16]
    if not folder.is_dir():
        say(status, f"Writing the Verilog of the DDR3 controller of {params.chip.name}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with replacing_folder(folder) as place:
            _emit(params, simulated, place)
    return Emitted(folder / f"{TOP}.v", Description.read(folder / f"{TOP}.json"))


def _emit(params: Ddr3Params, simulated: bool, folder: Path) -> None:
    given = asdict(params)
    chip = given.pop("chip")
    given |= {name: chip[name] for name in ("module", "row_bits", "t_rfc")}
    given |= {"simulated": simulated, "windows": WINDOWS}
    command = [sys.executable, "-P", "-W", "ignore", "-c", _CALL, json.dumps(given), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"LiteDRAM cannot write the controller: {done.stderr.strip().splitlines()[-1]}")
    file = folder / f"{TOP}.v"
    file.write_text(clean(file.read_text(), not simulated))


def clean(text: str, with_pins: bool) -> str:
    """LiteX's text without what differs from run to run, and with its pins as they are.

    Its comments have the time of day, the commit of whatever repository its package lies in, and a list of cells
    in an order of chance; its time scale would be asked of all other modules. Assignments that are written twice are
    two drivers to some tools.
    """
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    lines: list[str] = []
    assigned = set()
    for line in (re.sub(r"\s*//.*|^`timescale.*", "", line).rstrip() for line in text.splitlines()):
        if line.startswith("assign "):
            if line in assigned:
                continue
            assigned.add(line)
        if line:
            lines.append(line)
    text = "\n".join(lines) + "\n"
    if with_pins:
        for name in DRIVEN:
            text, count = re.subn(rf"^    input  wire( +\[\d+:0\] {name},?)$", r"    inout  wire\1", text, flags=re.M)
            if count != 1:
                raise TritforgeError(
                    f"LiteX no longer declares {name} as an input: this version of it is not the one of the extra; "
                    "pip install 'tritforge[ddr3]'."
                )
    return "// ddr3: generated by LiteX and LiteDRAM, do not edit.\n// SPDX-License-Identifier: BSD-2-Clause\n" + text
