# SPDX-License-Identifier: Apache-2.0
"""A board that runs a model, at a serial port of this computer or simulated."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tritforge.golden import TritforgeError
from tritforge.host.board.backend import BoardBackend, CoreRegisters
from tritforge.host.board.board import Board
from tritforge.host.board.ddr3 import Ddr3, Window, controller_of
from tritforge.host.board.link import Link
from tritforge.host.board.load import preload, require
from tritforge.host.board.port import LinkLost, SerialPort, open_port
from tritforge.host.image.image import Image
from tritforge.host.run.driver import identify
from tritforge.hw.board.boards import BOARDS, board_params
from tritforge.hw.board.machine_map import CONTROLLER
from tritforge.hw.params import CoreParams

if TYPE_CHECKING:
    from tritforge.sim.board.simulated_board import SimulatedBoard

SIMULATED = "sim:"
"""In front of a board's name, in place of a port."""
BAUD = 3_000_000
"""Of all boards."""
SIMULATED_TIMEOUT_S, SIMULATED_GAP_S = 0.012, 0.003
"""Of simulated time: a frame of 1 KB takes 3.4 ms, and nothing on the way takes as long as a USB adapter."""
SIMULATED_TRIES = 20
"""More than on a real line, for faults that no real line has."""
READY_S = 0.01


@dataclass(frozen=True)
class Opened:
    """A board at the other end of a line.

    Attributes
    ----------
    board : its driver. link : to it. core : what its core says of itself.
    simulated : the simulation behind a port that begins with `SIMULATED`; None for a real one.
    windows : where the memory's strobes read right, if it was levelled now.
    """

    board: Board
    link: Link
    core: CoreParams
    simulated: "SimulatedBoard | None"
    windows: Sequence[Window] = ()

    def backend(self, image: Image, outlier_threshold: float | None = None) -> BoardBackend:
        """The board with an image in its memory, which a simulated one gets at once.

        Raises
        ------
        TritforgeError
            Where the memory holds something else.
        """
        if self.simulated is not None:
            where = preload(self.simulated.put, self.board, image)
        else:
            where = require(self.board, image)
        return BoardBackend(self.board, image, where, outlier_threshold)


@contextmanager
def opened(
    port: str,
    status: Callable[[str], None] | None = None,
    wrapped: Callable[[SerialPort], SerialPort] = lambda port: port,
) -> Iterator[Opened]:
    """Open a board.

    Parameters
    ----------
    port : such as /dev/ttyUSB0, or sim:BOARD for a simulated one.
    status : told what takes long.
    wrapped : puts something between link and port, such as faults.

    Raises
    ------
    TritforgeError
        Where there is no such port or board, or something else answers.
    """
    simulated = None
    if port.startswith(SIMULATED):
        from tritforge.sim.board.simulated_board import SimulatedBoard

        simulated = SimulatedBoard(board_params(port.removeprefix(SIMULATED)), status)
        link = Link(wrapped(simulated), clock=simulated.clock, timeout_s=SIMULATED_TIMEOUT_S, gap_s=SIMULATED_GAP_S)
    else:
        link = Link(wrapped(open_port(port, BAUD)))
    try:
        try:
            link.connect()
        except LinkLost as error:
            known = ", ".join(f"{SIMULATED}{name}" for name in BOARDS)
            raise LinkLost(
                f"Nothing answers at {port}: load the bitstream with tritforge board program, or take a simulated "
                f"board ({known})."
            ) from error
        board = Board(link)
        windows = settle(board, link, status)
        yield Opened(board, link, identify(CoreRegisters(board)), simulated, windows)
    finally:
        with suppress(LinkLost):
            link.close()


def level(board: Board, link: Link, status: Callable[[str], None] | None = None) -> list[Window]:
    """Initialise a memory that does not do so by itself; where its strobes read right."""
    if status is not None:
        status("Initialising and levelling the board's memory")

    def sleep(seconds: float) -> None:
        link.listen(seconds)

    return Ddr3(link, controller_of(board.identity), CONTROLLER, sleep).start()


def settle(board: Board, link: Link, status: Callable[[str], None] | None = None) -> list[Window]:
    """Wait for the memory, whose initialisation takes less than a millisecond or is the host's, and end what a host
    that is gone has begun; what levelling found, if it was done."""
    windows = []
    if board.identity.started_by_host and not board.field("STATUS", "READY"):
        windows = level(board, link, status)
    for _ in range(100):
        if board.field("STATUS", "READY"):
            break
        link.listen(READY_S)
    else:
        raise TritforgeError("The board's memory is not ready; reset the board.")
    if board.field("STATUS", "PLAYING"):
        board.stop()
    return windows
