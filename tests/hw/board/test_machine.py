# SPDX-License-Identifier: Apache-2.0
"""What a machine can be made of."""

from dataclasses import replace

import pytest

from tritforge.golden import TritforgeError
from tritforge.hw.board.boards import board_params


@pytest.mark.parametrize("lanes", [128, 256])
def test_a_beat_whose_words_the_result_cannot_count_is_refused(lanes: int) -> None:
    params = board_params("ulx3s-85f")
    replace(params, core=replace(params.core, lanes=64))
    with pytest.raises(TritforgeError, match=f"A board's core has at most 64 lanes, not {lanes}"):
        replace(params, core=replace(params.core, lanes=lanes))
