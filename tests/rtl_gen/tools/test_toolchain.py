# SPDX-License-Identifier: Apache-2.0
"""How Verilator's files are compiled, and what a kept build depends on."""

from pathlib import Path

import pytest

from tritforge.rtl_gen.tools import toolchain
from tritforge.rtl_gen.tools.build import cached_build
from tritforge.rtl_gen.tools.join_sources import UNOPTIMISED, joined


def test_what_runs_once_stands_behind_the_rest_and_is_not_optimised() -> None:
    lines = list(joined(["top.cpp", "root__0__Slow.cpp", "root__0.cpp", "syms__Slow.cpp"]))
    assert lines[:2] == ['#include "top.cpp"', '#include "root__0.cpp"']
    assert lines[2] == UNOPTIMISED
    assert lines[3:] == ['#include "root__0__Slow.cpp"', '#include "syms__Slow.cpp"']


def test_a_build_is_made_again_when_the_compiler_is_told_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITFORGE_CACHE", str(tmp_path))
    source = tmp_path / "source"
    source.touch()

    def fresh() -> bool:
        with cached_build("kind", "top", (), [source]) as folder:
            return folder.fresh

    assert (fresh(), fresh()) == (True, False)
    monkeypatch.setitem(toolchain._MAKE_VARIABLES, "OPT_FAST", "-O2")
    assert (fresh(), fresh()) == (True, False)
