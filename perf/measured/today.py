# SPDX-License-Identifier: Apache-2.0
"""Today's digests of what figures were measured on, to tell figures of today's core from those of an earlier one.

Emitting a core's Verilog takes seconds, all cores that figures are of a minute or two. So perf/measured/verilog.json
keeps their digests, with one of the sources that they were emitted from; while those are the same nothing is emitted.
``tritforge docs --write`` writes it anew.
"""

import json
import os
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path

from tritforge.golden.files import write_text
from tritforge.perf.measured.entries import ROOT, SPECIFICATION, Entry
from tritforge.perf.measured.subject import core_of, model_digest, ring_of, specification_digest, verilog_digest

FILE = Path(__file__).with_name("verilog.json")
VERILOG, MODEL = "verilog ", "model "


class Today:
    """Today's digests.

    Parameters
    ----------
    subjects
        Of entries (`perf.measured.entries.Entry.on`).
    status
        Told what takes long.
    """

    def __init__(self, subjects: Iterable[str], status: Callable[[str], None] | None = None) -> None:
        self._subjects = sorted({subject for subject in subjects if subject.startswith(VERILOG)})
        self._sources = sources()
        kept = json.loads(FILE.read_text()) if FILE.exists() else {}
        same = kept.get("sources") == self._sources
        self._verilog: dict[str, str] = kept.get("digests", {}) if same else {}
        missing = [subject for subject in self._subjects if subject not in self._verilog]
        self._verilog |= _emitted(missing, status)

    def digest(self, subject: str) -> str | None:
        """Today's; None for what is not here, such as a text or a random checkpoint."""
        if subject.startswith(VERILOG):
            return self._verilog[subject]
        if subject.startswith(MODEL):
            folder = ROOT / subject.removeprefix(MODEL)
            return model_digest(folder) if folder.is_dir() else None
        return _specification() if subject == SPECIFICATION else None

    def earlier(self, entry: Entry) -> list[str]:
        """What an entry was measured on that is no longer the same."""
        return [
            subject
            for subject, digest in entry.on.items()
            if not digest or self.digest(subject) not in (None, digest)
        ]

    def save(self) -> None:
        """Keep the digests of the cores that were asked for."""
        if not self._subjects:
            return
        digests = {subject: self._verilog[subject] for subject in self._subjects}
        text = json.dumps({"sources": self._sources, "digests": digests}, indent=2) + "\n"
        if not FILE.exists() or FILE.read_text() != text:
            write_text(FILE, text)


def sources() -> str:
    """Digest of everything that decides the Verilog of a core."""
    from tritforge.rtl_gen.verilog.cached import gateware_digest

    # a ring is made of everything that a core is
    return gateware_digest("tritforge.hw.ring")


@cache
def _specification() -> str:
    return specification_digest()


def _emitted(subjects: list[str], status: Callable[[str], None] | None) -> dict[str, str]:
    """Digests of subjects whose cores are emitted, several at a time."""
    by_core: dict[str, list[str]] = {}
    for subject in subjects:
        by_core.setdefault(subject.removeprefix(VERILOG).partition(": ")[0], []).append(subject)
    if not by_core:
        return {}
    if status:
        status(f"Writing the Verilog of {len(by_core)} core{'s' * (len(by_core) != 1)}")
    # an interruption ends them without a word; it is for the process that waits to speak
    quiet = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with ProcessPoolExecutor(min(len(by_core), os.cpu_count() or 1), initializer=quiet) as pool:
        found = pool.map(_digests, by_core, by_core.values())
        return {subject: digest for digests in found for subject, digest in digests.items()}


def _digests(name: str, subjects: list[str]) -> dict[str, str]:
    from tritforge.rtl_gen.verilog.cached import TOP, cached_ring, cached_verilog

    core, cores = ring_of(name)
    files, found = cached_ring(core_of(core), cores) if cores else cached_verilog(core_of(core)), {}
    for subject in subjects:
        unit = subject.partition(": ")[2]
        found[subject] = verilog_digest(files, f"{TOP}_{unit}" if unit else TOP)
    return found
