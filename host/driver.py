# SPDX-License-Identifier: Apache-2.0
"""The driver of a core: refuses a misfit, streams a packet per token, reads state and counters."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.numerics import Formats
from host.image import Image
from host.stream import TokenStream
from host.transport import Transport
from hw.packet import Result, parse_result
from hw.params import CoreParams
from hw.register_map import CORE_ID, CORE_VERSION, register
from hw.schedule import CODE_NAMES, FLAG_LOGITS, FLAG_RESET, STREAM_VERSION, Status

_MEANING = {
    Status.MAGIC: "the packet does not begin with a header",
    Status.FORMAT: "it speaks another stream version or trit code",
    Status.GEOMETRY: "the packet is for other lanes or element bytes",
    Status.LIMITS: "the model exceeds its limits",
    Status.HEADER_CRC: "the header was altered on its way",
    Status.TOKEN: "the token is outside the vocabulary",
    Status.SHORT: "the packet ended early",
    Status.LONG: "the packet went on after its end",
    Status.ABORTED: "the host aborted it",
    Status.STATE: "the state is torn by an earlier error, so begin with a reset",
}


class MisfitError(ValueError):
    """Image and core do not fit; the message says in what."""


class CoreError(RuntimeError):
    """A token that ended with an error.

    Attributes
    ----------
    status
        What the core reported.
    """

    def __init__(self, token: int, status: Status) -> None:
        super().__init__(f"The core ended token {token} with status {status.name}: {_MEANING[status]}.")
        self.status = status


@dataclass(frozen=True)
class Counters:
    """The core's counters since they were last cleared (hw/register_map.py has their definitions)."""

    cycles: int
    beats: int
    starved: int
    stalled: int
    tokens: int
    saturations: int

    @property
    def occupancy(self) -> float:
        """Weight-stream occupancy: beats accepted per cycle in a token; 0 before the first."""
        return self.beats / self.cycles if self.cycles else 0.0


class Driver:
    """Runs an image on a core.

    Parameters
    ----------
    transport
        The link.
    image
        The model.

    Attributes
    ----------
    core
        The core's parameters, as its registers tell them.

    Raises
    ------
    MisfitError
        Where there is no tritforge core or it cannot run the image.
    """

    def __init__(self, transport: Transport, image: Image) -> None:
        self._transport = transport
        self._image = image
        self._stream = TokenStream(image)
        self._sequence = 0
        self.core = self._identify()
        reason = misfit(self.core, image)
        if reason:
            raise MisfitError(reason)

    def step(self, token: int, reset: bool = False, logits: bool = False) -> Result:
        """Run one token.

        Parameters
        ----------
        token
            In the vocabulary, else ValueError and nothing is sent.
        reset
            Begin with a zero state.
        logits
            Ask for all accumulators, not only for the argmax.

        Raises
        ------
        CoreError
            Where the core refuses or aborts the token, or answers with another's result.
        """
        flags = FLAG_RESET * reset | FLAG_LOGITS * logits
        self._sequence = self._sequence + 1 & 0xFFFFFFFF
        packet = self._stream.packet(token, self._sequence, flags)
        result = parse_result(self._transport.exchange(packet))
        if result.status is not Status.OK:
            raise CoreError(token, result.status)
        if result.sequence != self._sequence:
            raise RuntimeError(
                f"The core answered packet {result.sequence} instead of {self._sequence}; reset the core."
            )
        return result

    def read_state(self) -> NDArray[np.int32]:
        """The recurrent state [L, d], wide with `frac` fraction bits; between tokens only."""
        shape = self._image.shape
        self._write("STATE_ADDRESS", 0)
        words = [self._read("STATE_DATA") for _ in range(shape.layers * shape.hidden)]
        return np.array(words, dtype=np.uint32).view(np.int32).reshape(shape.layers, shape.hidden)

    def write_state(self, state: NDArray[np.int32]) -> None:
        """Set the recurrent state to what `read_state` returned; ValueError for another shape."""
        shape = (self._image.shape.layers, self._image.shape.hidden)
        if state.shape != shape:
            raise ValueError(f"The state of this model has shape {shape}, not {state.shape}.")
        self._write("STATE_ADDRESS", 0)
        for word in np.ascontiguousarray(state, dtype=np.int32).view(np.uint32).flat:
            self._write("STATE_DATA", int(word))

    def counters(self) -> Counters:
        """Read all counters."""
        cycles, beats, starved, stalled = (
            self._read(f"{name}_LO") | self._read(f"{name}_HI") << 32
            for name in ("CYCLES", "BEATS", "STARVED", "STALLED")
        )
        return Counters(cycles, beats, starved, stalled, self._read("TOKENS"), self._read("SATURATIONS"))

    def clear_counters(self) -> None:
        """Set all counters to zero."""
        self._write("CONTROL", register("CONTROL").field("CLEAR").mask)

    def _read(self, name: str) -> int:
        return self._transport.read_register(register(name).offset)

    def _write(self, name: str, value: int) -> None:
        self._transport.write_register(register(name).offset, value)

    def _field(self, name: str, field: str) -> int:
        where = register(name).field(field)
        return (self._read(name) & where.mask) >> where.low

    def _identify(self) -> CoreParams:
        identity = self._read("ID")
        if identity != CORE_ID:
            raise MisfitError(f"No tritforge core answers: its ID reads {identity:#010x}, not {CORE_ID:#010x}.")
        major = self._field("VERSION", "MAJOR")
        if major != CORE_VERSION >> 16:
            raise MisfitError(f"The core has register map {major}; this driver knows {CORE_VERSION >> 16}.")
        stream, code = self._field("GEOMETRY", "STREAM_VERSION"), self._field("GEOMETRY", "CODE")
        if stream != STREAM_VERSION:
            raise MisfitError(f"The core takes stream version {stream}; this driver sends {STREAM_VERSION}.")
        if code not in CODE_NAMES:
            raise MisfitError(f"The core takes trit code {code}; images hold '{', '.join(CODE_NAMES.values())}'.")
        return CoreParams(
            lanes=1 << self._field("GEOMETRY", "LOG2_LANES"),
            element_bytes=self._field("GEOMETRY", "ELEMENT_BYTES"),
            max_hidden=self._read("LIMIT_HIDDEN"),
            max_intermediate=self._read("LIMIT_INTERMEDIATE"),
            max_layers=self._read("LIMIT_LAYERS"),
            max_vocab=self._read("LIMIT_VOCAB"),
            formats=Formats(*(self._field("FORMATS", name) for name in ("WIDE_BITS", "FRAC", "MANTISSA"))),
        )


def misfit(core: CoreParams, image: Image) -> str | None:
    """A sentence that says why a core cannot run an image, or None if it can."""
    wanted, shape = image.core, image.shape
    for what, has, wants in (
        ("lanes", core.lanes, wanted.lanes),
        ("element bytes", core.element_bytes, wanted.element_bytes),
        ("formats", core.formats, wanted.formats),
    ):
        if has != wants:
            return f"The core has {what} {has}, but the image is for {wants}; pack the checkpoint for this core."
    return core.misfit(shape.hidden, shape.layers, shape.intermediate, shape.vocab)
