# SPDX-License-Identifier: Apache-2.0
"""The driver of a ring of cores that share a model: who is there, a packet to each, one answer of all."""

from collections.abc import Sequence
from dataclasses import replace

from tritforge.golden import Failure
from tritforge.host.image.image import Image
from tritforge.host.run.driver import CoreError, Driver, MisfitError, identify
from tritforge.host.run.registers import CoreRegisters
from tritforge.host.run.transport import Registers, RingTransport
from tritforge.hw.packet import Context, Result, parse_result
from tritforge.hw.params import CoreParams
from tritforge.hw.register_map import register
from tritforge.hw.schedule import Status

PATIENCE = 1000
"""Times that a core is asked whether it has heard the one before it; each takes a bus and a link some cycles."""


class RingDriver(Driver):
    """Runs an image on cores in a ring, each of which has a share of it.

    Parameters
    ----------
    transport
        The links to the cores.
    image, outlier_threshold
        See `Driver`; an image for so many cores.

    Raises
    ------
    MisfitError
        Where a core is missing, another than it should be or without its neighbour, where the cores differ, or where
        they cannot run the image.
    TritforgeError
        For a threshold that they cannot take.
    """

    def __init__(self, transport: RingTransport, image: Image, outlier_threshold: float | None = None) -> None:
        self._ring = transport
        params = identify_ring(transport)
        count = len(transport.cores)
        if count != image.cores:
            raise MisfitError(
                f"The ring has {count} cores, but the image is for {image.cores}; pack the checkpoint for this ring."
            )
        cores = [CoreRegisters(registers, params, number) for number, registers in enumerate(transport.cores)]
        self._set_up(image, params, cores, outlier_threshold)

    def _answers(self, contexts: Sequence[Context]) -> list[Result]:
        """The result of each core; CoreError of the one that ended a token early."""
        packets = self._stream.packets(contexts, self._sequence)
        results = [parse_result(words) for words in self._ring.exchange_all(packets)]
        failed = [(number, r.status) for number, r in enumerate(results) if r.status is not Status.OK]
        for number, status in sorted(failed, key=lambda one: one[1] is Status.PEER):
            raise CoreError([context.token for context in contexts], status, f"Core {number}")
        for number, result in enumerate(results):
            if (result.tokens, result.scales) != (results[0].tokens, results[0].scales):
                raise Failure(f"Core {number} answered other tokens or scales than core 0; reset the cores.")
        return results


def identify_ring(transport: RingTransport) -> CoreParams:
    """The parameters of the cores of a ring, which are the same for all.

    Raises
    ------
    MisfitError
        Where a core is not what it should be, with its number: no tritforge core, another one, without a link, in
        another place or in a ring of another size, or where it does not hear the one before it.
    """
    last = len(transport.cores) - 1
    params = [_identified(number, registers) for number, registers in enumerate(transport.cores)]
    cores = [CoreRegisters(registers, params[0], number) for number, registers in enumerate(transport.cores)]
    for number, core in enumerate(cores):
        if params[number] != params[0]:
            raise MisfitError(f"{core} is another than core 0: {params[number]} instead of {params[0]}.")
        try:
            index, others = (_field(core, name) for name in ("INDEX", "LAST"))
        except Failure as error:
            raise MisfitError(f"{core} has no link to others; generate it with --cores.") from error
        if (index, others) != (number, last):
            raise MisfitError(
                f"{core} takes itself for core {index} of 0 to {others}; set its straps link_index to {number} and "
                f"link_last to {last}."
            )
    if last:
        for core in cores:
            core.write("CONTROL", register("CONTROL").field("HELLO").mask)
        for number, core in enumerate(cores):
            _await_hello(core, (number - 1) % len(cores))
    # no register says how wide the links are, and no driver needs to know
    return replace(params[0], link_bytes=1)


def _identified(number: int, registers: Registers) -> CoreParams:
    try:
        return identify(registers)
    except MisfitError as error:
        raise MisfitError(f"Core {number} of the ring cannot be used: {error}") from error


def _await_hello(core: CoreRegisters, before: int) -> None:
    """Wait until a core has heard the one before it."""
    for _ in range(PATIENCE):
        if _field(core, "HEARD_VALID"):
            break
    else:
        raise MisfitError(
            f"{core} does not hear core {before}: it is missing, or the link from it to {str(core).lower()} is cut."
        )
    heard = _field(core, "HEARD")
    if heard != before:
        raise MisfitError(f"{core} hears core {heard} instead of core {before}; join the links in the cores' order.")


def _field(core: CoreRegisters, name: str) -> int:
    field = register("LINK").field(name)
    return (core.read("LINK") & field.mask) >> field.low
