# SPDX-License-Identifier: Apache-2.0
"""The training loop: optimiser, evaluation, state file."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.reader import Checkpoint, ModelConfig, write_checkpoint
from tritforge.golden.checkpoints.text import TextCodec
from tritforge.golden.files import make_folder, replacing
from tritforge.golden.train.corpus import Labelled, Streams, encode_variants, stream
from tritforge.golden.train.latent import keep_clear
from tritforge.golden.train.muon import Muon
from tritforge.golden.train.network import TrainModel
from tritforge.golden.train.recipe import Recipe

STORED = torch.float16
"""Type of the saved weights: at these magnitudes it rounds eight times finer than bfloat16."""
WARM_UP = 3
"""Steps before one is recorded: the first ones compile and allocate."""
Window = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""What `Streams` gives for a step."""

Report = Callable[[float, str, bool], None]
"""Told the share of the run that is over, a line about it, and whether that is of an evaluation, to be kept."""


class Trainer:
    """Trains one model and keeps the best in the public layout.

    Parameters
    ----------
    config, recipe
        The model and how to train it.
    train
        The corpus, or a text that teachers labelled: then their expectations are the targets.
    validation
        Text that decides which checkpoint is the best.
    codec
        The tokenizer; its ids are below `config.vocab`.
    out
        Folder for the best checkpoint.
    state
        File that `resume` reads and every evaluation replaces.
    device
        A torch device.
    compiled
        Whether to compile the layers and to record a step as one graph: takes some seconds, needs a GPU, and
        pays there.
    """

    def __init__(
        self,
        config: ModelConfig,
        recipe: Recipe,
        train: str | Labelled,
        validation: str,
        codec: TextCodec,
        out: Path,
        state: Path,
        device: str = "cpu",
        compiled: bool = False,
    ):
        self.config, self.recipe, self.out, self.state = config, recipe, out, state
        if isinstance(train, str):
            train = Labelled(torch.tensor(encode_variants(codec, train, recipe.noise)), *(2 * [torch.empty(0)]))
        self._text = Labelled(*(part.to(device) for part in train))
        self._validation = torch.tensor(codec.encode(validation), device=device)
        self._characters = len(validation)
        newline = codec.encode("\n")[0]
        torch.manual_seed(recipe.seed)
        self.model = TrainModel(config, recipe.drop, recipe.plain).to(device)
        bos = self.model.bos
        self._streams = Streams(self._text.tokens, newline, bos, recipe.batch, recipe.window, recipe.seed)
        if compiled:
            self.model.compile_parts()
        self._optimizers = self._make_optimizers(device)
        self._carried = torch.zeros(config.layers, recipe.batch, config.hidden, device=device)
        self._window: Window | None = None
        self._loss = torch.zeros((), device=device)
        self._record, self._warm = compiled and device != "cpu", 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self.step, self.seconds, self.best = 0, 0.0, math.inf

    def _make_optimizers(self, device: str) -> list[torch.optim.Optimizer]:
        """AdamW for all, or Muon for the matrices of the layers and AdamW for the rest."""
        linears = {f"{name}.weight" for name in self.config.linear_shapes()}
        parameters = list(self.model.named_parameters())
        layers = [p for n, p in parameters if self.recipe.muon and p.ndim == 2 and n.startswith("model.layers")]
        decay, gpu = self.recipe.decay, device != "cpu"

        def group(quantised: bool, matrices: bool) -> dict[str, Any]:
            chosen = [p for n, p in parameters if (n in linears) == quantised and (p.ndim == 2) == matrices]
            return {
                "params": [p for p in chosen if not any(p is q for q in layers)],
                "weight_decay": decay if matrices else 0.0,
                "lr": torch.zeros((), device=device),
                "quantised": quantised,
            }

        groups = [group(True, True), group(False, True), group(False, False)]
        adam = torch.optim.AdamW(groups, betas=(0.9, 0.95), fused=gpu, capturable=gpu)
        if not layers:
            return [adam]
        muon = Muon(layers, torch.zeros((), device=device), decay)
        muon.param_groups[0]["quantised"] = True
        return [adam, muon]

    def start_from(self, folder: Path) -> None:
        """Take the weights of a checkpoint; raise TritforgeError for one of another shape.

        Weight decay has made the embeddings of tokens that it never met zero. A gradient through them would
        overflow, a thousandfold in each normalisation, so these tokens begin anew.
        """
        checkpoint = Checkpoint(folder)
        if checkpoint.config != self.config:
            raise TritforgeError(f"{folder} has the shape {checkpoint.config}, not {self.config}; give the same.")
        weights = {name: checkpoint.tensor(name) for name in checkpoint.names()}
        name, begun = "model.embeddings.weight", self.model.model.embeddings.weight.detach().cpu()
        unmet = (weights[name] == 0).all(1, keepdim=True)
        weights[name] = torch.where(unmet, begun, weights[name])
        self.model.load_state_dict(weights)

    def run(self, report: Report | None = None, until: int | None = None) -> float:
        """Train to the recipe's end, or to step `until`; return the best bits per character.

        Raise TritforgeError where an evaluation is due and the loss is not finite.
        """
        report = report or (lambda share, line, kept: None)
        while (done := self.recipe.done(self.step, self.seconds)) < 1 and self.step != until:
            start = time.monotonic()
            loss = self._advance(done)
            if self.step % 50 == 0 or self.step == self.recipe.steps:
                report(done, f"step {self.step}, loss {loss.item():.3f}", False)
            self.seconds += time.monotonic() - start
            over = self.recipe.done(self.step, self.seconds) == 1 or self.step == until
            if over or self.step % self.recipe.every == 0:
                if not math.isfinite(loss.item()):
                    raise TritforgeError(f"The loss is no longer a number at step {self.step}; take a lower --lr.")
                report(done, self._checkpoint(loss.item()), True)
        return self.best

    def evaluate(self) -> float:
        """Return the bits per character of the validation stream, with the weights as they are stored."""
        model = TrainModel(self.config, plain=self.recipe.plain).to(self._validation.device).eval()
        model.load_state_dict({name: value.float() for name, value in self.stored().items()})
        state, nats = None, 0.0
        with torch.inference_mode():
            for inputs, targets in stream(self._validation, self.model.bos, 8192):
                logits, state = model(inputs, state)
                nats += cross_entropy(logits[0], targets[0], reduction="sum").item()
        return nats / math.log(2) / self._characters

    def stored(self) -> dict[str, torch.Tensor]:
        """Return the weights as they are saved: latent weights clear of thresholds, in 16 bits."""
        linears = {f"{name}.weight" for name in self.config.linear_shapes()}
        weights = self.model.state_dict()
        if self.recipe.plain:
            return {n: w.to(STORED) for n, w in weights.items()}
        return {n: (keep_clear(w) if n in linears else w).to(STORED) for n, w in weights.items()}

    def save_state(self) -> None:
        """Write all that `resume` needs, atomically."""
        state = {
            "config": asdict(self.config),
            "recipe": asdict(self.recipe),
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
            "streams": (self._streams.at, self._carried),
            "progress": (self.step, self.seconds, self.best),
        }
        make_folder(self.state.parent)
        with replacing(self.state) as temporary:
            torch.save(state, temporary)

    def resume(self) -> None:
        """Go on from the state file; raise TritforgeError where it is missing or of another run."""
        if not self.state.is_file():
            raise TritforgeError(f"{self.state} is missing; train once without --resume.")
        saved = torch.load(self.state, map_location=self._validation.device, weights_only=True)
        if (saved["config"], saved["recipe"]) != (asdict(self.config), asdict(self.recipe)):
            raise TritforgeError(f"{self.state} is of a run with other options; give the same, or train afresh.")
        self.model.load_state_dict(saved["model"])
        for optimizer, values in zip(self._optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(values)
        self._streams.at, self._carried = saved["streams"][0].cpu(), saved["streams"][1]
        self.step, self.seconds, self.best = saved["progress"]

    def _advance(self, done: float) -> torch.Tensor:
        """Take one step; its randomness depends on the seed and the step number alone."""
        torch.manual_seed(self.recipe.seed * 1_000_003 + self.step)
        window = self._streams(self.step)
        if self._window is None:
            self._window = window
        for place, value in zip(self._window, window, strict=True):
            place.copy_(value)
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"].fill_(self.recipe.rate(done, group["quantised"]))
        if self._graph is not None:
            self._graph.replay()
        elif not self._record:
            self._compute(*self._window)
        else:
            self._warm_up_or_record(self._window)
        self.step += 1
        return self._loss

    def _compute(self, inputs: torch.Tensor, targets: torch.Tensor, fresh: torch.Tensor) -> None:
        """Take the step of the window in place; all of it in fixed memory, so that a graph can replay it."""
        logits, carried = self.model(inputs, self._carried * ~fresh[:, None])
        if len(self._text.pieces):
            pieces, chances = self._text.pieces[targets].long(), self._text.chances[targets]
            loss = (logits.logsumexp(-1) - (chances * logits.gather(-1, pieces)).sum(-1)).mean()
        else:
            loss = cross_entropy(logits.flatten(0, 1), self._text.tokens[targets].flatten())
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self._optimizers:
            optimizer.step()
        self._carried.copy_(carried.detach())
        self._loss.copy_(loss.detach())

    def _warm_up_or_record(self, window: Window) -> None:
        """Take a step aside; after some, record it: thousands of launches a step cost more than the work."""
        self._warm += 1
        if self._warm <= WARM_UP:
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                self._compute(*window)
            torch.cuda.current_stream().wait_stream(aside)
            return
        self.model.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._compute(*window)
        self._graph = graph
        graph.replay()

    def _checkpoint(self, loss: float) -> str:
        """Evaluate, save the state and, where best so far, the weights; return a line about it."""
        score = self.evaluate()
        if score < self.best:
            self.best = score
            write_checkpoint(self.out, self.config, {k: v.cpu() for k, v in self.stored().items()})
        self.save_state()
        return (
            f"step {self.step}: training loss {loss:.3f}, validation {score:.4f} bits per character, "
            f"best {self.best:.4f}, {self.seconds:.0f} s"
        )
