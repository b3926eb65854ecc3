# SPDX-License-Identifier: Apache-2.0
"""Which modules of this project decide what comes out of one: those it imports, and they, read from the sources."""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tritforge.rtl_gen.cache.folder import ROOT

PACKAGES = ("golden", "hw", "rtl_gen", "sim", "host", "perf")


def sources(*roots: str) -> dict[str, Path]:
    """The files of modules and of all modules of this project that they import, at last by way of others.

    Imports inside functions count; those for type checkers alone do not.

    Parameters
    ----------
    roots
        Such as ``host.image.pack``.

    Returns
    -------
    dict
        By the module's name, sorted.
    """
    found: dict[str, Path] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found or (file := _file(name)) is None:
            continue
        found[name] = file
        # a module's packages run before it
        waiting += [name.rpartition(".")[0], *_imports(ast.parse(file.read_bytes()))]
    return dict(sorted(found.items()))


@cache
def code_digest(*roots: str) -> str:
    """Names the contents of all `sources`."""
    digest = hashlib.sha256()
    for name, file in sources(*roots).items():
        digest.update(name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _file(name: str) -> Path | None:
    """Of a module of this project; None for any other name."""
    project, *parts = name.split(".")
    if project != "tritforge" or not parts or parts[0] not in PACKAGES:
        return None
    path = ROOT.joinpath(*parts)
    files = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in files if file.is_file()), None)


def _imports(node: ast.AST) -> Iterator[str]:
    """Names that may be modules; what is imported from a module may be one too."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    children = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        children = iter(node.orelse)
    for child in children:
        yield from _imports(child)
