# SPDX-License-Identifier: Apache-2.0
"""A machine with DDR3, from the bytes of its serial line to LiteDRAM's model of a memory.

Its core is the board's with the limits of the shipped model, and its line is faster; all between the two is the
board's.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tritforge.golden.checkpoints.reader import ModelConfig
from tritforge.golden.checkpoints.synthetic import write_random_checkpoint
from tritforge.host.board.ddr3 import Window
from tritforge.host.board.link import BusError
from tritforge.host.board.load import load
from tritforge.host.board.session import Opened, level, opened, settle
from tritforge.host.board.simulate import share
from tritforge.host.run.generate import Sampler, generate
from tritforge.host.run.golden_backends import IntegerBackend
from tritforge.host.run.models import TALES, Model
from tritforge.hw.board.boards import BOARDS
from tritforge.hw.board.machine_map import CONTROLLER
from tritforge.rtl_gen.ddr3.emit import WINDOWS, missing

pytestmark = pytest.mark.skipif(missing() is not None, reason=missing() or "")
BITS_A_BAUD = 8
"""Cycles of a bit."""


@pytest.fixture(scope="module")
def board() -> Iterator[Opened]:
    params = BOARDS["ecpix5-85f"]
    core = replace(params.core, max_hidden=256, max_intermediate=704, max_layers=7, max_vocab=1024)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BOARDS, "small", replace(params, core=core, baud=params.clock_hz // BITS_A_BAUD))
        with opened("sim:small") as found:
            yield found


def test_the_host_levels_the_memory_at_first_contact(board: Opened) -> None:
    """Both strobes get their windows; whoever comes later has nothing to do, until the board is reset."""
    windows = [Window(*window) for window in WINDOWS]
    assert list(board.windows) == windows
    assert settle(board.board, board.link) == []
    assert level(board.board, board.link) == windows and board.board.field("STATUS", "READY")


def golden_tokens(model: Model, token: int, count: int) -> list[int]:
    """What the integer model says behind a token, greedily."""
    return list(generate(IntegerBackend(model.source()), [token], count, Sampler()))


def test_a_model_through_the_line(board: Opened, tmp_path: Path) -> None:
    """It is loaded, read back, and says the integer model's tokens, by itself and with the logits of each."""
    write_random_checkpoint(tmp_path / "model", ModelConfig(16, 1, 16, 16), 1)
    model = Model(tmp_path / "model", board.core)
    image, golden = model.image(), IntegerBackend(model.source())
    load(board.board, image)
    backend = Opened(board.board, board.link, board.core, None).backend(image)
    assert list(backend.play(3, 12)) == golden_tokens(model, 3, 12)
    backend.reset()
    ids = np.array([5, 7])
    got, wanted = backend.run(ids).integers, golden.run(ids).integers
    for name in ("raw", "mantissa", "shift"):
        assert np.array_equal(getattr(got, name), getattr(wanted, name)), name


def test_tokens_at_the_memory_s_peak(board: Opened) -> None:
    """Those of the shipped model equal the integer model's, and the weights have their share of the whole time."""
    model = Model(TALES, board.core)
    backend = model.on_board(board).board
    assert list(backend.play(1, 3)) == golden_tokens(model, 1, 3)
    assert share(board, backend)["share_of_peak"] >= 0.93


def test_addresses_of_nothing(board: Opened) -> None:
    """What is beyond the controller's registers is an error, and what follows works."""
    for address in (CONTROLLER + 0x10000, CONTROLLER + 0x3FFFFFFC, board.board.identity.memory_bytes):
        with pytest.raises(BusError) as error:
            board.link.read(address, 1)
        assert error.value.address == address
    assert board.board.register("ID")
