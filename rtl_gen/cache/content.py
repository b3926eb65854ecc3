# SPDX-License-Identifier: Apache-2.0
"""Digests of the contents of files, remembered for as long as it is certain that a file is the same."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import xxhash

from tritforge.golden.files import make_folder, write_bytes
from tritforge.rtl_gen.cache.folder import cache_folder

CHUNK = 1 << 20
SETTLED = 2_000_000_000
"""Nanoseconds since a change from which on no file system gives another change the same time."""

Progress = Callable[[int, int], None]
"""Called with the bytes done and their total."""


def content_digest(files: Sequence[Path], progress: Progress | None = None) -> str:
    """Names the contents of files and their names, 32 hexadecimal digits.

    All of a file is read, and its digest remembered, by its place, size and times. These tell a file from another
    that was written, moved or unpacked over it as long as its file system has a time of change of its own, which no
    program can set. Where that equals the time of modification it may be made up of it (read-only and network file
    systems do so), and nothing is remembered.

    Parameters
    ----------
    files
        Links are followed.
    progress
        Called while files are read; not for those that are remembered.
    """
    total, done = sum(file.stat().st_size for file in files), 0
    whole = xxhash.xxh3_128()
    for file in files:
        whole.update(file.name.encode() + b"\0")
        whole.update(_digest(file, progress and (lambda read, before=done: progress(before + read, total))))
        done += file.stat().st_size
    return whole.hexdigest()


def _digest(path: Path, progress: Callable[[int], None] | None) -> bytes:
    path = path.resolve()
    with path.open("rb", buffering=0) as file:
        before = os.fstat(file.fileno())
        known = _memory(path, before)
        if known is not None and known.is_file():
            saved = known.read_bytes()
            if len(saved) == xxhash.xxh3_128().digest_size:
                return saved
        digest, buffer = xxhash.xxh3_128(), memoryview(bytearray(CHUNK))
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
            if progress is not None:
                progress(file.tell())
        after = os.fstat(file.fileno())
    if known is not None and known == _memory(path, after):
        make_folder(known.parent)
        write_bytes(known, digest.digest())
    return digest.digest()


def _memory(path: Path, stat: os.stat_result) -> Path | None:
    """Where the digest of a file in this state is remembered; None where its state does not tell its contents."""
    if stat.st_ctime_ns == stat.st_mtime_ns or stat.st_ctime_ns > time.time_ns() - SETTLED:
        return None
    state = (str(path), stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    return cache_folder() / "digests" / xxhash.xxh3_128_hexdigest(repr(state).encode())
