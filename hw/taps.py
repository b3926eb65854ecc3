# SPDX-License-Identifier: Apache-2.0
"""What a core with debug ports tells about every cycle, for timelines and for the counters."""

from enum import IntEnum

from amaranth.lib import data

from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import Group


class Cycle(IntEnum):
    """What the weight stream does in a cycle; of a token's cycles, each is exactly one of the others.

    BEAT : a beat is accepted. REPEAT : the array takes the offered beat for a context that is not its last. STARVED :
    the core is ready and no beat is offered. DRAIN : the stream waits until rows are drained, or for room among the
    side words. DEPENDENCY : it waits for activations, or for the check of the header. RESULT : all beats are in, the
    rows behind them and the result are not out. EXCHANGE : in a core with a link, any of these three while other
    cores are waited for.
    """

    IDLE = 0
    BEAT = 1
    REPEAT = 2
    STARVED = 3
    DRAIN = 4
    DEPENDENCY = 5
    RESULT = 6
    EXCHANGE = 7


def causes(params: CoreParams) -> list[Cycle]:
    """What a cycle of a packet can be in a core."""
    return [kind for kind in Cycle if kind is not Cycle.IDLE and (params.linked or kind is not Cycle.EXCHANGE)]


TRACE = data.StructLayout(
    {
        "cycle": Cycle,
        "group": Group,
        "matrix": 2,
        "block": 16,
        "rows": 1,
        "rows_group": Group,
        "rows_matrix": 2,
        "rows_block": 16,
        "rows_context": 3,
        "reciprocals": 1,
        "scales": 1,
        "quantiser": 1,
    }
)
"""cycle, group, matrix, block : of the stream. rows : row groups of a row block are issued, of ``rows_group``,
``rows_matrix``, ``rows_block`` and ``rows_context``. reciprocals, scales, quantiser : what the unit is busy with."""
