# SPDX-License-Identifier: Apache-2.0
"""Published figures reckoned again from their authors' parameters."""

import re

import pytest

from tritforge.perf.estimates import validation
from tritforge.perf.estimates.published import published
from tritforge.perf.estimates.validation import Check, checks

FAR = {
    "MatMul-free paper, block at d = 512, public shape": (0.32, "narrower MLP"),
    "MatMul-free paper, 1.3B projected": (0.91, "more than one port"),
    "the same": (-0.48, "As above"),
}
"""What is more than 20 % off, by how much, and a word of its explanation."""
RESULTS = {"paper": ("block", "token", "watts"), "tereffic": ("hbm_2b7", "hbm_1b3", "on_chip"), "kv260": ("watts",)}
"""What is compared; everything else is a parameter."""


def test_what_is_far_off_is_known_and_explained() -> None:
    for check in checks():
        if check.what in FAR:
            error, word = FAR[check.what]
            assert check.error == pytest.approx(error, abs=0.01) and word in check.why
        else:
            assert abs(check.error) <= 0.2, check.what


def found(what: str, unit: str) -> Check:
    return next(check for check in checks() if (check.what, check.unit) == (what, unit))


def test_figures_that_can_be_worked_out_by_hand() -> None:
    block = found("MatMul-free paper, block at d = 512, public shape", "ms")
    assert block.here.nominal == pytest.approx((4 * 512**2 + 3 * 512 * 1536) / 60e3)
    assert found("MatMul-free paper, 1.3B projected", "ms").here.nominal == pytest.approx(1_233_125_376 / 256 / 60e3)
    hbm = found("TerEffic, 2.7B from HBM", "tokens/s")
    assert hbm.here.nominal == pytest.approx(0.922 * 460.8e9 / (2_537_553_920 / 5))
    kria = found("bitnet-kv260, BitNet 2B-4T", "tokens/s")
    assert "417,546,240 and 65,667,072 bytes" in kria.why, "its authors' own byte counts, from the model's shape"


@pytest.mark.parametrize(("system", "name"), [(s, n) for s, names in RESULTS.items() for n in names])
def test_no_figure_depends_on_what_it_is_compared_with(
    system: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published result half as large again: what is compared with it moves, what is reckoned does not."""
    before = list(checks())
    table = getattr(published(), system)
    other = table[name].model_copy(update={"value": 1.5 * table[name].value})
    changed = published().model_copy(update={system: table | {name: other}})
    monkeypatch.setattr(validation, "published", lambda: changed)
    after = list(checks())
    moved = [(one, two) for one, two in zip(before, after, strict=True) if one.published != two.published]
    assert moved
    for one, two in moved:
        assert one.here == two.here, one.what


def test_every_published_system_has_its_platforms_and_sources() -> None:
    for system in published().systems:
        assert system.joules == pytest.approx(system.watts.value / system.rate.value)
        assert re.search(r"\w", system.model) and re.search(r"\w", system.platform)
