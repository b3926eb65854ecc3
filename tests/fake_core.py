# SPDX-License-Identifier: Apache-2.0
"""A core in software behind the driver's transport: it knows a model only from the packets it is sent.

It walks a packet segment by segment as `hw.schedule` orders them, and answers with the integer model's
results. Its parser shares nothing with the packer but the schedule.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch
from numpy.typing import NDArray

from tritforge.golden.checkpoints.reader import ModelConfig
from tritforge.golden.model.activations import Activations
from tritforge.golden.model.integer import IntegerModel
from tritforge.golden.model.quantise import IntegerHead, IntegerLayer, Matrix, Norm
from tritforge.host.run.golden_backends import Cached
from tritforge.hw import register_map as rm
from tritforge.hw import schedule as sc
from tritforge.hw.packet import Context, header_words, split_gain, split_scale
from tritforge.hw.params import CoreParams
from tritforge.sim.memory_models import MemoryUse


@dataclass
class Product:
    """One group as it came: constants, side words [kinds, rows], trits [rows, columns] of each matrix."""

    constants: list[int]
    words: NDArray[np.uint32]
    trits: dict[str, NDArray[np.int8]]


class FakeCore:
    """See `host.run.transport.Transport`.

    Parameters
    ----------
    params
        What it claims to be.

    Attributes
    ----------
    packets
        How many it was sent.
    registers
        By name; may be changed to make it another core.
    flip
        Subtracted from the first logit of every token, to make it wrong.
    contexts
        Those of the last packet, as its header says.
    """

    def __init__(self, params: CoreParams) -> None:
        self.params = params
        self.packets = 0
        self.flip = 0
        self.contexts: list[Context] = []
        self.registers = {entry.name: 0 for entry in rm.REGISTERS} | rm.constants(params)
        self._state = np.zeros((params.batch, params.max_layers * params.max_hidden), dtype=np.int32)

    def exchange(
        self, segments: Sequence[NDArray[np.uint8]], last: bool = True, expect_result: bool = True
    ) -> NDArray[np.uint32]:
        """Run one whole packet."""
        assert last and expect_result
        self.packets += 1
        assert all(s.dtype == np.uint8 and s.size % self.params.lanes == 0 for s in segments)
        data = np.concatenate(segments)
        header = data[: 4 * sc.HEADER_WORDS].view(np.uint32)
        status = self._judge(header, len(data))
        if status is not sc.Status.OK:
            return np.array([status | sc.RESULT_MAGIC << 16, header[3]], dtype=np.uint32)
        shape = sc.Shape(*header[9:13].tolist())
        source = Cached(_Source(self.params, shape, self._parse(data, shape)))
        for name, cycles in (("BEATS", 1), ("STARVED", 1), ("CYCLES", 2)):
            self.registers[f"{name}_LO"] += cycles * (len(data) // self.params.lanes)
        self.registers["TOKENS"] += len(self.contexts)
        return self._run(source, shape, int(header[3]))

    def read_register(self, offset: int) -> int:
        """Read by byte offset."""
        name = {entry.offset: entry.name for entry in rm.REGISTERS}[offset]
        if name == "STATE_DATA":
            return int(self._state.flat[self._advance()]) & 0xFFFFFFFF
        return self.registers[name]

    def write_register(self, offset: int, value: int) -> None:
        """Write by byte offset."""
        name = {entry.offset: entry.name for entry in rm.REGISTERS}[offset]
        if name == "STATE_DATA":
            self._state.flat[self._advance()] = np.array(value, dtype=np.uint32).view(np.int32)
        elif name == "CONTROL":
            self.registers |= dict.fromkeys((counter.registers[0].name for counter in rm.COUNTERS), 0)
        else:
            assert name in ("STATE_ADDRESS", "OUTLIERS")
            self.registers[name] = value

    def _advance(self) -> int:
        self.registers["STATE_ADDRESS"] += 1
        return self.registers["STATE_ADDRESS"] - 1

    def _judge(self, header: NDArray[np.uint32], size: int) -> sc.Status:
        shape = sc.Shape(*header[9:13].tolist())
        if header[0] != sc.MAGIC:
            return sc.Status.MAGIC
        if header[15] != zlib.crc32(header[:15].tobytes()):
            return sc.Status.HEADER_CRC
        if header[1] != rm.constants(self.params)["GEOMETRY"]:
            return sc.Status.GEOMETRY
        if self.params.misfit(shape):
            return sc.Status.LIMITS
        count, zero, logits = (int(header[2]) >> shift & 0xFF for shift in (0, 8, 16))
        assert 1 <= count <= self.params.batch
        self.contexts = [
            Context(
                token=int(header[4 + n // 2]) >> n % 2 * 16 & 0xFFFF,
                slot=int(header[8]) >> 4 * n & 0xF,
                zero=bool(zero >> n & 1),
                logits=bool(logits >> n & 1),
            )
            for n in range(count)
        ]
        assert all(context.slot < self.params.batch for context in self.contexts)
        # nothing else is set
        expected = header_words(self.params, shape, self.contexts, int(header[3]))
        assert np.array_equal(header, expected[: sc.HEADER_WORDS])
        wanted = self.params.lanes * sc.token_beats(self.params, shape, count)
        return sc.Status.SHORT if size < wanted else sc.Status.LONG if size > wanted else sc.Status.OK

    def _parse(self, data: NDArray[np.uint8], shape: sc.Shape) -> dict[tuple[sc.Group, int], Product]:
        products: dict[tuple[sc.Group, int], Product] = {}
        start, contexts = 0, len(self.contexts)
        for segment in sc.segments(self.params, shape, contexts):
            part = data[start : start + segment.beats * self.params.lanes]
            start += len(part)
            key = segment.group, segment.layer
            if segment.kind == "constants":
                words = part.view(np.uint32).tolist()
                assert not any(words[6:])
                products[key] = Product(words, np.zeros((0, 0), np.uint32), {})
            elif segment.kind == "gains":
                kinds = sc.gain_words(segment.group, segment.layer == shape.layers - 1)
                kinds += contexts if segment.group is sc.Group.EMBED else 0
                words = part.view(np.uint32).reshape(kinds, self.params.rows)
                earlier = products[key].words
                products[key].words = np.concatenate([earlier, words], axis=1) if segment.block else words
            elif segment.kind != "header":
                trits = products[key].trits
                rows = self._rows(part)
                trits[segment.kind] = np.concatenate([trits[segment.kind], rows]) if segment.block else rows
        assert start == len(data)
        return products

    def _rows(self, part: NDArray[np.uint8]) -> NDArray[np.int8]:
        """Trits of one row block [rows, columns]: byte by byte, as a beat's lanes say."""
        code = self.params.trit_code
        rows = np.zeros((self.params.rows, len(part) // self.params.lanes * self.params.columns), np.int8)
        for position, byte in enumerate(part.tolist()):
            beat, lane = divmod(position, self.params.lanes)
            row, k = divmod(lane, self.params.element_bytes)
            column = beat * self.params.columns + code.trits * k
            rows[row, column : column + code.trits] = code.decode_table[byte]
        return rows

    def _run(self, source: Cached, shape: sc.Shape, sequence: int) -> NDArray[np.uint32]:
        """The contexts one after the other, each from the state that its slot has by then."""
        activations = Activations(self.params.act_bits, self.registers["OUTLIERS"])
        model = IntegerModel(source, activations=activations)
        stride = -(-shape.hidden // self.params.vector_rows) * self.params.vector_rows
        sent, trailer = [], []
        for index, context in enumerate(self.contexts):
            layers = self._state[context.slot, : shape.layers * stride].reshape(shape.layers, stride)
            window = layers[:, : shape.hidden]
            state = torch.zeros(window.shape) if context.zero else torch.from_numpy(window.copy())
            exact, after = model.forward(torch.tensor([index]), state.long())
            self.registers["SATURATIONS"] += model.saturations
            model.saturations = 0
            window[:] = after.numpy()
            raw = exact.raw[0].clone()
            raw[0] -= self.flip
            trailer += [int(raw.argmax()), int(exact.mantissa) | (int(exact.shift) & 0xFFF) << 20]
            if context.logits:
                sent.append(raw.numpy().astype(np.int32).view(np.uint32))
        trailer += [len(self.contexts) << 8 | sc.RESULT_MAGIC << 16, sequence]
        blocks = range(0, shape.vocab, self.params.rows)
        logits = [raw[start : start + self.params.rows] for start in blocks for raw in sent]
        return np.concatenate([*logits, np.array(trailer, dtype=np.uint32)])


class _Source:
    """An `IntegerSource` of what one packet holds; its embedding has a row for each context instead of each token."""

    def __init__(self, params: CoreParams, shape: sc.Shape, products: dict) -> None:
        self.config = ModelConfig(shape.hidden, shape.layers, shape.intermediate, shape.vocab, bos=None, eos=())
        self.fmt = params.formats
        embed = products[sc.Group.EMBED, 0]
        contexts = len(embed.words) - sc.gain_words(sc.Group.EMBED, False)
        rows, embed.words = embed.words[:contexts], embed.words[contexts:]
        assert not rows[:, shape.hidden :].any()
        residual = rows[:, : shape.hidden].view(np.int32).astype(np.int64)
        self.embedding = SimpleNamespace(rows=lambda indices: residual[indices])
        self._shape, self._products = shape, products

    def layer(self, index: int) -> IntegerLayer:
        """What the groups of one layer, and the one before it, say."""
        groups = [self._products[g, index] for g in (sc.Group.MIX, sc.Group.OUT, sc.Group.EXPAND, sc.Group.CONTRACT)]
        mix, out, expand, contract = groups
        hidden = self._shape.hidden
        omega, unused = split_gain(mix.words[0])
        assert not unused.any() and not omega[hidden:].any()
        norms = {
            "mix": self._entry(index),
            "out": self._norm(mix, mix.words[1:], hidden),
            "expand": self._norm(out, out.words, hidden),
            "contract": self._norm(expand, expand.words, self._shape.intermediate, stat=False),
        }
        gate, up = (self._matrix(expand, name, 0, self._shape.intermediate, hidden) for name in ("gate", "up"))
        matrices = {name: self._matrix(mix, name, k, hidden, hidden) for k, name in enumerate("fig")} | {
            "o": self._matrix(out, "o", 0, hidden, hidden),
            "gate": Matrix(np.concatenate([gate.trits, up.trits]), gate.mantissa, gate.exponent),
            "down": self._matrix(contract, "down", 0, hidden, self._shape.intermediate),
        }
        return IntegerLayer(omega[:hidden], norms, matrices)

    def head(self) -> IntegerHead:
        """What the last two groups say."""
        last = self._products[sc.Group.CONTRACT, self._shape.layers - 1]
        group = self._products[sc.Group.HEAD, self._shape.layers]
        matrix = self._matrix(group, "lm_head", 0, self._shape.vocab, self._shape.hidden)
        return IntegerHead(self._norm(last, last.words, self._shape.hidden), matrix)

    def _entry(self, index: int) -> Norm:
        key = (sc.Group.CONTRACT, index - 1) if index else (sc.Group.EMBED, 0)
        before = self._products[key]
        return self._norm(before, before.words, self._shape.hidden)

    def _norm(self, product: Product, words: NDArray[np.uint32], n: int, stat: bool = True) -> Norm:
        assert not words[:, n:].any()
        gains, stats = split_gain(words[:, :n])
        assert not stats[1:].any() and (stat or not stats.any())
        kappa, low, high = product.constants[3:6]
        vectors = tuple(gains)
        outer = stats[0] if stat else None
        return Norm(outer, vectors, kappa, low | high << 32)

    def _matrix(self, product: Product, name: str, scale: int, n_out: int, n_in: int) -> Matrix:
        trits = product.trits[name]
        assert not trits[n_out:].any() and not trits[:, n_in:].any()
        return Matrix(trits[:n_out, :n_in], *split_scale(product.constants[scale]))


class FakeSim(FakeCore):
    """`sim.simulator.SimTransport` without a simulation."""

    flip_after: int | None = None

    def __init__(
        self, params: object, status: object = None, stall: float = 0.0, seed: int = 1, memory: object = None
    ) -> None:
        super().__init__(params)
        self.memory = memory
        self.cycles, self.seconds = 12345, 0.5
        self.progress = None

    def __enter__(self) -> "FakeSim":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def exchange(self, segments: list, last: bool = True, expect_result: bool = True) -> np.ndarray:
        self.flip = int(self.flip_after is not None and self.packets >= self.flip_after)
        return super().exchange(segments)

    def memory_use(self) -> MemoryUse:
        return MemoryUse(gigabytes_per_second=0.15, share_of_peak=0.75, waited=0.125)

    def record_taps(self) -> None:
        pass

    def fetch_taps(self) -> np.ndarray:
        return np.zeros((0, 2), np.uint32)
