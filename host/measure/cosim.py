# SPDX-License-Identifier: Apache-2.0
"""The co-simulation of a core or a ring: cocotb on Verilator against the golden integer model, every bit."""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from tritforge.golden import Failure
from tritforge.golden.checkpoints.reader import Checkpoint, ModelConfig
from tritforge.golden.checkpoints.synthetic import write_random_checkpoint
from tritforge.golden.model.activations import activations
from tritforge.golden.model.integer import IntegerModel
from tritforge.golden.model.quantise import IntegerCheckpoint
from tritforge.host.image.decode import DecodedImage
from tritforge.host.image.image import Image
from tritforge.host.image.pack import pack
from tritforge.host.run.driver import MisfitError, misfit
from tritforge.hw.params import CoreParams
from tritforge.hw.ring import Ring
from tritforge.rtl_gen.tools.build import Status
from tritforge.rtl_gen.verilog.cached import TOP, cached_verilog
from tritforge.sim.cocotb_run import run_cocotb
from tritforge.sim.gates import GATES, RANDOM_START, gates, random_start


class Mismatch(Failure):
    """The core and the golden model differ; says where first."""


@dataclass(frozen=True)
class Report:
    """What a co-simulation compared: all logits of ``tokens``, their scales and the final state.

    ``saturations`` are the cycles in which the core had results too large for their integers.
    """

    tokens: int
    logits: int
    states: int
    cycles_per_token: float
    occupancy: float
    saturations: int


def compare(name: str, got: np.ndarray, expected: np.ndarray) -> None:
    """Raise Mismatch at the first difference; shapes must agree too."""
    if got.shape != expected.shape:
        raise Mismatch(f"{name} has shape {got.shape}, the golden model's has {expected.shape}.")
    different = np.argwhere(got != expected)
    if len(different):
        at = tuple(int(i) for i in different[0])
        raise Mismatch(
            f"{name}{list(at)} is {got[at]}, the golden model's is {expected[at]}; {len(different)} differ."
        )


def random_image(params: CoreParams, folder: Path, seed: int = 0, cores: int = 1) -> Path:
    """An image of a small random model for so many cores; odd sizes, so that every last row block and beat is
    padded."""
    config = ModelConfig(
        hidden=min(3 * params.columns + 3, params.max_hidden),
        layers=min(2, params.max_layers),
        intermediate=min(5 * params.columns + 1, params.max_intermediate),
        vocab=min(3 * params.rows + 5, params.max_vocab),
    )
    write_random_checkpoint(folder / "model", config, seed)
    image = folder / "model.img"
    pack(IntegerCheckpoint(Checkpoint(folder / "model"), params.formats), params, image, cores=cores)
    return image


def run(
    params: CoreParams,
    stall: float = 0.0,
    status: Status | None = None,
    image: Path | None = None,
    tokens: int = 8,
    seed: int = 1,
    gate_level: bool = False,
    cores: int = 0,
) -> dict[str, float]:
    """Run random tokens of an image (a small random model if None) and compare every logit and state.

    Parameters
    ----------
    params : the core, whose geometry the image must have.
    stall : probability of idle and back-pressure cycles on every channel.
    seed : of tokens and stalls.
    gate_level : simulate the netlist after synthesis for ECP5 in place of the core's own Verilog; all its registers
        and memories without contents begin as ones or anything, so that the reset has to define what matters.
    cores : simulate so many, with links between them, on one chip; 0 for one without a link.

    Raises
    ------
    Mismatch
        At the first difference.
    MisfitError
        If the core cannot run the image.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = image or random_image(params, folder, cores=max(cores, 1))
        model = Image.open(path)
        reason = misfit(params, model)
        if reason:
            raise MisfitError(reason)
        ids = torch.randint(model.shape.vocab, (tokens,), generator=torch.Generator().manual_seed(seed))
        golden = IntegerModel(DecodedImage(model), activations=activations(params.act_bits))
        expected, state = golden.forward(ids)
        out = folder / "core.npz"
        given = {"image": str(path.resolve()), "ids": ids.tolist(), "out": str(out), "stall": stall, "cores": cores}
        bench = "tritforge.host.measure.tb_core"
        if cores:
            run_cocotb(Ring(params, cores), TOP, bench, given, seed=seed, status=status)
        elif gate_level:
            files = cached_verilog(params, status)
            files, options, start = gates(files, TOP, status), (*GATES, *RANDOM_START), random_start(seed)
            run_cocotb(files, TOP, bench, given, seed=seed, build_args=options, plusargs=start, status=status)
        else:
            run_cocotb(cached_verilog(params, status), TOP, bench, given, seed=seed, status=status)
        with np.load(out) as got:
            for key in ("raw", "mantissa", "shift"):
                compare(key, got[key], getattr(expected, key).numpy())
            compare("token", got["tokens"], expected.raw.argmax(-1).numpy())
            compare("state", got["state"], state.numpy())
            if params.vector_rows == 1:
                compare("saturations", got["saturations"], np.array(golden.saturations))
            cycles, beats, saturations = (int(got[key]) for key in ("cycles", "beats", "saturations"))
    each = cycles / max(cores, 1) / tokens
    return asdict(Report(tokens, expected.raw.numel(), state.numel(), each, beats / cycles, saturations))
