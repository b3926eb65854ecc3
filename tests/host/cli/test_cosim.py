# SPDX-License-Identifier: Apache-2.0
"""The demonstration and the co-simulation, on a core in software."""

from pathlib import Path

import pytest

from tests.command_line import TINY, ask, call


def test_demo_tells_a_story_and_its_figures(model: Path) -> None:
    text = call("demo", "--model", model, *TINY, "--max-new-tokens", 5, "--clock", 200)
    assert text.startswith("Once upon a time")
    for part in (
        "bit-exact",
        "cycles per token",
        "50.0%",
        "tokens/s at 200 MHz",
        "simulated cycles per second",
    ):
        assert part in text
    facts = ask("demo", "--model", model, *TINY, "--max-new-tokens", 5)
    assert facts["checked"] == facts["counters"]["tokens"] > 17


def test_cosim_hands_its_options_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list = []
    monkeypatch.setattr("tritforge.host.measure.cosim.run", lambda *given: seen.extend(given) or {"tokens": 8})
    assert ask("cosim", *TINY, "--stall", 0.25, "--set", "lanes=8") == {"tokens": 8}
    assert seen[0].lanes == 8 and seen[1] == 0.25
