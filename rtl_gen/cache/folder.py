# SPDX-License-Identifier: Apache-2.0
"""Where builds, packed images and whatever else can be made again are kept: one folder for all."""

import os
import tempfile
from functools import cache
from pathlib import Path

import platformdirs

from tritforge.golden import TritforgeError

VARIABLE = "TRITFORGE_CACHE"
ROOT = Path(__file__).resolve().parents[2]


def cache_folder() -> Path:
    """The folder, made where it is absent.

    Returns
    -------
    Path
        Absolute: the folder that the environment variable TRITFORGE_CACHE names; else the user's cache folder; else,
        where that cannot be written, ``build`` of a checkout.

    Raises
    ------
    TritforgeError
        If none of them, or the one that was named, can be written.
    """
    return _first(os.environ.get(VARIABLE), platformdirs.user_cache_path("tritforge", appauthor=False))


def tool_environment() -> dict[str, str]:
    """Environment for the tools that keep compiled programs in the user's cache folder.

    Where that cannot be written they keep them in `cache_folder`; they would fail otherwise.
    """
    if _refusal(platformdirs.user_cache_path()) is None:
        return dict(os.environ)
    return os.environ | {"XDG_CACHE_HOME": str(cache_folder() / "tools")}


@cache
def _first(named: str | None, users: Path) -> Path:
    if named:
        candidates = [Path(named).absolute()]
    else:
        candidates = [users, *([ROOT / "build"] if (ROOT / "pyproject.toml").is_file() else [])]
    reasons = []
    for folder in candidates:
        reason = _refusal(folder)
        if reason is None:
            return folder
        reasons.append(f"{folder}: {reason}")
    raise TritforgeError(
        f"There is no folder for builds and images ({'; '.join(reasons)}); name one that can be written, with room "
        f"for a gigabyte, in the environment variable {VARIABLE}."
    )


def _refusal(folder: Path) -> str | None:
    """Why a folder cannot be made or written; None if it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"room")
            file.flush()
    except OSError as error:
        return error.strerror or str(error)
    return None
