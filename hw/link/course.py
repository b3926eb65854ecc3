# SPDX-License-Identifier: Apache-2.0
"""What the sequencer asks of the other cores."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class RingCourse(wiring.Signature):
    """The course of a token among many cores, seen from the sequencer.

    Attributes
    ----------
    idle : Out, between packets.
    begin : Out, pulse, before a group's first row. of_head : Out, the group is the head; stable from ``begin`` on.
    room : In, a row block that other cores need may be issued.
    finished : Out, high behind a group's last row until the group is over.
    joined : In, with ``finished``: the rows of all cores are in the vector store and all statistics are final.
    ended : Out, high behind the head's last row or, with ``failed``, where the packet ends early, until ``over``.
        failed : Out, high from there on, and before, while what is under way settles: nothing of other cores counts.
    over : In, with ``ended``: every core has ended the token, too. peer_failed : In, high from when another core
        says that its packet ended early, until ``idle``.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "idle": Out(1),
                "begin": Out(1),
                "of_head": Out(1),
                "room": In(1),
                "finished": Out(1),
                "joined": In(1),
                "ended": Out(1),
                "failed": Out(1),
                "over": In(1),
                "peer_failed": In(1),
            }
        )
