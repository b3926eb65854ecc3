# SPDX-License-Identifier: Apache-2.0
"""Options that several commands take, and what they name."""

from pathlib import Path
from tokenize import TokenError
from typing import Annotated

import numpy as np
import typer

from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.config import PUBLISHED, ModelConfig
from tritforge.host.cli.console import heed, progress, say
from tritforge.host.run.backends import Ids
from tritforge.host.run.fit import DEFAULT_PRESET, core
from tritforge.host.run.models import Model
from tritforge.hw.params import PRESETS, CoreParams, preset
from tritforge.hw.schedule import MAX_CORES
from tritforge.perf.estimates.clocks import clock
from tritforge.sim.memory_models import MEMORIES, AttachedMemory

LARGEST_SEED = 2**63 - 1
"""That every generator takes."""

SHAPES = f"{', '.join(PUBLISHED)}, or hidden,layers,intermediate,vocab"
"""How a model is named by its size alone."""
ModelPath = Annotated[Path, typer.Argument(help="A checkpoint folder or an image.", metavar="MODEL")]
PresetName = Annotated[str | None, typer.Option("--preset", help=f"The core: {', '.join(PRESETS)}.", metavar="NAME")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Change one parameter of the core, such as lanes=32; repeatable.", metavar="NAME=VALUE"
    ),
]
MemoryName = Annotated[
    str | None,
    typer.Option("--memory", help=f"Modelled memory behind the core: {', '.join(MEMORIES)}.", metavar="NAME"),
]
CoreMhz = Annotated[
    float | None, typer.Option("--mhz", help="The core's clock, with --memory; as placed and routed.", metavar="MHZ")
]
Cores = Annotated[
    int | None,
    typer.Option("--cores", help=f"Simulated cores in a ring that share the model, 1 to {MAX_CORES}.", metavar="N"),
]
LinkLatency = Annotated[
    int | None,
    typer.Option(
        "--link-latency",
        help="Cycles from one core of the ring to the next, beside their own; none for wires.",
        metavar="CYCLES",
    ),
]
Record = Annotated[
    bool, typer.Option("--record", help="Keep the figures in perf/measured, which documents and estimates read.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def chosen_core(name: str | None, settings: list[str] | None, linked: bool = False) -> CoreParams:
    """The core that the options name, the default preset where they name none; with a link where it must have one."""
    base, changes = preset(name or DEFAULT_PRESET), _changes(settings)
    return core(base, changes, linked) if linked else base.override(changes)


def opened_model(
    path: Path, name: str | None, settings: list[str] | None, cores: int | None = None
) -> tuple[Model, list[str]]:
    """A model to run on the core that the options name, or so many with links; its warnings are printed, and returned
    for a JSON object."""
    model = Model(path, preset(name) if name else None, say, progress, _changes(settings), cores)
    return model, heed(model.warnings)


def chosen_memory(name: str | None, mhz: float | None, model: Model) -> AttachedMemory | None:
    """The memory that the options put behind a model's core, whose clock, unless given, is that of the fastest
    placement of the nearest preset."""
    if name is None:
        if mhz is not None:
            raise TritforgeError("--mhz is the clock of a core beside that of its memory; it needs --memory.")
        return None
    return AttachedMemory(name, mhz or round(clock(model.params).value))


def _changes(settings: list[str] | None) -> dict[str, str]:
    pairs = [text.partition("=") for text in settings or []]
    for key, equals, _ in pairs:
        if not equals:
            raise TritforgeError(f"--set takes NAME=VALUE, such as lanes=32, not '{key}'.")
    return {key: value for key, _, value in pairs}


def read_ids(path: Path) -> Ids:
    """Token ids int64 [T] of a .npy file; TritforgeError where it holds something else."""
    try:
        with path.open("rb") as file:
            ids = np.lib.format.read_array(file, allow_pickle=False)
    except FileNotFoundError:
        raise TritforgeError(f"{path} does not exist; give a .npy file of token ids.") from None
    except (OSError, ValueError, MemoryError, TokenError) as error:
        raise TritforgeError(f"{path} is no readable .npy file ({error}).") from error
    if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
        raise TritforgeError(f"{path} holds {ids.dtype} {list(ids.shape)}; it must be one vector of integers.")
    return ids.astype(np.int64)


def parse_shape(text: str) -> ModelConfig:
    """The model of a published name or of four dimensions; TritforgeError for anything else."""
    if text in PUBLISHED:
        return PUBLISHED[text]
    try:
        hidden, layers, intermediate, vocab = map(int, text.split(","))
    except ValueError:
        raise TritforgeError(f"A shape is {SHAPES} such as 1024,24,2816,32000, not '{text}'.") from None
    return ModelConfig(hidden, layers, intermediate, vocab)
