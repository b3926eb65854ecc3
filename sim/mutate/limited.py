# SPDX-License-Identifier: Apache-2.0
"""Runs things in processes of their own that are ended, with all that they have started, when their time is over."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K")
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
    return next(limited_all([(None, work)], seconds, 1))[1]


def limited_all(
    works: Iterable[tuple[K, Callable[[], T]]], seconds: float, jobs: int
) -> Iterator[tuple[K, Outcome[T]]]:
    """Call functions, each with a limit on its time, so many at once; outcomes as they come, with their keys."""
    context, waiting = multiprocessing.get_context("fork"), iter(works)
    running: dict[Connection, tuple[K, ForkProcess, float]] = {}
    try:
        while True:
            while len(running) < jobs and (following := next(waiting, None)):
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(following[1], theirs))
                process.start()
                theirs.close()
                running[ours] = following[0], process, time.monotonic()
            if not running:
                return
            first = min(started for _, _, started in running.values())
            answered = wait(list(running), timeout=max(0.0, first + seconds - time.monotonic()))
            for pipe in list(running):
                key, process, started = running[pipe]
                took = time.monotonic() - started
                if pipe in answered:
                    value, error = _answer(pipe, process)
                elif took < seconds:
                    continue
                else:
                    value, error = None, ""
                del running[pipe]
                _end(pipe, process)
                yield key, Outcome(value, error, round(took, 3), pipe not in answered)
    finally:
        for pipe, (_, process, _) in running.items():
            _end(pipe, process)


def _answer(pipe: Connection, process: ForkProcess) -> tuple[T | None, str]:
    try:
        answer: tuple[T | None, str] = pipe.recv()
        return answer
    except EOFError:
        process.join()
        return None, f"The process ended with status {process.exitcode} and without an answer."


def _end(pipe: Connection, process: ForkProcess) -> None:
    try:
        os.killpg(process.pid or 0, signal.SIGKILL)
    except ProcessLookupError:  # it has not begun one, or is gone
        process.kill()
    process.join()
    pipe.close()


def _work(work: Callable[[], T], pipe: Connection) -> None:
    os.setsid()  # its children, and theirs, end with it
    try:
        pipe.send((work(), ""))
    except Exception as error:
        pipe.send((None, f"{type(error).__name__}: {error}"))
