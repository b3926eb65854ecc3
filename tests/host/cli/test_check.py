# SPDX-License-Identifier: Apache-2.0
"""Checks of Verilog and netlists: what is told, kept and refused."""

import json
from pathlib import Path

import pytest

from tests.command_line import ask, call, invoke, refuse
from tritforge.rtl_gen.synthesis import ecp5_pack, unknown


def test_a_lint_tells_the_warnings_of_each_design() -> None:
    for name, width in (("narrow", 1), ("wide", 3)):
        source = f"module {name}(input [3:0] a, output [{width}:0] y);\n  assign y = a;\nendmodule\n"
        Path(f"{name}.v").write_text(source)
        Path(f"{name}.f").write_text(f"{name}.v\n")
    result = invoke("check", "lint", "narrow.f", "wide.f")
    assert result.exit_code == 1 and result.stdout == "wide.f: no warnings\n"
    assert "WIDTHTRUNC" in result.stderr and "Error: There are warnings in narrow.f; mend them." in result.stderr
    result = invoke("check", "lint", "narrow.f", "wide.f", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 1 and "WIDTHTRUNC" in found["narrow.f"] and found["wide.f"] == ""
    refuse("none.f is no list of files", "check", "lint", "none.f")


def test_registers_that_the_reset_leaves_unknown_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unknown, "RECORD", tmp_path / "unknown.json")
    unknown.record({"front": ["word"]})
    monkeypatch.setattr(unknown, "found", lambda status: {"front": ["level", "word"]})
    result = invoke("check", "reset")
    assert result.exit_code == 1 and result.stderr.startswith("front: reset does not reach level\nError: The reset")
    found = json.loads(invoke("check", "reset", "--json").stdout)
    assert found == {"unknown": {"front": ["level", "word"]}, "not recorded": ["front: reset does not reach level"]}
    call("check", "reset", "--update")
    assert unknown.recorded() == {"front": ["level", "word"]}
    assert call("check", "reset") == "The reset reaches every register that is not payload.\n"


def test_blocks_of_a_netlist_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = [ecp5_pack.Finding("m", "product", 36, ""), ecp5_pack.Finding("n", "operands", 0, "other loads")]
    monkeypatch.setattr(ecp5_pack, "pack", lambda design: findings if design == {"modules": {}} else [])
    Path("n.json").write_text('{"modules": {}}')
    assert call("check", "blocks", "n.json").splitlines() == [
        "m, product: 36 flip-flops moved inside",
        "n, operands: other loads",
    ]
    assert ask("check", "blocks", "n.json")[1] == {
        "cell": "n",
        "place": "operands",
        "moved": 0,
        "reason": "other loads",
    }


@pytest.mark.parametrize("content", [None, "no JSON", "[]", "{}", '{"modules": 3}'])
def test_what_is_no_netlist_is_refused(content: str | None) -> None:
    if content is not None:
        Path("n.json").write_text(content)
    refuse("n.json is no netlist as JSON (", "check", "blocks", "n.json")
