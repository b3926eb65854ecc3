# SPDX-License-Identifier: Apache-2.0
"""Files and folders: there as a whole or not at all, and what the system says against one as a sentence."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tritforge.golden import TritforgeError

_ROOM, _RIGHT = "make room, or name a place that has some", "name another place, or give the right to it"
REMEDIES = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.EACCES: _RIGHT,
    errno.EPERM: _RIGHT,
    errno.EROFS: _RIGHT,
    errno.EBUSY: _RIGHT,
    errno.ETXTBSY: _RIGHT,
    errno.EIO: "the device fails; name another place",
    errno.ESTALE: "the device fails; name another place",
    errno.ENAMETOOLONG: "name a shorter one",
    errno.ELOOP: "its links lead in a circle; name another",
    errno.EMFILE: "raise the limit with ulimit -n",
    errno.ENFILE: "close other programs",
    errno.ENOMEM: "close other programs, or take a smaller model",
}
"""What to do where the surroundings are at fault, by the system's number."""
_NAMED = {
    errno.ENOENT: "create its folder first",
    errno.ENOTDIR: "name a place in a folder",
    errno.EISDIR: "name a file in it",
    errno.EEXIST: "name another place",
}
"""What to do where a user has named something that cannot be written."""


def told(error: OSError) -> str:
    """What the system says, without numbers and names."""
    return error.strerror or str(error) or type(error).__name__


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write a file to that takes its own name when the context ends, and disappears if that fails.

    Parameters
    ----------
    path
        The file. Links are followed; a device or pipe is written as it is.

    Raises
    ------
    TritforgeError
        If it cannot be written: at once, or as soon as the system refuses.
    """
    target = Path(os.path.realpath(path))
    try:
        with _temporary(target) as temporary:
            yield temporary
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename is not None and Path(error.filename).parent not in (path.parent, target.parent):
            raise
        remedy = (REMEDIES | _NAMED).get(error.errno or 0, "name another place")
        raise TritforgeError(f"{path} cannot be written ({told(error)}); {remedy}.") from error


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        yield path
        return
    temporary = _beside(path)
    try:
        temporary.touch()
        yield temporary
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A folder to fill that takes its own name when the context ends, and disappears if that fails.

    Parameters
    ----------
    path
        The folder: absent, or empty. Those above it are made.
    """
    temporary = _beside(path)
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        make_folder(temporary)
        yield temporary
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _beside(path: Path) -> Path:
    """The name of a path until it is complete."""
    # a system counts the bytes of a name
    begin = os.fsdecode(os.fsencode(path.name)[:100])
    return path.with_name(f".{begin}.{os.getpid()}.tmp")


def check_writable(path: Path) -> None:
    """Raise as `replacing` does if a file cannot be written, before any work is done for it."""
    with suppress(_EnoughError), replacing(path):
        raise _EnoughError


class _EnoughError(Exception):
    pass


def write_text(path: Path, text: str) -> None:
    """Write a file of text, in UTF-8; raise as `replacing` does."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file of bytes; raise as `replacing` does."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def make_folder(path: Path) -> None:
    """Make a folder with those above it, where it is absent; raise TritforgeError where that is not possible."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        remedy = REMEDIES.get(error.errno or 0, "name another folder")
        raise TritforgeError(f"The folder {path} cannot be made ({told(error)}); {remedy}.") from error
