# SPDX-License-Identifier: Apache-2.0
"""How tests share a machine: the order of their files, and the processors and threads of each process.

Long files begin first, so that no worker is left alone with one at the end. Threads that wait for each other on cores
that other workers use are many times as slow as one.
"""

import gc
import os

import pytest

WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
PROCESSORS = sorted(os.sched_getaffinity(0))
# programs that tests start are told too
os.sched_setaffinity(0, PROCESSORS[WORKER % len(PROCESSORS) :: WORKERS])
# a process of all tests has millions of objects, and Python would look through them all the time
gc.set_threshold(50_000, 20, 100)
# before anything imports torch, and for programs that tests start
os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))

LONGEST = (
    *("test_limits", "test_core", "test_surroundings", "test_board", "test_gates", "test_faults", "test_cycles"),
    *("test_saturation", "test_path", "test_front", "test_sequencer", "test_arithmetic", "test_scales"),
    *("test_result", "test_side", "test_registers", "test_gain", "test_statistics", "test_recurrence"),
    *("test_header_reader", "test_array", "test_quantiser", "test_store", "test_outliers_core", "test_wheel"),
    *("test_mutated_frames", "test_train", "test_synth", "test_documents", "test_emit", "test_trace", "test_soak"),
)


def pytest_collection_finish() -> None:
    """What was imported and collected stays."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Stable: the tests of a file keep their order."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))
