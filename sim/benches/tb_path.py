# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the whole vector path: random packets against the golden arithmetic, and when it is empty."""

import random
from typing import Any

import cocotb
import torch
from cocotb.triggers import FallingEdge, Timer
from torch import Tensor

from tritforge.golden.model import numerics as nx
from tritforge.golden.model.formats import SCALE_LEFT
from tritforge.golden.model.integer import IntegerModel
from tritforge.hw.operations import OPS, Op, slots
from tritforge.hw.scales.scales import TOTAL_LATE, VectorStatistics
from tritforge.hw.schedule import Group
from tritforge.hw.vector.gain import GAIN_OPS
from tritforge.hw.vector.path import ANNOUNCED
from tritforge.hw.vector.recurrence import Recurrence
from tritforge.sim.benches.common import (
    begin,
    magnitudes,
    pack,
    pick,
    signed_values,
    under_test,
    unpack,
)
from tritforge.sim.benches.models.vector import (
    GainModel,
    SideModel,
    decay,
    live_rows,
    random_words,
    seen_statistics,
    tag_value,
)
from tritforge.sim.cocotb_run import test_parameters

PACKETS = 4
FEW_ROWS, FEW_BLOCKS, FEW_LAYERS = 32, 4, 3
"""Of a packet, whatever the core's limits are: rows or row blocks of a matrix, whichever are more, and layers."""
_LATE = ("acc", "scale__mantissa", "scale__shift")
ENDS = {"EMBED", "I", "G", "OUT", "GATE", "UP", "CONTRACT"}
"""Operations whose ``empty`` is the first cycle in which nothing changes. The last trace of F is in a row buffer,
which G reads as soon as it is ``buffered``."""


class Bench:
    """Issues row groups as the sequencer does and knows what must come of them."""

    def __init__(self, dut: Any) -> None:
        self.dut, self.params = dut, under_test()
        params = self.params
        self.fmt, self.rows_a_cycle = params.formats, params.vector_rows
        self.side = SideModel(params)
        self.hidden, self.layers = 0, 0
        self.few_rows = max(FEW_ROWS, FEW_BLOCKS * params.rows)
        self.state = torch.zeros(params.batch, params.max_layers, params.max_hidden, dtype=torch.int64)
        self.expected: dict[str, list[Any]] = {"value": [], "tap": [], "saturated": []}
        self.seen: dict[str, list[Any]] = {name: [] for name in self.expected}
        self.cycle = self.empty_at = self.buffered_at = 0
        self.pulse, self.statistics = False, (0,) * len(VectorStatistics(params).members)
        self.taken: dict[str, int] = {}
        self.longest, self.exact = "", set[str]()
        self.ages = {name: test_parameters()[name] for name in ("until_empty", "until_buffered")}

    async def step(self, op: Op | None = None, **inputs: int) -> None:
        """One cycle; ports that are not given are random, and nothing is issued."""
        dut, params, fmt = self.dut, self.params, self.fmt
        self.previous = (self.pulse, *self.statistics)
        noise = {"rows__tag": tag_value(params), "rows__zero": random.getrandbits(1)}
        noise |= {"constants__begin": 0, "constants__bias": random.getrandbits(64)}
        noise["acc"] = random.getrandbits(self.rows_a_cycle * params.acc_bits)
        noise["scale__shift"] = random.getrandbits(6)
        # accumulators and their scale come a cycle after the issue
        noise |= self.taken
        self.taken = {name: inputs.pop(name) for name in _LATE if name in inputs}
        for name, value in (noise | inputs).items():
            getattr(dut, name).value = value
        dut.side__words.value = self.side.words()
        await Timer(1, "ns")
        if op is not None:
            if (at := self.cycle + self.ages["until_empty"][op.name]) > self.empty_at:
                self.empty_at, self.longest = at, op.name
            self.buffered_at = max(self.buffered_at, self.cycle + self.ages["until_buffered"].get(op.name, 3))
        self.empty, self.buffered = int(dut.rows__empty.value), int(dut.rows__buffered.value)
        if op is None:  # what they are in the cycle of an issue does not matter
            assert self.empty == (self.cycle >= self.empty_at), f"empty in cycle {self.cycle}"
            assert self.buffered == (self.cycle >= self.buffered_at), f"buffered in cycle {self.cycle}"
        self.pulse = False
        if mask := int(dut.values__valid.value):
            codes = unpack(int(dut.values__floats.value), fmt.mantissa + 7, self.rows_a_cycle)
            self._note(
                "value",
                (int(dut.values__which.value), int(dut.values__context.value), live_rows(params, mask, codes)),
            )
        if mask := int(dut.tap_valid.value):
            tap = unpack(int(dut.tap.value), fmt.wide_bits, self.rows_a_cycle)
            self._note("tap", (int(dut.tap_op.value), live_rows(params, mask, tap)))
        if int(dut.saturated.value):
            self._note("saturated", self.cycle)
        self.statistics = seen_statistics(params, dut)
        self.side.cycle(dut)
        await FallingEdge(dut.clk)
        self.cycle += 1

    def _note(self, kind: str, event: Any) -> None:
        assert self.cycle < self.empty_at + ANNOUNCED, f"{kind} in cycle {self.cycle}, in which the path is empty"
        self.seen[kind].append(event)
        self.pulse = True

    async def packet(self, contexts: int) -> None:
        """All groups of one packet."""
        params = self.params
        self.contexts = contexts
        hidden = min(params.max_hidden, self.few_rows)
        self.hidden = random.choice((hidden, random.randint(1, hidden)))
        self.layers = random.randint(1, min(params.max_layers, FEW_LAYERS))
        self.slot_of = pick(list(range(params.batch)), contexts)
        self.zeros = pick([False, False, True], contexts)
        self.residual = torch.zeros(contexts, params.max_hidden + params.rows, dtype=torch.int64)
        self.dut.contexts.value = contexts
        await self.group(Group.EMBED, 0)
        for layer in range(self.layers):
            for group in (Group.MIX, Group.OUT, Group.EXPAND, Group.CONTRACT):
                await self.group(group, layer)

    async def group(self, group: Group, layer: int) -> None:
        """One group, from ``begin`` until it is empty; MIX and EXPAND may be abandoned between two matrices."""
        params = self.params
        ops = OPS[group]
        if group is Group.CONTRACT and layer == self.layers - 1:
            ops = (Op.OUT,)
        self.layer = layer
        self.model = GainModel(params, random.getrandbits(random.randint(1, 61)), random.getrandbits(17))
        self.dut.constants__kappa.value = self.model.kappa
        await self.step(constants__begin=1, constants__bias=self.model.totals[0])
        rows = (
            random.randint(1, min(params.max_intermediate, self.few_rows)) if group is Group.EXPAND else self.hidden
        )
        abandoned, last_rises = False, random.random() < 0.5
        last_group = (rows - 1) // self.rows_a_cycle * self.rows_a_cycle
        for block in range(-(-rows // params.rows)):
            quiet = min(params.rows, last_group - block * params.rows) if last_rises else 0
            words = {op: random_words(params, op, self.contexts, quiet) for op in ops if op in GAIN_OPS}
            for w in words.values():
                self.side.block(w)
            self.buffers = torch.zeros(2, self.contexts, params.rows, dtype=torch.int64)
            for op in ops:
                if op in (Op.G, Op.UP):
                    await self.step()
                    while not self.buffered:
                        await self.step()
                else:
                    for _ in range(random.choice((0, 0, 5, 20))):
                        await self.step()
                self.words = words.get(op)
                abandoned = op in (Op.F, Op.I, Op.GATE) and random.random() < 0.05
                await self.matrix(op, block, rows)
                if abandoned:
                    break
            if abandoned:
                break
        await self.ends(op, abandoned)

    async def ends(self, op: Op, abandoned: bool) -> None:
        """All is there when the path has announced that it is empty; notes whether it was in the cycle before."""
        total, *others = self.model.statistics()
        await self.step()
        while not self.empty:
            await self.step()
        for _ in range(ANNOUNCED):
            await self.step()
        assert [*self.statistics[1:]] == others, f"{op.name}: maxima are not final when the path is empty."
        pulse, _, *before = self.previous
        exact = pulse or before != others
        for _ in range(TOTAL_LATE):
            await self.step()
        assert self.statistics[0] == total, f"{op.name}: totals are not final when they are read."
        if exact or self.previous[1] != total:
            self.exact.add(self.longest)
        for kind, events in self.expected.items():
            found = self.seen[kind]
            if kind == "saturated":
                assert len(found) == len(events), f"{op.name}: {len(found)} saturations, not {len(events)}"
            else:
                for index, pair in enumerate(zip(found, events, strict=True)):
                    assert pair[0] == pair[1], f"{op.name}, {kind} {index}: {pair[0]}, not {pair[1]}"
            found.clear()
            events.clear()
        assert self.side.clear() or abandoned, f"{op.name}: side words were left."

    async def matrix(self, op: Op, block: int, rows: int) -> None:
        """The row groups of a matrix' block, as close to one another as they may be or not."""
        params = self.params
        gap = slots(params)[op]
        for context in range(self.contexts):
            for group in range(params.row_groups):
                last = context == self.contexts - 1 and group == params.row_groups - 1
                index = block * params.row_groups + group
                live = torch.tensor([index * self.rows_a_cycle + row < rows for row in range(self.rows_a_cycle)])
                fields = {"op": op, "context": context, "index": index, "last": int(last)}
                inputs = self.row_group(op, context, index, live, last and random.random() < 0.5)
                tag = tag_value(params, valid=1, live=pack(live.tolist(), 1), **fields)
                await self.step(op=op, rows__tag=tag, **inputs)
                for _ in range(gap - 1 + (0 if last else random.choice((0, 0, 0, 0, 1, 7)))):
                    await self.step()

    def row_group(self, op: Op, context: int, index: int, live: Tensor, large: bool) -> dict[str, int]:
        """Its inputs; what must come of it goes to ``expected``."""
        params, fmt, rows_a_cycle = self.params, self.fmt, self.rows_a_cycle
        place = slice(index * rows_a_cycle, (index + 1) * rows_a_cycle)
        row = slice(index % params.row_groups * rows_a_cycle, (index % params.row_groups + 1) * rows_a_cycle)
        words = None if self.words is None else self.words[:, row]
        if op is Op.EMBED:
            x = (words[context] ^ 1 << 31) - (1 << 31)
            self.residual[context, place] = torch.where(live, x, 0)
            self._leaves(op, context, live, x, x, words[self.contexts :])
            return {}
        limit = 1 << params.acc_bits - 1
        acc = torch.tensor(pick(signed_values(params.acc_bits - 1, 50), rows_a_cycle)).clamp(1 - limit, limit - 1)
        mantissa = random.choice(magnitudes(fmt.mantissa, 50)) | 1 << fmt.mantissa - 1
        # results of all lengths, some of them too long
        length = fmt.wide_bits + 2 if large else random.randint(4, fmt.wide_bits)
        shift = int(acc.abs().max()).bit_length() + fmt.mantissa - length
        shifts = torch.tensor(shift)
        y = nx.apply_scale(acc, torch.tensor(mantissa), shifts, fmt)
        exact = nx.rshift_round(acc * mantissa << SCALE_LEFT, max(shift + SCALE_LEFT, 0))
        clamped = (acc != 0) if shift < -SCALE_LEFT else exact.abs() > fmt.wide_max
        slot = self.slot_of[context]
        inputs = {"acc": pack(acc, params.acc_bits), "scale__mantissa": mantissa, "scale__shift": shift % (1 << 12)}
        base = slot * params.max_layers * params.max_hidden + self.layer * self.stride()
        inputs["rows__state_word"] = (base // rows_a_cycle + index) % (
            params.batch * params.max_layers * params.max_hidden // rows_a_cycle
        )
        inputs["rows__zero"] = int(self.zeros[context])
        wide = second = y
        if op is Op.F:
            wide = nx.sigmoid_negative(y, fmt)
            self.buffers[0, context, row] = decay(wide, words)
        elif op in (Op.I, Op.GATE):
            self.buffers[1, context, row] = nx.silu(y, fmt)
        elif op in (Op.G, Op.UP):
            factor = self.buffers[1, context, row]
            if op is Op.G:
                factor = nx.silu(self.recur(slot, context, place, row, live), fmt)
            wide, clamped = self._clamp(nx.rshift_round(y * factor, fmt.frac), clamped)
            second = y if op is Op.G else wide
        else:
            wide, clamped = self._clamp(self.residual[context, place] + y, clamped)
            self.residual[context, place] = torch.where(live, wide, 0)
            second = wide
        if bool((clamped & live).any()):
            self.expected["saturated"].append(op)
        self._leaves(op, context, live, wide, second, words)
        return inputs

    def _clamp(self, exact: Tensor, clamped: Tensor) -> tuple[Tensor, Tensor]:
        wide = nx.saturate(exact, self.fmt.wide_max)
        return wide, clamped | (wide != exact)

    def stride(self) -> int:
        """Values of one layer's state."""
        return -(-self.hidden // self.rows_a_cycle) * self.rows_a_cycle

    def recur(self, slot: int, context: int, place: slice, row: slice, live: Tensor) -> Tensor:
        """The new state of a row group."""
        at = torch.arange(place.start, place.stop) + self.layer * self.stride()
        known = live.nonzero().flatten()
        states = self.state[slot].view(-1)
        old = torch.zeros(self.rows_a_cycle, dtype=torch.int64)
        if not self.zeros[context]:
            old[known] = states[at[known]]
        c, candidate = self.buffers[:, context, row]
        h = IntegerModel._recur(c[None], candidate[None], old)[0]
        states[at[known]] = h[known]
        return h

    def _leaves(self, op: Op, context: int, live: Tensor, wide: Tensor, second: Tensor, words: Tensor | None) -> None:
        if words is None or not live.any():
            return
        mask = pack(live.tolist(), 1)
        held = (wide & ((1 << self.fmt.wide_bits) - 1)).tolist()
        self.expected["tap"].append((op, live_rows(self.params, mask, held)))
        if op is not Op.F:
            values = self.model.row_group(op, context, live, wide, second, words)
            for which, codes in enumerate(values):
                self.expected["value"].append((which, context, live_rows(self.params, mask, codes)))

    async def host(self, write: bool) -> None:
        """Write a random state, or read it back and compare: all of it, or as much of each slot as packets reach."""
        dut, params, bits = self.dut, self.params, self.fmt.wide_bits
        reach = min(params.slot_values, FEW_LAYERS * (self.few_rows + self.rows_a_cycle))
        places = [slot * params.slot_values + at for slot in range(params.batch) for at in range(reach)]
        values = self.state.view(-1)
        if write:
            values[places] = torch.tensor(pick(signed_values(bits - 1, 50), len(places)))
        wrapped = (values[places] & ((1 << bits) - 1)).tolist()
        late = 0 if write else Recurrence.read_latency - 1
        for cycle, value in enumerate([0] * late + wrapped):
            address = places[min(cycle, len(places) - 1)]
            await self.step(state__host=1, state__address=address, state__write=int(write), state__write_data=value)
            if not write and cycle >= late:
                assert int(dut.state__read_data.value) == value, f"state {places[cycle - late]}"
        await self.step(state__host=0, state__write=0)


@cocotb.test()
async def path(dut: Any) -> None:
    """Values, taps, statistics, saturations and state of packets with all numbers of contexts, some abandoned."""
    dut.rows__tag.value = dut.state__host.value = dut.state__write.value = 0
    await begin(dut)
    bench = Bench(dut)
    await bench.host(write=True)
    # a row group without live rows leaves nothing at its end
    ends = ENDS if bench.params.rows <= bench.params.max_hidden else set()
    packets = 0
    while packets < PACKETS or not bench.exact >= ends:
        assert packets < 40 * PACKETS, f"Only {bench.exact} could be seen to end exactly when the path is empty."
        await bench.packet(random.choice((1, bench.params.batch, random.randint(1, bench.params.batch))))
        packets += 1
    await bench.host(write=False)
