# SPDX-License-Identifier: Apache-2.0
"""The other cores of a ring, as the sequencer of a core with a link hears of them."""

import random
from collections import Counter
from typing import Any

ROOMS = 3
"""Cycles in which a change of ``room`` may take effect."""


class Peers:
    """They have room or not, join a group and end a packet when they like, and sometimes it fails on one of them.

    linked : there are any; without, there is room always and nobody is waited for. rooms : of the last cycles. joined
    : the part whose group is over on all cores. over : the packet is. failed : it ended early on another one; fails :
    it will, at the latest when it is over. spoilt : it had when it was over. waits : a cycle ago, a group or the
    packet waited for them. seen : how often what waited.
    """

    def __init__(self, linked: bool) -> None:
        self.linked = linked
        self.rooms = [1] * ROOMS
        self.waits, self.seen = False, Counter[str]()
        self.rest()

    def rest(self) -> None:
        """Between packets."""
        self.joined, self.over = 0, not self.linked
        self.failed, self.fails, self.spoilt = False, random.random() < 0.2, False

    def inputs(self, ports: Any, part: int, pace: Any) -> dict[str, int]:
        """The interface ``ring`` in this cycle, in which ``ports`` are seen and the rows of ``part`` leave."""
        if not self.linked:
            return {}
        joins = bool(ports.ring_finished) and pace("peers")
        over = bool(ports.ring_ended) and pace("peers")
        self.joined = part if joins else self.joined
        self.failed = self.failed or (self.fails and (over or random.random() < 0.01))
        self.over, self.spoilt = self.over or over, self.spoilt or (over and self.failed)
        self.rooms = [*self.rooms[1:], int(pace("room"))]
        waits = {"group": ports.ring_finished and not joins, "packet": ports.ring_ended and not over}
        self.seen.update(name for name, waited in waits.items() if waited)
        self.waits = any(waits.values())
        return {"ring_room": self.rooms[-1], "ring_joined": joins, "ring_over": over, "peer_failed": self.failed}
