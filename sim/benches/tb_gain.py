# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the gain stage: every output in its cycle, against the golden arithmetic."""

import random
from collections import defaultdict
from typing import Any

import cocotb
import torch
from cocotb.triggers import FallingEdge, Timer

from tritforge.golden.model.formats import DECAY_FRAC, SIGMA_FRAC
from tritforge.hw.operations import OPS, SLOTS, Op
from tritforge.hw.params import CoreParams
from tritforge.hw.scales.scales import TOTAL_LATE
from tritforge.hw.schedule import Group
from tritforge.hw.stream.side import SideWords
from tritforge.hw.vector.gain import GAIN_OPS, GainStage
from tritforge.hw.vector.gain_lane import GainLane
from tritforge.hw.vector.normaliser import Normaliser
from tritforge.sim.benches.common import begin, pack, under_test, unpack
from tritforge.sim.benches.models.vector import (
    GainModel,
    SideModel,
    decay,
    live_rows,
    random_signed,
    random_words,
    seen_statistics,
    split_tag,
    tag_value,
)
from tritforge.sim.cocotb_run import test_parameters

GROUPS = (Group.EMBED, Group.MIX, Group.OUT, Group.EXPAND, Group.CONTRACT)
CODE_LATENCY = GainLane.product_latency + Normaliser.latency


class Plan:
    """Inputs and expected outputs by cycle, made group by group."""

    def __init__(self, params: CoreParams, settled: dict[str, int]) -> None:
        self.params, self.settled = params, settled
        self.cycle = 0
        self.inputs: dict[int, dict[str, int]] = defaultdict(dict)
        self.blocks: dict[int, list[torch.Tensor]] = defaultdict(list)
        self.expected: dict[str, dict[int, Any]] = {
            name: {} for name in ("value", "decay", "traced", "release", "statistics", "total")
        }

    def group(self, group: Group) -> None:
        """Some row blocks of a group, from ``begin`` until everything is final."""
        params = self.params
        contexts, blocks = random.randint(1, params.batch), random.randint(1, 3)
        model = GainModel(params, random.getrandbits(random.randint(1, 61)), random.getrandbits(17))
        begins = self.cycle
        self.inputs[begins] |= {"constants__begin": 1, "constants__bias": model.totals[0]}
        self.cycle += random.choice((1, 1, 3))
        final = 0
        rows = random.randint((blocks - 1) * params.rows + 1, blocks * params.rows)
        for block in range(blocks):
            for op in OPS[group]:
                words = random_words(params, op, contexts) if op in GAIN_OPS else None
                if words is not None:
                    self.blocks[begins].append(words)
                for context in range(contexts):
                    for index in range(params.row_groups):
                        last = context == contexts - 1 and index == params.row_groups - 1
                        self._row_group(model, op, context, contexts, block, index, rows, last, words)
                        final = max(final, self.cycle + GainStage.lead + self.settled.get(op.name, 0))
                        self.cycle += SLOTS[op] + random.choice((0, 0, 0, 1, 5))
        for cycle in range(begins, final + 1):
            self.inputs[cycle] |= {"constants__kappa": model.kappa, "contexts": contexts}
        total, *others = model.statistics()
        self.expected["statistics"][final] = others
        self.expected["total"][final + TOTAL_LATE] = total
        self.cycle = final + TOTAL_LATE

    def _row_group(
        self,
        model: GainModel,
        op: Op,
        context: int,
        contexts: int,
        block: int,
        index: int,
        rows: int,
        last: bool,
        words: torch.Tensor | None,
    ) -> None:
        params, at = self.params, self.cycle
        rows_a_cycle, number = params.vector_rows, block * params.row_groups + index
        live = torch.tensor([number * rows_a_cycle + row < rows for row in range(rows_a_cycle)])
        mask = pack(live.tolist(), 1)
        fields = {"valid": 1, "live": mask, "op": op, "context": context, "index": number, "last": int(last)}
        self.inputs[at]["ahead"] = tag_value(params, **fields)
        if words is None:
            return
        fmt, here = params.formats, words[:, index * rows_a_cycle : (index + 1) * rows_a_cycle]
        wide, second = (random_signed(fmt.wide_bits, rows_a_cycle).clamp(min=-fmt.wide_max) for _ in range(2))
        if op is Op.F:
            wide = wide.abs().clamp(max=1 << SIGMA_FRAC)
        arrives = at + GainStage.lead
        self.inputs[arrives] |= {"wide": pack(wide, fmt.wide_bits), "second": pack(second, fmt.wide_bits)}
        first = arrives
        if op is Op.EMBED:
            wide = second = (here[context] ^ 1 << 31) - (1 << 31)
            here, first = here[contexts:], arrives + 1
        traced = fields | {"held": tuple((wide & ((1 << fmt.wide_bits) - 1)).tolist())}
        self.expected["traced"][arrives + 1] = traced
        if last:
            amount = len(words) * params.gain_beats
            self.expected["release"][arrives - SideWords.latency + SLOTS[op] - 1] = amount
        if op is Op.F:
            self.expected["decay"][arrives + GainLane.decay_latency] = fields | {
                "decay": tuple(decay(wide, here).tolist())
            }
            return
        for which, codes in enumerate(model.row_group(op, context, live, wide, second, here)):
            if mask:
                event = (mask, which, context, live_rows(params, mask, codes))
                self.expected["value"][first + which + CODE_LATENCY] = event


@cocotb.test()
async def gain(dut: Any) -> None:
    """Random groups: values, decays, traced rows, releases and statistics come when and as they should."""
    params, fmt = under_test(), under_test().formats
    plan, side = Plan(params, test_parameters()["settled"]), SideModel(params)
    rows_a_cycle, code_bits = params.vector_rows, fmt.mantissa + 7
    for group in [*GROUPS, *random.choices(GROUPS, k=20)]:
        plan.group(group)
    seen: dict[str, dict[int, Any]] = {name: {} for name in plan.expected}
    random_wide = 1 << rows_a_cycle * fmt.wide_bits
    await begin(dut)
    for cycle in range(plan.cycle + 1):
        defaults = {"ahead": tag_value(params), "wide": random.randrange(random_wide), "constants__begin": 0}
        defaults |= {"second": random.randrange(random_wide), "constants__bias": random.getrandbits(64)}
        if cycle in plan.blocks:
            assert side.clear(), f"cycle {cycle}: side words were left."
            for words in plan.blocks[cycle]:
                side.block(words)
        for name, value in (defaults | plan.inputs[cycle]).items():
            getattr(dut, name).value = value
        dut.side__words.value = side.words()
        await Timer(1, "ns")
        if mask := int(dut.values__valid.value):
            codes = unpack(int(dut.values__floats.value), code_bits, rows_a_cycle)
            where = (mask, int(dut.values__which.value), int(dut.values__context.value))
            seen["value"][cycle] = (*where, live_rows(params, mask, codes))
        for name, tag, data, width in (
            ("decay", "decay_tag", "decay", DECAY_FRAC),
            ("traced", "traced", "held", fmt.wide_bits),
        ):
            fields = split_tag(params, int(getattr(dut, tag).value))
            if fields["valid"]:
                values = unpack(int(getattr(dut, data).value), width, rows_a_cycle)
                seen[name][cycle] = fields | {data: tuple(values)}
        if released := int(dut.side__release.value):
            seen["release"][cycle] = released
        total, *others = seen_statistics(params, dut)
        if cycle in plan.expected["statistics"]:
            seen["statistics"][cycle] = others
        if cycle in plan.expected["total"]:
            seen["total"][cycle] = total
        side.cycle(dut)
        await FallingEdge(dut.clk)
    for name, expected in plan.expected.items():
        for cycle in sorted(expected.keys() | seen[name].keys()):
            found, wanted = seen[name].get(cycle), expected.get(cycle)
            assert found == wanted, f"{name} in cycle {cycle}: {found}, not {wanted}"
