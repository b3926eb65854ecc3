# SPDX-License-Identifier: Apache-2.0
"""A model as a user names it, a checkpoint folder or an image, and the backends that run it.

A core that runs an image needs no PyTorch: all that does is imported where it is used.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.config import CheckpointError, ModelConfig
from tritforge.golden.checkpoints.text import TOKENIZER, TextCodec
from tritforge.golden.files import check_writable
from tritforge.golden.model.activations import activations
from tritforge.host.image.image import Image, ImageError, Progress
from tritforge.host.run.backends import Arith, Backend, CoreBackend, check_ids
from tritforge.host.run.driver import MisfitError, misfit
from tritforge.host.run.fit import DEFAULT_PRESET, core, cores_of, fitting_preset
from tritforge.host.run.generate import Checked
from tritforge.host.run.simulated import ALONE, Surroundings, simulated, taps, traces
from tritforge.host.run.trace import write_timeline
from tritforge.hw.params import CoreParams, preset
from tritforge.rtl_gen.cache.content import content_digest
from tritforge.rtl_gen.cache.folder import ROOT, cache_folder
from tritforge.rtl_gen.cache.sources import code_digest

if TYPE_CHECKING:
    from tritforge.golden.checkpoints.reader import Checkpoint
    from tritforge.golden.model.quantise import IntegerCheckpoint
    from tritforge.golden.model.source import IntegerSource
    from tritforge.host.board.backend import BoardBackend
    from tritforge.host.board.session import Opened as OpenedBoard
    from tritforge.sim.memory_models import AttachedMemory
    from tritforge.sim.ring.simulator import SimRing
    from tritforge.sim.simulator import SimTransport

NAMED = 32
"""Characters of a model's name in that of its image."""
TALES = ROOT / "models" / "tales"
"""The shipped model."""


class Kind(StrEnum):
    """What runs a model."""

    FLOAT = "float"
    INTEGER = "integer"
    RTL = "rtl"
    BOARD = "board"


@dataclass(frozen=True)
class Session:
    """A backend, ready to run."""

    backend: Backend


@dataclass(frozen=True)
class CoreSession(Session):
    """A core that runs a model.

    Attributes
    ----------
    backend
        The core, or what compares it with the golden integer model.
    core, transport
        The core itself, or the ring, and the simulation behind it.
    """

    core: CoreBackend
    transport: "SimTransport | SimRing"

    @property
    def compared(self) -> int:
        """Tokens that were found equal so far."""
        return self.backend.compared if isinstance(self.backend, Checked) else 0


@dataclass(frozen=True)
class BoardSession(Session):
    """A board that runs a model.

    Attributes
    ----------
    backend
        The board, or what compares it with the golden integer model.
    board
        The board itself.
    """

    board: "BoardBackend"


class Model:
    """A checkpoint folder or an image.

    Parameters
    ----------
    path
        Of either.
    params
        None takes the default preset, or for an image one that fits it.
    status
        Receives one line whenever something that takes long begins.
    bar
        Opens a progress bar with a label, while something that takes long is counted.
    settings
        Changes to the core by name, such as {"lanes": "32"} (`CoreParams.override`).
    cores
        Linked cores that share the model, 0 for one core without a link; None: those that an image is packed for.
    simulator
        What stands in for the simulated core, made and used like it; None for `sim.simulator.SimTransport`.

    Raises
    ------
    CheckpointError, ImageError
        Where there is neither or it cannot be used.
    MisfitError
        For an image that is packed for another number of cores.
    TritforgeError
        For settings that no core has.
    """

    def __init__(
        self,
        path: Path,
        params: CoreParams | None = None,
        status: Callable[[str], None] = lambda line: None,
        bar: Callable[[str], AbstractContextManager[Progress | None]] = lambda label: nullcontext(),
        settings: Mapping[str, str] | None = None,
        cores: int | None = None,
        simulator: "Callable[..., SimTransport] | None" = None,
    ) -> None:
        if not path.exists():
            raise CheckpointError(f"{path} does not exist; give a checkpoint folder or an image.")
        self._status, self._bar = status, bar
        self._path = path
        self._params, self._settings, self._simulator = params, settings or {}, simulator
        self._given = _opened(path)
        self._asked = cores
        self.cores = cores_of(self._given, cores) if isinstance(self._given, Image) else cores or 0
        if params or settings:
            _ = self.params  # at once, so that settings are judged whatever runs the model

    @property
    def config(self) -> ModelConfig:
        """The model's configuration."""
        return self._given.config

    @property
    def warnings(self) -> list[str]:
        """Sentences on what was found in its files."""
        return [] if isinstance(self._given, Image) else self._given.warnings

    @cached_property
    def params(self) -> CoreParams:
        """The core to run on or to quantise for; raise MisfitError where no preset fits the image."""
        if isinstance(self._given, Image) and not self._params:
            return fitting_preset(self._given, self._settings, self.cores > 0)
        return core(self._params or preset(DEFAULT_PRESET), self._settings, self.cores > 0)

    @cached_property
    def codec(self) -> TextCodec:
        """Its tokenizer."""
        return self._given.codec() if isinstance(self._given, Image) else TextCodec.from_folder(self._path)

    def prompt(self, text: str) -> list[int]:
        """The tokens of a prompt, begun by bos where the model has one; TritforgeError where it cannot be run."""
        if not text:
            raise TritforgeError("The prompt is empty; give some text with --prompt.")
        bos = self.config.bos
        ids = [*([] if bos is None else [bos]), *self.codec.encode(text)]
        check_ids(np.array(ids, dtype=np.int64), self.config.vocab)
        return ids

    def source(self) -> "IntegerSource":
        """Its integers, straight from what the user gave."""
        if isinstance(self._given, Image):
            from tritforge.host.image.decode import DecodedImage

            return DecodedImage(self._given)
        return self._quantised(self._given)

    def _quantised(self, checkpoint: "Checkpoint") -> "IntegerCheckpoint":
        from tritforge.golden.model.quantise import IntegerCheckpoint

        return IntegerCheckpoint(checkpoint, self.params.formats)

    def image(self) -> Image:
        """The image itself, or one packed from the checkpoint, which is kept (`rtl_gen.cache.folder`)."""
        if isinstance(self._given, Image):
            return self._given
        name = f"{self._path.resolve().name[:NAMED]}-{self._digest(self._given)}.tfi"
        path = cache_folder() / "images" / name
        with suppress(ImageError):  # packed anew where it is missing or was damaged
            return Image.open(path)
        from tritforge.host.image.pack import pack

        with self._bar(f"Packing {self._path}") as progress:
            pack(self._quantised(self._given), self.params, path, progress, self.cores or 1)
        return Image.open(path)

    def _digest(self, checkpoint: "Checkpoint") -> str:
        """Names everything that decides the bytes of the image."""
        params = (self.params.lanes, self.params.element_bytes, self.params.code, self.params.formats)
        shared = (self.cores, self.params.vector_rows) if self.cores > 1 else ()
        tokenizer = self._path / TOKENIZER
        files = [*checkpoint.files(), *([tokenizer] if tokenizer.is_file() else [])]
        with self._bar(f"Reading {self._path}") as progress:
            content = content_digest(files, progress)
        named = repr((params, *shared, content, code_digest("tritforge.host.image.pack")))
        return hashlib.sha256(named.encode()).hexdigest()[:16]

    @contextmanager
    def session(
        self,
        kind: Kind,
        check: bool = False,
        stall: float = 0.0,
        trace: Path | None = None,
        arith: Arith = Arith.MATMUL,
        outlier_threshold: float | None = None,
        memory: "AttachedMemory | None" = None,
        port: str | None = None,
        link_latency: int | None = None,
    ) -> Iterator[Session]:
        """Open a backend.

        Parameters
        ----------
        kind
            Which one.
        check
            Compare every token with the golden integer model; only a core has something to check.
        stall
            Probability of a random stall on the core's streams.
        trace
            Where to write the timeline of the core's last token at the end.
        arith
            How the integer model computes its ternary products.
        outlier_threshold
            See `host.run.driver.Driver`.
        memory
            Behind the core's weight stream, in the place of one that is never late.
        port
            Where the board is.
        link_latency
            Cycles from one core of a ring to the next, beside their own; None for wires.
        """
        if (kind is Kind.BOARD) != (port is not None):
            raise TritforgeError(
                f"--backend {Kind.BOARD} and --port belong together; a port is such as /dev/ttyUSB0 or sim:ulx3s-85f."
            )
        if arith is not Arith.MATMUL and kind is not Kind.INTEGER:
            raise TritforgeError(
                f"--arith {arith} is a way to run the integer model; it needs --backend {Kind.INTEGER}."
            )
        if check and kind not in (Kind.RTL, Kind.BOARD):
            raise TritforgeError(
                f"--check compares a core with the integer model; it needs --backend {Kind.RTL} or {Kind.BOARD}."
            )
        if trace and kind is not Kind.RTL:
            raise TritforgeError(f"--trace shows what a core does in every cycle; it needs --backend {Kind.RTL}.")
        if stall and kind is not Kind.RTL:
            raise TritforgeError(f"--stall makes the streams of a core wait; it needs --backend {Kind.RTL}.")
        if memory and kind is not Kind.RTL:
            raise TritforgeError(f"--memory stands behind a core's weight stream; it needs --backend {Kind.RTL}.")
        if self._asked and kind is not Kind.RTL:
            raise TritforgeError(f"--cores is a number of simulated cores; it needs --backend {Kind.RTL}.")
        if link_latency is not None and kind is not Kind.RTL:
            raise TritforgeError(f"--link-latency is about simulated cores; it needs --backend {Kind.RTL}.")
        if kind is Kind.FLOAT:
            if self._settings:
                raise TritforgeError("--set changes a core, and float has none; it needs --backend integer or rtl.")
            if outlier_threshold is not None:
                raise TritforgeError("--outlier-threshold is about integer codes; it needs --backend integer or rtl.")
            if isinstance(self._given, Image):
                raise TritforgeError(f"An image holds integers only; give the checkpoint for --backend {kind}.")
            from tritforge.golden.model.reference import ReferenceModel
            from tritforge.host.run.golden_backends import FloatBackend

            yield Session(FloatBackend(ReferenceModel.from_checkpoint(self._given)))
        elif kind is Kind.INTEGER:
            from tritforge.host.run.golden_backends import IntegerBackend

            # any model runs without a core; of one that is given the codes and the formats matter
            bits = preset(DEFAULT_PRESET).act_bits
            if self._params or self._settings:
                bits = self.params.act_bits
                self.check_fit()
            yield Session(IntegerBackend(self.source(), arith, activations(bits, outlier_threshold)))
        elif port is not None:
            if self._params or self._settings:
                raise TritforgeError("A board has the core that it has; leave --preset and --set out.")
            from tritforge.host.board.session import opened

            with opened(port, self._status) as board:
                yield self.on_board(board, check, outlier_threshold)
        else:
            around = Surroundings(stall, memory, link_latency)
            with self.core_session(check, trace, outlier_threshold, around) as session:
                yield session

    def on_board(
        self, board: "OpenedBoard", check: bool = False, outlier_threshold: float | None = None
    ) -> "BoardSession":
        """The model on a board, packed for its core; see `session`."""
        model = Model(self._path, board.core, self._status, self._bar, cores=0)
        image = model.image()
        model.check_fit(image)
        core = board.backend(image, outlier_threshold)
        backend: Backend = core
        if check:
            from tritforge.host.run.golden_backends import IntegerBackend

            golden = IntegerBackend(model.source(), activations=activations(board.core.act_bits, outlier_threshold))
            backend = Checked(core, golden, lambda ids: "so look at the memory with tritforge board test")
        return BoardSession(backend, core)

    @contextmanager
    def core_session(
        self,
        check: bool = False,
        trace: Path | None = None,
        outlier_threshold: float | None = None,
        around: Surroundings = ALONE,
    ) -> Iterator[CoreSession]:
        """Open the simulated core, or the ring of them; see `session`."""
        if trace:
            check_writable(trace)
        given = activations(self.params.act_bits, outlier_threshold)
        image = self.image()
        self.check_fit(image)
        params = replace(self.params, taps=True) if trace else self.params
        with self._simulated(params, around) as transport:
            if trace:
                transport.record_trace()
            core = CoreBackend(transport, image, outlier_threshold)
            backend: Backend = core
            if check:
                from tritforge.host.run.golden_backends import IntegerBackend

                golden = IntegerBackend(self.source(), activations=given)
                backend = Checked(core, golden, lambda ids: self.locate(ids, outlier_threshold))
            yield CoreSession(backend, core, transport)
            if trace:
                write_timeline(trace, *traces(transport))

    def _simulated(
        self,
        params: CoreParams,
        around: Surroundings = ALONE,
    ) -> "SimTransport | SimRing":
        return simulated(params, self.cores, around, self._status, self._simulator)

    def check_fit(self, image: Image | None = None) -> None:
        """Raise MisfitError where the core cannot run an image, or else what the user gave."""
        given = image or self._given
        reason = misfit(self.params, given) if isinstance(given, Image) else self.params.misfit(self.config)
        if reason:
            raise MisfitError(reason)

    def locate(self, ids: list[int], outlier_threshold: float | None = None) -> str:
        """Run `ids` again on a core with debug taps and say where the last of them first differs."""
        from tritforge.host.run.locate import locate_difference

        self._status("Running the tokens again on a core with debug taps, to find the first difference")
        with self._simulated(replace(self.params, taps=True)) as transport:
            backend = CoreBackend(transport, self.image(), outlier_threshold)
            if len(ids) > 1:
                backend.run(np.array(ids[:-1]), logits=False)
            transport.record_taps()
            backend.run(np.array(ids[-1:]), logits=False)
            shares = self.image().shares
            found = locate_difference(taps(transport), self.source(), ids, backend.driver.activations, shares)
        return f"first in {found}" if found else "with taps every row is equal, so look at the result unit"


def _opened(path: Path) -> "Checkpoint | Image":
    if not path.is_dir():
        return Image.open(path)
    from tritforge.golden.checkpoints.reader import Checkpoint

    return Checkpoint(path)
