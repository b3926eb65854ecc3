# SPDX-License-Identifier: Apache-2.0
"""Compares models with variants and records it: ``python -m tritforge.perf.measured.studies KIND [NAME=]FOLDER``.

KIND is ``outliers``, ``repeated``, ``rows`` (docs/precision.md), ``fidelity`` or ``errors`` (docs/numerics.md); the
module of golden of that name says what each does.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.model.formats import Formats
from tritforge.golden.studies import errors, fidelity, outliers, repeated, rows
from tritforge.golden.studies.compare import Row, Yardstick, given_text, print_rows
from tritforge.perf.measured import plan
from tritforge.perf.measured.entries import SPECIFICATION, made, on_model, put
from tritforge.perf.measured.subject import specification_digest, text_digest

TIMES = [1, 2, 3]
"""How often trits are stored and loaded."""


def _outliers(checkpoint: Checkpoint, text: str | None, tokens: int) -> list[Row]:
    return outliers.measure(checkpoint, text, tokens)


def _repeated(checkpoint: Checkpoint, text: str | None, tokens: int) -> list[Row]:
    return repeated.measure(Yardstick(checkpoint, text, tokens=tokens), TIMES)


def _rows(checkpoint: Checkpoint, text: str | None, tokens: int) -> list[Row]:
    return rows.measure(checkpoint, Yardstick(checkpoint, text, tokens=tokens))


KINDS: dict[str, Callable[[Checkpoint, str | None, int], list[Row]]] = {
    "outliers": _outliers,
    "repeated": _repeated,
    "rows": _rows,
}


def main() -> None:
    """Measure, print and record."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("kind", choices=[*KINDS, "fidelity", "errors"])
    arguments.add_argument("model", nargs="?", help="a checkpoint, with the name that documents give it")
    arguments.add_argument("--text", type=Path, help="a text to score, UTF-8 or .xz of it")
    arguments.add_argument("--characters", type=int, default=8000, help="how many of its first characters")
    arguments.add_argument("--tokens", type=int, default=256, help="how many random tokens the logit error is of")
    given = arguments.parse_args()
    on, data, name = {SPECIFICATION: specification_digest()}, None, given.kind
    if given.kind == "errors":
        data = {what: measure(Formats()) for what, measure in errors.MEASUREMENTS.items()}
    else:
        label, _, path = (given.model or "").rpartition("=")
        folder = Path(path)
        if not given.model or not folder.is_dir():
            arguments.error("give a checkpoint, such as tales=models/tales.")
        name = f"{given.kind} {label or folder.name}"
        on |= on_model(folder)
        data = _study(given, folder, on)
    wanted = next((one for one in plan.every() if (one.file, one.name) == ("studies", name)), None)
    if wanted is None:
        arguments.error(f"no document shows '{name}'.")
    put(wanted.file, {wanted.name: made(wanted.command, data, on, ("torch", "numpy"))})


def _study(given: argparse.Namespace, folder: Path, on: dict[str, str]) -> Any:
    if given.kind == "fidelity":
        return fidelity.measure(folder)
    text = given_text(given)
    if text:
        on[f"text {given.text.name}"] = text_digest(text)
    found = KINDS[given.kind](Checkpoint(folder), text, given.tokens)
    print_rows(found, False)
    return {"characters": len(text or ""), "tokens": given.tokens, "rows": found}


if __name__ == "__main__":
    main()
