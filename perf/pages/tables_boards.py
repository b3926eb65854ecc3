# SPDX-License-Identifier: Apache-2.0
"""What documents say of boards: what their memories hold, and what a token costs at their ports."""

from collections.abc import Iterator

from tritforge.golden.checkpoints.config import PUBLISHED
from tritforge.hw.params import preset
from tritforge.hw.schedule import Shape
from tritforge.perf.estimates.area import memories
from tritforge.perf.estimates.estimate import Estimate, estimate, sized, trits
from tritforge.perf.estimates.platform import names, platform
from tritforge.perf.figure import Figure, number
from tritforge.perf.pages.markdown import table
from tritforge.perf.pages.tables_estimates import figure

CORE = "edge"
SMALL_BOARD = "ulx3s-85f"
TALES = Shape(256, 7, 704, 1024)
"""The shipped model's."""
SHAPES = (
    TALES,
    Shape(512, 12, 1408, 8192),
    Shape(768, 12, 2112, 8192),
    Shape(1024, 8, 2816, 2048),
    Shape(1024, 8, 2816, 8192),
    Shape(1024, 12, 2816, 4096),
    Shape.of(PUBLISHED["370M"]),
)
"""Models that `fits` tells of."""
FEWER = {"max_layers": 12, "max_vocab": 8192}
"""Limits of a core that has no more of them than this board's memory has room for, at the largest hidden size."""
AT_PORT = (("tales", TALES, SMALL_BOARD), ("tales", TALES, "ecpix5-85f"), ("370M", SHAPES[-1], "ecpix5-85f"))


def _board(model: Shape, name: str, by_host: bool = False) -> Estimate:
    return estimate(model, sized(preset(CORE), model), platform(name), by_host=by_host)


def fits() -> str:
    """What the memory of the small board holds, and how fast that is."""

    def rows() -> Iterator[tuple[str, ...]]:
        for model in SHAPES:
            found = _board(model, SMALL_BOARD)
            alone = "yes" if found.line is None else "no room for the records"
            yield (
                ",".join(map(str, (model.hidden, model.layers, model.intermediate, model.vocab))),
                f"{trits(model) / 1e6:.1f} M",
                f"{found.megabytes:.1f}",
                f"{found.records_megabytes:.1f}",
                *((number(found.rate.nominal), alone) if found.fits else ("", "does not fit")),
            )

    head = ("hidden,layers,intermediate,vocab", "ternary weights", "MB", "MB of records", "tokens/s", "by itself")
    return table(head, (True, False, False, False, False, True), rows())


def fewer() -> str:
    """What smaller limits of the core would save there."""
    whole = preset(CORE)
    blocks, less = (
        sum(memory.block_rams for memory in memories(core).values())
        for core in (whole, whole.override({name: str(value) for name, value in FEWER.items()}))
    )
    there = platform(SMALL_BOARD).resources.block_ram.value
    settings = " ".join(f"--set {name}={value}" for name, value in FEWER.items())
    return f"`{settings}` would save {blocks - less} of its {blocks} block RAMs, of which the device has {there:.0f}"


def shares() -> str:
    """What each platform's memory brings, and where that is from."""
    rows = (
        (
            there.name,
            there.memory.kind,
            figure(there.memory.peak.figure),
            _share(achieved.figure),
            achieved.tag,
            achieved.source,
        )
        for there in map(platform, names())
        for achieved in (there.memory.achieved,)
    )
    head = ("platform", "memory", "GB/s at the pins", "share", "kind", "source")
    return table(head, (True, True, False, False, True, True), rows)


def _share(of_peak: Figure) -> str:
    """Of a peak, with a digit more than other figures."""
    low, nominal, high = (f"{bound:.4g}" for bound in (of_peak.low, of_peak.nominal, of_peak.high))
    return nominal if low == high else f"{nominal} ({low} to {high})"


AT_PORT_HEAD = (
    *("model", "platform", "bytes pushed", "tokens/s, by itself"),
    *("bytes sent and read", "ms of host and line", "tokens/s, by the host"),
)


def at_port_rows() -> Iterator[tuple[str, ...]]:
    """A token on its own and one that the host sends."""
    for name, model, board in AT_PORT:
        own, sent = (_board(model, board, by_host) for by_host in (False, True))
        assert sent.line is not None
        yield (
            name,
            own.platform.name,
            str(own.port.pushed),
            f"{figure(own.rate)}: {own.limit}",
            f"{sent.port.sent:,}",
            figure(sent.line * 1e3),
            f"{figure(sent.rate)}: {sent.limit}",
        )


def at_port() -> str:
    """The same as documents have it."""
    return table(AT_PORT_HEAD, (True, True, False, False, False, False, False), at_port_rows())
