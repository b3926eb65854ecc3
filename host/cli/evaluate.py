# SPDX-License-Identifier: Apache-2.0
"""The command that scores a text."""

from pathlib import Path
from typing import Annotated

import torch
import typer

from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.text import bits_per_character
from tritforge.golden.train.corpus import read_text
from tritforge.host.cli.console import heed, out, print_json, progress
from tritforge.host.cli.options import Json, ModelPath, PresetName, Record, Settings, opened_model
from tritforge.host.cli.run import CHUNK, ArithKind, BackendKind, Threshold
from tritforge.host.run.backends import Arith, Backend, saturation_warnings
from tritforge.host.run.models import Kind


def evaluate(
    path: ModelPath,
    text_path: Annotated[Path, typer.Option("--text", help="UTF-8, or .xz of it.", metavar="FILE")],
    backend: BackendKind = Kind.INTEGER,
    arith: ArithKind = Arith.MATMUL,
    threshold: Threshold = None,
    name: PresetName = None,
    settings: Settings = None,
    record: Record = False,
    as_json: Json = False,
) -> None:
    """Score a text: bits per character and perplexity, the whole of it as one stream."""
    if backend is Kind.RTL:
        raise TritforgeError("A whole text takes too long on a simulated core; choose --backend float or integer.")
    model, warnings = opened_model(path, name, settings)
    text, codec = read_text(text_path), model.codec
    opened = model.session(backend, arith=arith, outlier_threshold=threshold)
    with opened as session, progress(f"Scoring {text_path}") as advance:
        score = bits_per_character(_Scored(session.backend), codec, text, CHUNK, advance)
        saturations = session.backend.saturations()
    warnings += heed(saturation_warnings(saturations))
    facts = {"backend": backend, **score._asdict()}
    if record:
        from tritforge.perf.measured.entries import SPECIFICATION, made, on_model, put
        from tritforge.perf.measured.plan import score as wanted
        from tritforge.perf.measured.subject import specification_digest, text_digest

        on = on_model(path) | {f"text {text_path.name}": text_digest(text), SPECIFICATION: specification_digest()}
        one = wanted(path.name, backend)
        put(one.file, {one.name: made(one.command, facts, on, ("torch",))})
    if as_json:
        print_json(facts | {"saturations": saturations, "warnings": warnings})
    else:
        out.print(
            f"{score.bits_per_character:.4f} bits per character, perplexity {score.perplexity:.3f} "
            f"({score.tokens:,} tokens, {score.characters:,} characters, {backend})",
            highlight=False,
        )


class _Scored:
    """A backend as `golden.checkpoints.text.Model`; the state stays inside."""

    def __init__(self, backend: Backend) -> None:
        self.config = backend.config
        self._backend = backend
        backend.reset()

    def forward(self, ids: torch.Tensor, state: None = None) -> tuple[torch.Tensor, None]:
        """Logits of the next tokens."""
        return torch.from_numpy(self._backend.run(ids.numpy()).logits), None
