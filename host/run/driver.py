# SPDX-License-Identifier: Apache-2.0
"""The driver of a core: refuses a misfit, streams packets of one or more tokens, reads states and counters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritforge.golden import Failure, TritforgeError
from tritforge.golden.model.activations import Activations, activations
from tritforge.golden.model.formats import Formats
from tritforge.host.image.image import Image
from tritforge.host.image.stream import TokenStream
from tritforge.host.run.registers import CoreRegisters, Counters, added
from tritforge.host.run.transport import Registers, Transport
from tritforge.hw.packet import Context, Result, parse_result, split_logits
from tritforge.hw.params import LIMITS, CoreParams
from tritforge.hw.register_map import CORE_ID, CORE_VERSION, register
from tritforge.hw.schedule import STREAM_VERSION, Group, Status
from tritforge.hw.trits import NUMBERS

_MEANING = {
    Status.MAGIC: "the packet does not begin with a header",
    Status.FORMAT: "it speaks another stream version or trit code",
    Status.GEOMETRY: "the packet is for other lanes or element bytes",
    Status.LIMITS: "the model, a slot or the number of contexts exceeds its limits",
    Status.HEADER_CRC: "the header was altered on its way",
    Status.TOKEN: "a token is outside the vocabulary",
    Status.SHORT: "the packet ended early",
    Status.LONG: "the packet went on after its end",
    Status.ABORTED: "the host aborted it",
    Status.STATE: "the state of a slot is torn by an earlier error, so begin from a zero state",
    Status.PEER: "another core of the ring ended the token",
}


class MisfitError(TritforgeError):
    """Image and core do not fit; the message says in what."""


class CoreError(Failure):
    """A packet that ended with an error.

    Attributes
    ----------
    status
        What the core reported.
    """

    def __init__(self, tokens: Sequence[int], status: Status, core: str = "The core") -> None:
        what = f"token{'s' * (len(tokens) > 1)} {', '.join(map(str, tokens))}"
        super().__init__(f"{core} ended {what} with status {status.name}: {_MEANING[status]}.")
        self.status = status


@dataclass(frozen=True)
class Prediction:
    """What the core says after one context.

    Attributes
    ----------
    token
        The argmax, the lowest index where several are equal.
    scale
        The logit scale word (`hw.packet.split_scale`): logit = accumulator * mantissa * 2**-exponent.
    logits
        The accumulators int32 [vocab]; None where they were not asked for.
    """

    token: int
    scale: int
    logits: NDArray[np.int32] | None


class Driver:
    """Runs an image on a core.

    Parameters
    ----------
    transport
        The link.
    image
        The model.
    outlier_threshold
        From which multiple of a vector's root mean square on an element is an outlier, 0 for off; None takes the
        default of a core that has codes of more than eight bits.

    Attributes
    ----------
    params
        The core's parameters, as its registers tell them.
    activations
        How it codes the inputs of products.

    Raises
    ------
    MisfitError
        Where there is no tritforge core or it cannot run the image.
    TritforgeError
        For a threshold that it cannot take.
    """

    def __init__(self, transport: Transport, image: Image, outlier_threshold: float | None = None) -> None:
        self._transport = transport
        params = identify(transport)
        self._set_up(image, params, [CoreRegisters(transport, params)], outlier_threshold)

    def _set_up(
        self, image: Image, params: CoreParams, cores: list[CoreRegisters], outlier_threshold: float | None
    ) -> None:
        """What is the same for one core and for several equal ones that share the image, each with one share."""
        reason = misfit(params, image)
        if reason:
            raise MisfitError(reason)
        self._image, self.params, self._cores = image, params, cores
        self._stream = TokenStream(image)
        self._sequence = 0
        self.activations: Activations = activations(params.act_bits, outlier_threshold)
        if params.extra_bits:
            for core in cores:
                core.write("OUTLIERS", self.activations.threshold)

    def step(self, contexts: Sequence[Context]) -> tuple[Prediction, ...]:
        """Run one packet: tokens that share one pass over the weights.

        Parameters
        ----------
        contexts
            Up to `params.batch`. Those of one slot are successive tokens of a sequence, in order; distinct slots keep
            the states of distinct sequences.

        Returns
        -------
        One prediction for each context.

        Raises
        ------
        TritforgeError
            For a token outside the vocabulary, a slot that the core does not have or too many contexts; nothing
            is sent.
        CoreError
            Where the core refuses or aborts the packet.
        RuntimeError
            Where it answers with the result of another one.
        """
        if len(contexts) > self.params.batch:
            raise TritforgeError(
                f"This core takes at most {self.params.batch} contexts a packet, not {len(contexts)}."
            )
        for context in contexts:
            self._check_slot(context.slot)
        self._sequence = self._sequence + 1 & 0xFFFFFFFF
        results = self._answers(contexts)
        for core, result in zip(self._cores, results, strict=True):
            if result.sequence != self._sequence:
                raise Failure(
                    f"{core} answered packet {result.sequence} instead of {self._sequence}; reset the core."
                )
            if len(result.tokens) != len(contexts):
                raise Failure(
                    f"{core} answered {len(result.tokens)} contexts instead of {len(contexts)}; reset the core."
                )
        asked = sum(context.logits for context in contexts)
        shares = zip(self._image.shares, results, strict=True)
        logits = iter(
            np.concatenate(
                [split_logits(self.params, s.outputs(Group.HEAD), asked, result.logits) for s, result in shares],
                axis=1,
            )
        )
        return tuple(
            Prediction(token, scale, next(logits) if context.logits else None)
            for context, token, scale in zip(contexts, results[0].tokens, results[0].scales, strict=True)
        )

    def _answers(self, contexts: Sequence[Context]) -> list[Result]:
        """The result of each core; CoreError for one that is not well."""
        packet = self._stream.packet(contexts, self._sequence)
        result = parse_result(self._transport.exchange(packet))
        if result.status is not Status.OK:
            raise CoreError([context.token for context in contexts], result.status)
        return [result]

    def read_state(self, slot: int = 0) -> NDArray[np.int32]:
        """The recurrent state [L, d] of a slot, wide with `frac` fraction bits; between packets only."""
        self._check_slot(slot)
        layers, shares = self._image.shape.layers, zip(self._cores, self._image.shares, strict=True)
        return np.concatenate([core.read_state(slot, layers, share.outputs(Group.MIX)) for core, share in shares], 1)

    def write_state(self, state: NDArray[np.int32], slot: int = 0) -> None:
        """Set the recurrent state of a slot to what `read_state` returned; TritforgeError for another shape."""
        self._check_slot(slot)
        shape = (self._image.shape.layers, self._image.shape.hidden)
        if state.shape != shape:
            raise TritforgeError(f"The state of this model has shape {shape}, not {state.shape}.")
        for core, share in zip(self._cores, self._image.shares, strict=True):
            core.write_state(slot, state[:, share.own(Group.MIX)])

    def core_counters(self) -> list[Counters]:
        """All counters of each core."""
        return [core.counters() for core in self._cores]

    def counters(self) -> Counters:
        """All counters, of all cores together."""
        return added(self.core_counters())

    def clear_counters(self) -> None:
        """Set all counters to zero."""
        for core in self._cores:
            core.clear_counters()

    def _check_slot(self, slot: int) -> None:
        if not 0 <= slot < self.params.batch:
            raise TritforgeError(f"Slot {slot} does not exist; this core has 0 to {self.params.batch - 1}.")


def identify(registers: Registers) -> CoreParams:
    """The parameters of a core, as its registers tell them; MisfitError where there is none it knows."""

    def read(name: str) -> int:
        return registers.read_register(register(name).offset)

    def field(name: str, part: str) -> int:
        where = register(name).field(part)
        return (read(name) & where.mask) >> where.low

    identity = read("ID")
    if identity != CORE_ID:
        raise MisfitError(f"No tritforge core answers: its ID reads {identity:#010x}, not {CORE_ID:#010x}.")
    major = field("VERSION", "MAJOR")
    if major != CORE_VERSION >> 16:
        raise MisfitError(f"The core has register map {major}; this driver knows {CORE_VERSION >> 16}.")
    stream, code = field("GEOMETRY", "STREAM_VERSION"), field("GEOMETRY", "CODE")
    if stream != STREAM_VERSION:
        raise MisfitError(f"The core takes stream version {stream}; this driver sends {STREAM_VERSION}.")
    if code not in NUMBERS:
        known = ", ".join(f"{c.number} ({c.name})" for c in NUMBERS.values())
        raise MisfitError(f"The core takes trit code {code}; this driver knows {known}.")
    limits: dict[str, Any] = {f"max_{name}": read(f"LIMIT_{name.upper()}") for name in LIMITS}
    return CoreParams(
        lanes=1 << field("GEOMETRY", "LOG2_LANES"),
        element_bytes=field("GEOMETRY", "ELEMENT_BYTES"),
        code=NUMBERS[code].name,
        act_bits=read("ACTIVATIONS") if field("VERSION", "MINOR") else 8,
        vector_rows=field("FORMATS", "VECTOR_ROWS"),
        batch=read("LIMIT_BATCH"),
        **limits,
        formats=Formats(*(field("FORMATS", name) for name in ("WIDE_BITS", "FRAC", "MANTISSA"))),
    )


def misfit(params: CoreParams, image: Image) -> str | None:
    """A sentence that says why a core cannot run an image, or None if it can."""
    wanted, shared = image.params, image.cores > 1
    if shared and not params.linked:
        return (
            f"The image is packed for {image.cores} cores that are linked, but the core has no link; "
            "pack the checkpoint without --cores."
        )
    for what, has, wants in (
        ("formats", params.formats, wanted.formats),
        ("lanes", params.lanes, wanted.lanes),
        ("element bytes", params.element_bytes, wanted.element_bytes),
        ("trit code", params.code, wanted.code),
        *([("vector_rows", params.vector_rows, image.header.granule)] if shared else []),
    ):
        if has != wants:
            return f"The core has {what} {has}, but the image is for {wants}; pack the checkpoint for this core."
    return params.misfit(image.shape)
