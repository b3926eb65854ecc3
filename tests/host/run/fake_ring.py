# SPDX-License-Identifier: Apache-2.0
"""A ring of cores in software behind the driver's transport: it judges headers and answers with the integer model."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from tests.fake_core import FakeCore
from tritforge.golden.model.integer import IntegerModel
from tritforge.golden.model.source import IntegerSource
from tritforge.hw import register_map as rm
from tritforge.hw import schedule as sc
from tritforge.hw.packet import Context, header_words
from tritforge.hw.params import CoreParams


class FakeLinked(FakeCore):
    """The registers of one core of a ring."""

    def __init__(self, params: CoreParams, ring: "FakeRing", number: int, count: int) -> None:
        super().__init__(params)
        self._ring, self.number = ring, number
        self.registers |= {entry.name: 0 for entry in rm.LINK_REGISTERS}
        self.registers["LINK"] = rm.register("LINK").word(INDEX=number, LAST=count - 1)

    def read_register(self, offset: int) -> int:
        """Read by byte offset, those of the link, too."""
        by_offset = {entry.offset: entry.name for entry in rm.LINK_REGISTERS}
        return self.registers[by_offset[offset]] if offset in by_offset else super().read_register(offset)

    def write_register(self, offset: int, value: int) -> None:
        """Write by byte offset; HELLO is said to the next core."""
        if offset == rm.register("CONTROL").offset and value == rm.register("CONTROL").field("HELLO").mask:
            self._ring.hello(self.number)
            return
        super().write_register(offset, value)
        if offset == rm.register("CONTROL").offset:
            self.registers["EXCHANGE_LO"] = 0

    @property
    def state(self) -> NDArray[np.int32]:
        """What `STATE_DATA` shows, of all slots."""
        return self._state


class FakeRing:
    """See `host.run.transport.RingTransport`.

    Attributes
    ----------
    cut : cores that the next one does not hear.
    order : whom each core's link leads to, where it is not the next one.
    statuses : in place of the result, by core.
    spoil : added to the first token of a core's result.
    packets : sent so far, each as those of all cores.
    given : how it is to be simulated.
    """

    def __init__(self, params: CoreParams, source: IntegerSource, shares: Sequence[sc.Share]) -> None:
        self.params, self._source, self._shares = params, source, shares
        self.cores = [FakeLinked(params, self, share.index, share.cores) for share in shares]
        self.cut: set[int] = set()
        self.order: dict[int, int] = {}
        self.statuses: dict[int, sc.Status] = {}
        self.spoil: dict[int, int] = {}
        self.packets: list[list[list[NDArray[np.uint8]]]] = []
        self.given: dict[str, object] = {}
        self.cycles, self.seconds, self.progress = 12345, 0.5, None

    @classmethod
    def simulated(cls, source: IntegerSource, made: list["FakeRing"]) -> Callable[..., "FakeRing"]:
        """What stands in for `sim.ring.simulator.SimRing`; each that is made is added to a list."""

        def ring(params: CoreParams, count: int, status: object, stall: float, **more: object) -> FakeRing:
            one = cls(params, source, sc.shares(sc.Shape.of(source.config), count, params.vector_rows))
            one.given = {"stall": stall} | more
            made.append(one)
            return one

        return ring

    def __enter__(self) -> "FakeRing":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def hello(self, number: int) -> None:
        """One core says hello."""
        if number not in self.cut:
            heard = self.cores[self.order.get(number, (number + 1) % len(self.cores))]
            heard.registers["LINK"] |= rm.register("LINK").word(HEARD=number, HEARD_VALID=1)

    def exchange_all(self, packets: Sequence[Sequence[NDArray[np.uint8]]]) -> list[NDArray[np.uint32]]:
        """Run one token of all."""
        self.packets.append([list(packet) for packet in packets])
        headers = [packet[0].view(np.uint32) for packet in packets]
        sequence = int(headers[0][sc.HeaderWord.SEQUENCE])
        if self.statuses:
            return [
                np.array([self.statuses.get(k, sc.Status.PEER) | sc.RESULT_MAGIC << 16, sequence], np.uint32)
                for k in range(len(packets))
            ]
        count, zero, logits = (int(headers[0][2]) >> shift & 0xFF for shift in (0, 8, 16))
        tokens = headers[0][4:8].view(np.uint16)[:count].tolist()
        contexts = [
            Context(token, int(headers[0][8]) >> 4 * n & 0xF, bool(zero >> n & 1), bool(logits >> n & 1))
            for n, token in enumerate(tokens)
        ]
        for header, share in zip(headers, self._shares, strict=True):
            assert np.array_equal(header, header_words(self.params, share, contexts, sequence))
        return self._run(contexts, sequence)

    def _run(self, contexts: list[Context], sequence: int) -> list[NDArray[np.uint32]]:
        model, sent, trailer = IntegerModel(self._source), [], []
        for context in contexts:
            state = torch.zeros(self._source.config.layers, self._source.config.hidden, dtype=torch.int64)
            if not context.zero:
                state = torch.from_numpy(np.concatenate([self._window(k, context.slot) for k in self._shares], 1))
            exact, after = model.forward(torch.tensor([context.token]), state.long())
            for share in self._shares:
                self._window(share, context.slot)[:] = after.numpy()[:, share.own(sc.Group.MIX)]
            raw = exact.raw[0].numpy().astype(np.int32)
            trailer += [int(raw.argmax()), int(exact.mantissa) | (int(exact.shift) & 0xFFF) << 20]
            sent += [raw] if context.logits else []
        trailer += [len(contexts) << 8 | sc.RESULT_MAGIC << 16, sequence]
        results = []
        for share in self._shares:
            own = [raw[share.own(sc.Group.HEAD)].view(np.uint32) for raw in sent]
            blocks = range(0, share.outputs(sc.Group.HEAD), self.params.rows)
            parts = [raw[start : start + self.params.rows] for start in blocks for raw in own]
            end = np.array(trailer, dtype=np.uint32)
            end[0] += self.spoil.get(share.index, 0)
            results.append(np.concatenate([*parts, end]))
            core = self.cores[share.index]
            core.registers["TOKENS"] += len(contexts)
            for name, cycles in (("BEATS", 3), ("EXCHANGE", 1 + share.index), ("CYCLES", 4 + share.index)):
                core.registers[f"{name}_LO"] += cycles
        return results

    def _window(self, share: sc.Share, slot: int) -> NDArray[np.int32]:
        """The state [layers, own rows] of one core's slot."""
        rows, group = share.outputs(sc.Group.MIX), self.params.vector_rows
        stride = -(-rows // group) * group
        flat = self.cores[share.index].state[slot, : share.layers * stride]
        return flat.reshape(share.layers, stride)[:, :rows]
