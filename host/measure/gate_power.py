# SPDX-License-Identifier: Apache-2.0
"""A token of a model on a core's netlist: the power of every unit from the switching of its nets."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tritforge.golden import Failure
from tritforge.golden.model.activations import activations
from tritforge.golden.model.integer import IntegerModel
from tritforge.golden.model.source import Quantised
from tritforge.golden.studies.redrawn import Redrawn, zero_share
from tritforge.host.image.image import Image
from tritforge.host.image.pack import pack
from tritforge.host.run.backends import CoreBackend
from tritforge.host.run.driver import MisfitError, misfit
from tritforge.hw.params import CoreParams
from tritforge.rtl_gen.synthesis.cells import map_cells
from tritforge.rtl_gen.synthesis.sta import Power, power
from tritforge.rtl_gen.tools.build import Status, say
from tritforge.rtl_gen.tools.yowasp import Log
from tritforge.rtl_gen.verilog.cached import TOP, cached_verilog
from tritforge.sim.activity import Activity, read_saif
from tritforge.sim.build_harness import build_harness
from tritforge.sim.simulator import SimTransport

CLOCK = "clk"
RANDOM, SPARSE = 1 / 3, 0.9
"""Shares of zeros in trits that are drawn at random."""


class GateError(Failure):
    """The netlist does not do what the golden integer model says."""


@dataclass(frozen=True)
class Token:
    """A token on the netlist.

    Attributes
    ----------
    zeros : share of zeros among the model's trits.
    cycles, beats : of the token.
    units : power by unit; the top's own cells under the empty name.
    idle : the same of a core that waits: nothing changes but the clock.
    saturations : results too large for their integers.
    """

    zeros: float
    cycles: int
    beats: int
    units: Mapping[str, Power]
    idle: Mapping[str, Power]
    saturations: int


def sources(source: Quantised) -> dict[str, Quantised]:
    """A model as it is, with random trits, and with mostly zeros: what the data alone changes."""
    return {"model": source, "random": Redrawn(source, RANDOM), "sparse": Redrawn(source, SPARSE)}


def measure(
    models: Mapping[str, Quantised],
    ids: list[int],
    params: CoreParams,
    liberty: Path,
    clock: float,
    status: Status | None = None,
    log: Log | None = None,
) -> dict[str, Token]:
    """Run the last token of a sequence on the netlist of a core, after the state that the others lead to.

    Logits and state are compared with the golden integer model.

    Parameters
    ----------
    models
        By the names that the result has.
    ids
        The sequence; at least one token.
    params, liberty, clock
        The core, the library it is mapped onto, and MHz.
    status, log
        Told what takes long, and every line of the tools.

    Raises
    ------
    MisfitError
        If the core cannot run a model.
    GateError
        If the netlist differs.
    SynthError
        If a tool fails or is missing.
    """
    period = 1000 / clock
    gates = map_cells(cached_verilog(params, status), TOP, liberty, period, status, log)
    library = build_harness([gates.models, gates.netlist], TOP, params.lanes, status=status, activity=True)
    tokens = {}
    idle: Mapping[str, Power] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, source in models.items():
            image, saif = Path(folder, f"{name}.tfi"), Path(folder, f"{name}.saif")
            say(status, f"Running a token on the netlist ({name})")
            pack(source, params, image)
            cycles, beats, saturations = _run(source, Image.open(image), ids, params, library, saif)
            activity = read_saif(saif, TOP)
            say(status, f"Adding up the power ({name})")
            units = power(gates, liberty, CLOCK, period, activity.get)
            idle = idle or power(gates, liberty, CLOCK, period, _still(activity))
            tokens[name] = Token(zero_share(source), cycles, beats, units, idle, saturations)
    return tokens


def _still(activity: Mapping[str, Activity]) -> Callable[[str], Activity | None]:
    """The nets as high as they are, and never changing."""
    return lambda net: (found := activity.get(net)) and Activity(0.0, found.high)


def _run(
    source: Quantised, image: Image, ids: list[int], params: CoreParams, library: Path, saif: Path
) -> tuple[int, int, int]:
    """Cycles, beats and saturations of the last token."""
    reason = misfit(params, image)
    if reason:
        raise MisfitError(reason)
    model = IntegerModel(source, activations=activations(params.act_bits))
    last = torch.tensor(ids[-1:])
    before = model.forward(torch.tensor(ids[:-1]))[1] if len(ids) > 1 else model.initial_state()
    expected, after = model.forward(last, before)
    with SimTransport(params, library=library) as transport:
        backend = CoreBackend(transport, image)
        backend.resume(before.int().numpy())
        cycles = transport.cycles
        with transport.activity(saif):
            got = backend.run(last.numpy())
        cycles = transport.cycles - cycles
        if not np.array_equal(got.integers.raw, expected.raw) or not np.array_equal(backend.state(), after):
            raise GateError("The netlist differs from the golden integer model; compare the core first.")
        return cycles, backend.counters().beats, backend.saturations()
