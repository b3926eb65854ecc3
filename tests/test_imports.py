# SPDX-License-Identifier: Apache-2.0
"""The order of the packages: imports run one way, no two modules import each other, and folders stay small."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ORDER = ("golden", "hw", "rtl_gen", "sim", "perf", "host")
"""Each imports only from itself and from those before it."""
FILES = 18
"""In one folder at most."""


def imports(tree: ast.AST, modules: set[str]) -> Iterator[str]:
    """The modules that a file imports, anywhere in it; a name imported from a package may be a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield from (name for name in (full if full in modules else node.module,) if name in modules)


def graph(root: Path) -> dict[str, set[str]]:
    """What each module of the packages imports, as a set of modules."""
    files = {}
    for package in ORDER:
        for file in sorted((root / package).rglob("*.py")):
            parts = file.relative_to(root).with_suffix("").parts
            files[".".join(("tritforge", *parts)).removesuffix(".__init__")] = file
    return {name: set(imports(ast.parse(file.read_bytes()), set(files))) - {name} for name, file in files.items()}


def rising(modules: dict[str, set[str]]) -> list[str]:
    """Imports of a package that comes later."""

    def level(name: str) -> int:
        return ORDER.index(name.split(".")[1])

    return [f"{one} -> {two}" for one, others in modules.items() for two in sorted(others) if level(two) > level(one)]


def circle(modules: dict[str, set[str]]) -> list[str]:
    """One circle of imports, in order; empty where there is none."""
    try:
        TopologicalSorter(modules).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_imports_run_one_way() -> None:
    modules = graph(ROOT)
    assert len(modules) > 150 and rising(modules) == []


def test_no_modules_import_each_other() -> None:
    assert circle(graph(ROOT)) == []


def test_folders_are_small() -> None:
    folders = [path for package in (*ORDER, "tests") for path in (ROOT / package).rglob("*") if path.is_dir()]
    many = {
        str(folder.relative_to(ROOT)): count
        for folder in folders
        if folder.name != "__pycache__" and (count := sum(path.is_file() for path in folder.iterdir())) > FILES
    }
    assert many == {}


@pytest.mark.parametrize(
    "line",
    ["import tritforge.host.run", "from tritforge.host import run", "def f():\n    from tritforge.host.run import x"],
)
def test_an_import_that_runs_up_is_found(tmp_path: Path, line: str) -> None:
    for package in ORDER:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "host" / "run.py").write_text("from tritforge.golden import one\n")
    (tmp_path / "golden" / "one.py").write_text(line)
    modules = graph(tmp_path)
    assert rising(modules) == ["tritforge.golden.one -> tritforge.host.run"]
    assert set(circle(modules)) == {"tritforge.golden.one", "tritforge.host.run"}
