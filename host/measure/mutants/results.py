# SPDX-License-Identifier: Apache-2.0
"""What became of mutants: a journal that is written as they are judged, what is known of some, tables."""

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from tritforge.golden import TritforgeError
from tritforge.golden.files import make_folder, write_text
from tritforge.sim.mutate.mutants import Mutant

RESULTS, SETTINGS = "results.jsonl", "campaign.json"
KNOWN = Path(__file__).with_name("known.json")
"""What no check can find: by key, argued to be equivalent or unreachable, why, and ``where`` only in such cores."""


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    BENCH = "bench"
    PROVED = "proved"
    ARGUED = "argued"
    UNREACHABLE = "unreachable"
    OPEN = "open"
    TIMED_OUT = "timed out"


@dataclass(frozen=True)
class Result:
    """A line of the results: what a stage found of a mutant.

    Attributes
    ----------
    key : the mutant's. unit : whose it is. fate : as far as this stage knows. by : the check, bench or reason.
    how, what : see `host.measure.mutants.oracle.Kill`. seconds : it took.
    """

    key: str
    unit: str
    stage: str
    fate: Fate
    by: str = ""
    how: str = ""
    what: str = ""
    seconds: float = 0.0


class Journal:
    """The results of a campaign in a folder, a line each as they come.

    Parameters
    ----------
    folder : for them. settings : what the campaign is of. resume : go on with what is there.

    Raises
    ------
    TritforgeError
        If there are some and `resume` is not said, or they are of another campaign.
    """

    def __init__(self, folder: Path, settings: dict[str, Any], resume: bool) -> None:
        make_folder(folder)
        self._path, told = folder / RESULTS, folder / SETTINGS
        self.results: list[Result] = []
        if self._path.exists() and not resume:
            raise TritforgeError(
                f"{folder} has the results of a campaign; go on with --resume, or name another folder."
            )
        if resume and told.exists() and json.loads(told.read_text()) != json.loads(json.dumps(settings)):
            raise TritforgeError(f"{folder} has the results of another campaign; name another folder with -o.")
        write_text(told, json.dumps(settings, indent=2) + "\n")
        if self._path.exists():
            kept = self._path.read_bytes()
            whole = kept[: kept.rfind(b"\n") + 1]
            if whole != kept:  # a line that was cut off in the middle
                self._path.write_bytes(whole)
            self.results = [_result(json.loads(line)) for line in whole.decode().splitlines()]

    def add(self, result: Result) -> None:
        """Keep a result; a line is written at once and whole."""
        self.results.append(result)
        with self._path.open("ab") as file:
            file.write((json.dumps(asdict(result)) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())

    def last(self, key: str) -> Result:
        """The last word on a mutant; KeyError where there is none."""
        return {result.key: result for result in self.results}[key]

    def known(self, stage: str) -> dict[str, Result]:
        """What a stage has found, by key."""
        return {result.key: result for result in self.results if result.stage == stage}


def _result(line: dict[str, Any]) -> Result:
    return Result(**line | {"fate": Fate(line["fate"])})


def known(mutant: Mutant, where: dict[str, Any]) -> tuple[Fate, str] | None:
    """What is known of a mutant that no check can find, and why; None where nothing is known, or not with these
    parameters of the core, or of the unit."""
    entry = _known().get(mutant.key)
    if entry is None or not entry.get("where", {}).items() <= where.items():
        return None
    return Fate(entry["fate"]), entry["reason"]


@cache
def _known() -> dict[str, dict[str, Any]]:
    return {entry["key"]: entry for entry in json.loads(KNOWN.read_text())}


def table(results: Iterable[Result]) -> list[dict[str, Any]]:
    """A row for each unit and one for all: mutants by fate, and the score."""
    rows: dict[str, Counter[Fate]] = {}
    for result in results:
        rows.setdefault(result.unit, Counter())[result.fate] += 1
    rows["all"] = sum(rows.values(), Counter())
    return [
        {
            "unit": unit,
            "mutants": counts.total(),
            **{fate.value: counts[fate] for fate in Fate},
            "score": score(counts),
        }
        for unit, counts in rows.items()
    ]


def score(counts: Counter[Fate]) -> float | None:
    """Share of those killed by the core's checks or a bench in all that are neither equivalent nor unreachable."""
    killable = counts.total() - counts[Fate.PROVED] - counts[Fate.ARGUED] - counts[Fate.UNREACHABLE]
    return round((counts[Fate.KILLED] + counts[Fate.BENCH]) / killable, 4) if killable else None
