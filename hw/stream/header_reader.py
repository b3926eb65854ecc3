# SPDX-License-Identifier: Apache-2.0
"""Reads and checks the header of a token packet."""

from functools import reduce
from operator import add, or_, xor

from amaranth.hdl import Array, Cat, Const, Module, Mux, ShapeLike, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw import schedule as sc
from tritforge.hw.codes.placed import phase_shape, phases
from tritforge.hw.lib.pipeline import delay, register
from tritforge.hw.lib.width import cut, plus_one
from tritforge.hw.packet import START_WORD_BITS
from tritforge.hw.params import CONTEXTS_BITS, CORE_BITS, MAX_BATCH, CoreParams
from tritforge.hw.register_map import geometry_word
from tritforge.hw.schedule import HeaderWord as At

CRC_POLYNOMIAL = 0xEDB88320
"""CRC-32 (IEEE), reflected."""


def token_shape(params: CoreParams) -> data.StructLayout:
    """What a header says about its packet (hw/packet.py), and what follows from it.

    zero, logits : masks of contexts. slots : where each context's state is kept. used : mask of those slots. The
    spans are the positions of a vector in the store, ``contexts * beats``.
    """
    return data.StructLayout(
        {
            "hidden": 16,
            "layers": 8,
            "intermediate": 16,
            "vocab": 16,
            "hidden_beats": 16,
            "intermediate_beats": 16,
            "contexts": CONTEXTS_BITS,
            "zero": params.batch,
            "logits": params.batch,
            "slots": data.ArrayLayout(params.context_bits, params.batch),
            "used": params.batch,
            "hidden_span": range(params.batch * params.beats(params.max_hidden) + 1),
            "intermediate_span": range(params.batch * params.beats(params.max_intermediate) + 1),
            "sequence": 32,
            **(_share(params) if params.linked else {}),
        }
    )


def _share(params: CoreParams) -> dict[str, ShapeLike]:
    """Of a linked core: its rows, its first token, and where its rows begin in a vector (`placed_layout`)."""
    first = {"first_word": range(params.store_positions), "first_phase": phase_shape(params)}
    return {
        **{f"{name}_rows": 16 for name in ("hidden", "intermediate", "vocab")},
        "first_token": 16,
        **{f"{name}_{at}": shape for name in ("hidden", "intermediate") for at, shape in first.items()},
    }


def own_rows(shape: data.View, dimension: str) -> Value:
    """Rows of this core: all of them unless it has a link."""
    name = f"{dimension}_rows"
    return shape[name if name in dict(shape.shape()) else dimension]


class HeaderCheck(wiring.Signature):
    """A header on its way to its check, seen from the sequencer.

    Attributes
    ----------
    word, pop : Out, the next of the words is here.
    clear : Out, start over.
    torn : Out, mask of slots; forbids a packet that goes on from the state in one of them. Constant from the last
        word until ``done``.
    done : In, pulse, `HeaderReader.latency` cycles after the last word. status : In, with it, a `Status`.
    """

    def __init__(self, params: CoreParams) -> None:
        super().__init__(
            {
                "word": Out(unsigned(32)),
                "pop": Out(1),
                "clear": Out(1),
                "torn": Out(params.batch),
                "done": In(1),
                "status": In(sc.STATUS_BITS),
            }
        )


class HeaderReader(wiring.Component):
    """Collects the 16 header words of a ``check`` and says whether the core can run the packet.

    ``shape`` is what the header said, from ``check.done`` on. ``check.clear`` is high until the first packet, so that
    what it clears needs no reset, which comes from afar.
    """

    latency = 7
    """Word register, its part of the CRC (two), the CRC, comparisons, checks, status."""

    def __init__(self, params: CoreParams) -> None:
        self._params = params
        straps = {"index": In(CORE_BITS), "others": In(CORE_BITS)} if params.linked else {}
        super().__init__({"check": In(HeaderCheck(params)), "shape": Out(token_shape(params)), **straps})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        params, shape = self._params, self.shape
        words = self._collect(m)
        contexts, columns = words[At.CONTEXTS][:8], params.columns
        m.d.comb += [
            # what is cut off here is refused below
            shape.contexts.eq(cut(contexts, shape.contexts)),
            shape.zero.eq(words[At.CONTEXTS][8:][: params.batch]),
            shape.logits.eq(words[At.CONTEXTS][16:][: params.batch]),
            shape.sequence.eq(words[At.SEQUENCE]),
            shape.hidden.eq(words[At.HIDDEN][:16]),
            shape.layers.eq(words[At.LAYERS][:8]),
            shape.intermediate.eq(words[At.INTERMEDIATE][:16]),
            shape.vocab.eq(words[At.VOCAB][:16]),
            shape.hidden_beats.eq(words[At.BEATS][:16]),
            shape.intermediate_beats.eq(words[At.BEATS][16:]),
        ]
        if params.linked:
            self._shares(m, words, contexts)
        for span, beats in (
            (shape.hidden_span, shape.hidden_beats),
            (shape.intermediate_span, shape.intermediate_beats),
        ):
            m.d.sync += span.eq(self._span(m, beats, contexts, len(span)))

        # every line below is a register: few levels of logic, one after the other
        unused, no_slot, foreign, torn = self._contexts(m, words)
        dimensions = zip(words[At.HIDDEN : At.VOCAB + 1], params.limits.values(), strict=True)
        outside = [flag for value, limit in dimensions for flag in _outside(m, value, limit)]
        if params.linked:
            # the upper halves are the core's rows, of a dimension each, but for those of the layers
            outside = outside[::2] + [
                register(m, words[at][16:] == 0) for at in (At.HIDDEN, At.INTERMEDIATE, At.VOCAB)
            ]
        misfits = [
            _misfits(m, beats, n, columns)
            for beats, n in (
                (words[At.BEATS][:16], words[At.HIDDEN][:16]),
                (words[At.BEATS][16:], words[At.INTERMEDIATE][:16]),
            )
        ]
        geometry = geometry_word(params)
        foreign_core = [register(m, words[At.CONTEXTS][24:] != Cat(self.index, self.others))] if params.linked else []
        checks = [
            ([register(m, words[At.MAGIC] != sc.MAGIC)], sc.Status.MAGIC),
            ([register(m, self._crc(m))], sc.Status.HEADER_CRC),
            (
                [register(m, words[At.GEOMETRY][:16] != geometry & 0xFFFF), *unused],
                sc.Status.FORMAT,
            ),
            ([register(m, words[At.GEOMETRY][16:] != geometry >> 16), *foreign_core], sc.Status.GEOMETRY),
            (
                [register(m, (contexts == 0) | (contexts > params.batch)), *no_slot, *outside, *misfits],
                sc.Status.LIMITS,
            ),
            (foreign, sc.Status.TOKEN),
            (torn, sc.Status.STATE),
        ]
        status = Signal(sc.STATUS_BITS)
        settled = Signal(sc.STATUS_BITS, name="settled_status", reset_less=True)
        for failed, code in reversed(checks):
            with m.If(register(m, Cat(failed).any())):
                m.d.comb += status.eq(code)
        m.d.sync += settled.eq(status)
        m.d.comb += self.check.status.eq(settled)
        return m

    def _shares(self, m: Module, words: list[Signal], contexts: Value) -> None:
        """What a header says of this core's rows."""
        params, shape = self._params, self.shape
        for name, at in (("hidden", At.HIDDEN), ("intermediate", At.INTERMEDIATE), ("vocab", At.VOCAB)):
            m.d.comb += shape[f"{name}_rows"].eq(words[at][16:])
        m.d.comb += shape.first_token.eq(words[At.LAYERS][16:])
        starts = phases(params)
        for half, name in enumerate(("hidden", "intermediate")):
            place = words[At.START].word_select(half, 16)
            first, phase = shape[f"{name}_first_word"], shape[f"{name}_first_phase"]
            m.d.sync += [
                first.eq(cut(self._span(m, place[:START_WORD_BITS], contexts, len(first)), first)),
                phase.eq(
                    Array(starts.index(column) if column in starts else 0 for column in range(32))[
                        place[START_WORD_BITS:]
                    ]
                ),
            ]

    def _collect(self, m: Module) -> list[Signal]:
        """The words, and ``done`` when the last one has been checked."""
        words = [Signal(32, name=f"word_{i}", reset_less=True) for i in range(sc.HEADER_WORDS)]
        index = Signal(range(sc.HEADER_WORDS), reset_less=True)
        last = Signal()
        self._word = Signal(32, name="word_now", reset_less=True)
        self._place = Signal(sc.HEADER_WORDS, reset_less=True)
        with m.If(self.check.clear):
            m.d.sync += index.eq(0)
        with m.Elif(self.check.pop):
            m.d.sync += index.eq(plus_one(index))
        m.d.comb += last.eq(self.check.pop & ~self.check.clear & (index == sc.HEADER_WORDS - 1))
        m.d.sync += [
            self._word.eq(self.check.word),
            self._place.eq(Mux(self.check.pop & ~self.check.clear, 1 << index, 0)),
        ]
        for place, word in zip(self._place, words, strict=True):
            with m.If(place):
                m.d.sync += word.eq(self._word)
        m.d.comb += self.check.done.eq(delay(m, last, self.latency, "complete"))
        return words

    def _crc(self, m: Module) -> Value:
        """Whether the last word is not the CRC-32 of those before it: with it, the CRC register ends as a constant.

        The register is kept in coordinates in which a word's 32 steps are those of a shift register with feedback: a
        level of logic from cycle to cycle. What a word adds is worked out before it is added.
        """
        steps = [_stepped(1 << bit) for bit in range(32)]
        basis = [1]
        while len(basis) < 33:
            basis.append(_times(steps, basis[-1]))
        inverse = _inverse(basis[:32])
        feedback = _times(inverse, basis[32])
        added = Signal(32, reset_less=True)
        crc = Signal(32, name="crc", init=_times(inverse, 0xFFFFFFFF), reset_less=True)
        take = delay(m, self._place.any(), 2, "take")
        columns = [_times(inverse, step) for step in steps]
        # of four bits, so that each is a table and few are different
        parts = [
            register(m, Cat(_selected(self._word, columns, i, range(at, at + 4)) for i in range(32)))
            for at in range(0, 32, 4)
        ]
        m.d.sync += added.eq(reduce(xor, parts))
        with m.If(take):
            m.d.sync += crc.eq((crc << 1)[:32] ^ Mux(crc[-1], feedback, 0) ^ added)
        with m.If(self.check.clear):
            m.d.sync += crc.eq(crc.init)
        return crc != _times(inverse, _stepped(0xFFFFFFFF))

    def _span(self, m: Module, beats: Value, contexts: Value, width: int) -> Value:
        """Their product, without a multiplier: a small factor is not worth one."""
        terms = [
            Mux(bit, beats << shift, 0)[:width]
            for shift, bit in enumerate(contexts[: self._params.batch.bit_length()])
        ]
        halves = [register(m, reduce(add, terms[at : at + 2])[:width]) for at in range(0, len(terms), 2)]
        return reduce(add, halves)[:width]

    def _contexts(self, m: Module, words: list[Signal]) -> tuple[list[Signal], ...]:
        """Whether something is set that must not be, slots beyond the last, tokens beyond the vocabulary and slots
        whose state is torn; and what follows for ``shape``."""
        params, shape = self._params, self.shape
        tokens = [words[At.TOKENS + i // 2].word_select(i % 2, 16) for i in range(MAX_BATCH)]
        slots = [words[At.SLOTS].word_select(i, 4) for i in range(MAX_BATCH)]
        unused = []
        if not params.linked:
            unused = [register(m, words[At.CONTEXTS][24:].any()), register(m, words[At.START].any())]
        no_slot, foreign, torn, used = [], [], [], []
        for i, (token, slot) in enumerate(zip(tokens, slots, strict=True)):
            active, zero, logits = (
                register(m, words[At.CONTEXTS][:8] > i),
                words[At.CONTEXTS][8 + i],
                words[At.CONTEXTS][16 + i],
            )
            unused.append(register(m, ~active & (token.any() | slot.any() | zero | logits)))
            if i >= params.batch:
                continue
            used.append(register(m, Mux(active, 1 << slot[: len(shape.slots[i])], 0)[: params.batch]))
            # an earlier context of this packet may have begun the slot's sequence anew
            begun = register(m, Cat(words[At.CONTEXTS][8 + j] & (slots[j] == slot) for j in range(i + 1)).any())
            m.d.comb += shape.slots[i].eq(cut(slot, shape.slots[i]))
            no_slot.append(register(m, active & (slot >= params.batch)))
            # a vocabulary beyond 16 bits is beyond the limits
            foreign.append(register(m, active & (token >= words[At.VOCAB][:16])))
            torn.append(register(m, (used[i] & self.check.torn).any() & ~begun))
        m.d.sync += shape.used.eq(reduce(or_, used))
        return unused, no_slot, foreign, torn


def _stepped(state: int) -> int:
    """The CRC register after 32 steps, least significant bit first; linear."""
    for _ in range(32):
        state = state >> 1 ^ (CRC_POLYNOMIAL if state & 1 else 0)
    return state


def _times(columns: list[int], vector: int) -> int:
    """A matrix of bits, by its columns, times a vector."""
    return reduce(xor, (column for bit, column in enumerate(columns) if vector >> bit & 1), 0)


def _inverse(columns: list[int]) -> list[int]:
    """The inverse of a square matrix of bits, by Gauss and Jordan."""
    size, rest, done = len(columns), list(columns), [1 << bit for bit in range(len(columns))]
    for bit in range(size):
        pivot = next(place for place in range(bit, size) if rest[place] >> bit & 1)
        for values in (rest, done):
            values[bit], values[pivot] = values[pivot], values[bit]
        for place in range(size):
            if place != bit and rest[place] >> bit & 1:
                rest[place] ^= rest[bit]
                done[place] ^= done[bit]
    return done


def _selected(word: Value, columns: list[int], row: int, bits: range) -> Value:
    """One bit of a matrix times a word, of so many of its bits."""
    return Cat(word[bit] for bit in bits if columns[bit] >> row & 1).xor()


def _outside(m: Module, value: Value, limit: int) -> list[Signal]:
    """Whether a word is zero or above a limit of 16 bits, in parts."""
    low, high = value[:16], value[16:]
    # the largest limit is no comparison, which a linter would refuse
    above = low > limit if limit < 0xFFFF else Const(0)
    return [register(m, (low == 0) | above), register(m, high.any())]


def _misfits(m: Module, beats: Value, n: Value, columns: int) -> Signal:
    """Whether beats is not ceil(n / columns), without a division: the columns left over are too many or negative."""
    zeros = (columns & -columns).bit_length() - 1
    odd = columns >> zeros
    room = register(m, reduce(add, (beats << shift for shift in range(odd.bit_length()) if odd >> shift & 1)))
    n = register(m, n[zeros:] + n[:zeros].any())
    spare, low = register(m, (room - n)[: len(room)]), odd.bit_length()
    return register(m, spare[low:].any() | (spare[:low] >= odd))
