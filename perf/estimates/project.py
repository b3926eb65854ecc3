# SPDX-License-Identifier: Apache-2.0
"""One to many cores on a platform, and where each limit sets in."""

from collections.abc import Sequence

from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import Shape
from tritforge.perf.estimates.estimate import Estimate, Limit, estimate
from tritforge.perf.estimates.platform import Platform

KEPT = 0.9
"""What a limit must leave before it is said to have set in."""


def project(
    shape: Shape, params: CoreParams, platform: Platform, cores: Sequence[int], contexts: int = 1
) -> list[Estimate]:
    """Estimates for so many cores each, that share a model by output rows and one memory (perf/estimates/work.py)."""
    return [estimate(shape, params, platform, contexts, number) for number in cores]


def limits(found: Sequence[Estimate]) -> dict[str, int | None]:
    """The first number of cores at which each limit has set in; None where it has not.

    *memory*: all cores together ask for more than it gives. *exchange*: more than a tenth of a packet's cycles are
    exchange between cores. *row blocks*: of what the arrays multiply less than nine tenths as much are weights as in
    the first estimate, since a share of the rows does not fill row blocks. *area*: more than the device has room for.
    """

    def first(reached: list[bool]) -> int | None:
        return next((one.cores for one, yes in zip(found, reached, strict=True) if yes), None)

    return {
        "memory": first([one.limit is Limit.MEMORY for one in found]),
        "exchange": first([one.work.exchange > (1 - KEPT) * one.work.total for one in found]),
        "row blocks": first([one.useful < KEPT * found[0].useful for one in found]),
        "area": first([not one.fits for one in found]),
    }
