# SPDX-License-Identifier: Apache-2.0
"""The tokens of a case through a driver, compared with the golden integer model."""

from dataclasses import replace
from typing import Protocol

from tritforge.host.measure.mutants.cases import Case
from tritforge.host.measure.mutants.witness import Witness
from tritforge.host.run.driver import Driver
from tritforge.hw.packet import Context, split_scale


class Timed(Protocol):
    """What counts the cycles that were simulated."""

    cycles: int


def compare_text(driver: Driver, timed: Timed, see: Witness, case: Case, label: str, logits: bool = True) -> None:
    """Every token from a zero state, as many at once as fit: logits, scales, tokens, cycles, then the state."""
    driver.clear_counters()
    said, size = case.said, driver.params.batch
    for start in range(0, len(case.ids), size):
        contexts = [Context(token, logits=logits) for token in case.ids[start : start + size].tolist()]
        contexts[0] = replace(contexts[0], zero=not start)
        for at, prediction in enumerate(driver.step(contexts), start):
            if logits:
                see.golden(f"{label}: logits of token {at}", prediction.logits, said.raw[at])
            see.golden(f"{label}: token {at}", prediction.token, said.tokens[at])
            scale = split_scale(prediction.scale)
            see.golden(f"{label}: scale {at}", scale, (said.mantissa[at], said.shift[at]))
        see.same(f"{label}: cycles", timed.cycles)
    see.golden(f"{label}: state", driver.read_state(), said.state)
