# SPDX-License-Identifier: Apache-2.0
"""Area: no unit grows by more than 5 % over the record without the record saying so."""

import json

from rtl_gen.area import RECORD, growth, measure


def test_no_unit_has_grown() -> None:
    lines = growth(json.loads(RECORD.read_text())["units"], measure())
    assert not lines, "\n".join([*lines, "If it is worth it: python -m rtl_gen.area --update"])


def test_growth_is_found() -> None:
    cells = {"logic": 100, "ff": 200, "block_ram": 0, "lut_ram": 0, "dsp": 4}
    assert growth({"unit": cells}, {"unit": cells | {"logic": 105, "ff": 10}}) == []
    assert growth({"unit": cells}, {"unit": cells | {"logic": 106, "dsp": 5, "block_ram": 1}}) == [
        "unit: logic grew from 100 to 106",
        "unit: block_ram grew from 0 to 1",
        "unit: dsp grew from 4 to 5",
    ]
    assert growth({"unit": cells}, {"other": cells}) == ["other is not in the record"]
