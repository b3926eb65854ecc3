# SPDX-License-Identifier: Apache-2.0
"""Objects of Verilator's own sources, kept from build to build: the same always, and most of a small unit's."""

import hashlib
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tritforge.golden.files import replacing_folder
from tritforge.rtl_gen.cache.folder import cache_folder
from tritforge.rtl_gen.tools.toolchain import build_settings


class Runtime:
    """The objects of one kind of build.

    Parameters
    ----------
    kind
        Names it.
    recipe
        The options that they are compiled with.
    names
        The objects.
    """

    def __init__(self, kind: str, recipe: Sequence[str], names: Sequence[str]) -> None:
        digest = hashlib.sha256(repr((list(recipe), build_settings())).encode()).hexdigest()[:16]
        self._name = f"{kind}-runtime-{digest}"
        self._names = names

    @property
    def _folder(self) -> Path:
        return cache_folder() / self._name

    def copy(self, folder: Path) -> list[str]:
        """Put the objects, if there are any yet, where make builds; returns the options with which it takes them.

        Without, make takes objects only that are newer than the makefile, which is made anew for every design.
        """
        if not self._folder.is_dir():
            return []
        for name in self._names:
            shutil.copy(self._folder / name, folder)
        return [f"--old-file={name}" for name in self._names]

    def keep(self, folder: Path) -> None:
        """Keep those of a build that has succeeded."""
        if self._folder.is_dir():
            return
        # another process may be faster, and a build that has succeeded needs none of it
        with suppress(OSError), replacing_folder(self._folder) as temporary:
            for name in self._names:
                shutil.copy(folder / name, temporary)
