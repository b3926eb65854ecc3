# SPDX-License-Identifier: Apache-2.0
"""How much of a core its checks and the benches of its units reach: lines that ran, bits that changed."""

import json
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tritforge.host.measure.mutants.checks import Checks
from tritforge.host.measure.mutants.witness import Witness
from tritforge.hw.params import CoreParams
from tritforge.rtl_gen.tools.build import Status, say
from tritforge.rtl_gen.verilog.cached import TOP, cached_verilog
from tritforge.sim.build_harness import build_harness
from tritforge.sim.cocotb_run import CocotbFailure
from tritforge.sim.coverage import TOGGLE, Coverage, bench_coverage, constant
from tritforge.sim.mutate.benches import BENCHES
from tritforge.sim.mutate.core import MutantCore
from tritforge.sim.mutate.units import UNITS, unit_of

EXPLAINED = Path(__file__).with_name("uncovered.json")
"""Lines that nothing can reach: by module and statement, why, and ``where`` only in such cores."""


@dataclass(frozen=True)
class Report:
    """What was reached.

    Attributes
    ----------
    units : a row for each unit and one for all. Lines are statements and each way of a branch; a change is that of a
        bit in one direction, without those that no input brings about (``constant``).
    left : lines that never ran, with their reasons, empty where there is none.
    still : bits that never changed, by wire.
    """

    units: list[dict[str, Any]]
    left: list[dict[str, str]]
    still: list[dict[str, str]]


def measure(params: CoreParams, benches: bool = True, status: Status | None = None) -> Report:
    """Run the checks of a core that mutants are judged by, and the benches of its units, with everything counted.

    Raises
    ------
    TritforgeError
        For a core with links. Failure : if the core fails a check.
    """
    with tempfile.TemporaryDirectory(prefix="tritforge-coverage-") as name:
        checks, file = Checks(params, Path(name)), Path(name, "coverage.dat")
        files = cached_verilog(params, status)
        counted = Coverage(files, TOP)
        library = build_harness(files, TOP, params.lanes, status=status, coverage=True)
        with MutantCore(params, library, 0) as core:
            for check, run in checks.all():
                say(status, f"Running the core's check of {check}")
                run(core, Witness())
            core.write_coverage(file)
        counted.read(file)
    for bench in BENCHES if benches else ():
        say(status, f"Running the bench of {bench.name}")
        try:
            counted.add(bench_coverage(bench, params))
        except CocotbFailure as error:
            say(status, f"The bench of {bench.name} says nothing at these parameters ({str(error).splitlines()[0]})")
    return report(counted, constant(files, TOP, status), params)


def report(counted: Coverage, fixed: set[tuple[str, str, int]], params: CoreParams) -> Report:
    """What was counted, by unit; ``fixed`` are bits that cannot change, as `sim.coverage.constant` names them."""
    reasons = _explained(params)
    rows: dict[str, Counter[str]] = {unit.name: Counter() for unit in UNITS}
    left: list[dict[str, str]] = []
    still: dict[tuple[str, str], set[int]] = {}
    for point, count in counted.counts.items():
        row = rows[unit_of(point.module).name]
        if point.kind == TOGGLE:
            cannot = (point.module, counted.places[point].wire, point.bit) in fixed
            row.update({"constant": cannot, "changes": not cannot, "seen": count > 0 and not cannot})
            if not (count or cannot):
                still.setdefault((point.module, point.text), set()).add(point.bit)
        else:
            reason = "" if count else reasons.get(f"{point.module} | {point.text}", "")
            row.update({"lines": 1, "ran": count > 0, "explained": bool(reason)})
            if not count:
                left.append({"module": point.module, "line": point.text, "reason": reason})
    rows["all"] = sum(rows.values(), Counter())
    return Report(
        [_told(unit, row) for unit, row in rows.items() if row],
        left,
        [{"module": module, "wire": wire, "bits": _ranges(bits)} for (module, wire), bits in sorted(still.items())],
    )


def _told(unit: str, row: Counter[str]) -> dict[str, Any]:
    told: dict[str, Any] = {"unit": unit} | {name: row[name] for name in ("lines", "ran", "explained")}
    told["of lines"] = _share(row["ran"], row["lines"] - row["explained"])
    told |= {name: row[name] for name in ("changes", "seen", "constant")}
    return told | {"of changes": _share(row["seen"], row["changes"])}


def _share(part: int, of: int) -> float | None:
    return round(part / of, 4) if of else None


def _ranges(bits: Iterable[int]) -> str:
    """As ``7:4, 0``."""
    found: list[list[int]] = []
    for bit in sorted(bits, reverse=True):
        if found and found[-1][1] == bit + 1:
            found[-1][1] = bit
        else:
            found.append([bit, bit])
    return ", ".join(f"{high}:{low}" if high > low else f"{low}" for high, low in found)


def _explained(params: CoreParams) -> dict[str, str]:
    core = asdict(params)
    entries = json.loads(EXPLAINED.read_text())
    return {e["key"]: e["reason"] for e in entries if e.get("where", {}).items() <= core.items()}
