# SPDX-License-Identifier: Apache-2.0
"""Runs something in a process of its own that is ended, with all that it has started, when its time is over."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Outcome(NamedTuple, Generic[T]):
    """What came of it.

    Attributes
    ----------
    value : what the function returned, or None. error : what it raised, in words; empty for nothing.
    seconds : it took. over : whether its time was over.
    """

    value: T | None
    error: str
    seconds: float
    over: bool = False


def limited(work: Callable[[], T], seconds: float) -> Outcome[T]:
    """Call a function with a limit on its time; what it returns must be something that pickle can carry."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(work, theirs))
    started = time.monotonic()
    process.start()
    theirs.close()
    try:
        answered = ours.poll(seconds)
        value, error = ours.recv() if answered else (None, "")
    except EOFError:
        answered, value, error = True, None, "The process ended without an answer."
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid or 0, signal.SIGKILL)
        process.join()
        ours.close()
    return Outcome(value, error, round(time.monotonic() - started, 2), not answered)


def _work(work: Callable[[], T], pipe: Connection) -> None:
    os.setsid()  # its children, and theirs, end with it
    try:
        pipe.send((work(), ""))
    except Exception as error:
        pipe.send((None, f"{type(error).__name__}: {error}"))
