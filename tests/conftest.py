# SPDX-License-Identifier: Apache-2.0
"""The order of the test files: long ones begin first, so that no worker is left alone with one at the end."""

import pytest

LONGEST = (
    *("test_limits", "test_core", "test_surroundings", "test_board", "test_gates", "test_faults", "test_cycles"),
    *("test_saturation", "test_path", "test_front", "test_sequencer", "test_arithmetic", "test_scales"),
    *("test_result", "test_side", "test_registers", "test_gain", "test_statistics", "test_recurrence"),
    *("test_header_reader", "test_array", "test_quantiser", "test_store", "test_outliers_core", "test_wheel"),
    *("test_mutated_frames", "test_train", "test_synth", "test_documents", "test_emit", "test_trace"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Stable: the tests of a file keep their order."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))
