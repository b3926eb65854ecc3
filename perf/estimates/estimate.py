# SPDX-License-Identifier: Apache-2.0
"""How fast N cores run a model on a platform, what they draw, and what limits them."""

from dataclasses import dataclass, replace
from enum import StrEnum

from tritforge.golden import TritforgeError
from tritforge.hw.board.layout import sizes
from tritforge.hw.memory.reader import BEATS_BITS
from tritforge.hw.params import CoreParams, limits_for
from tritforge.hw.schedule import MATRICES, Shape, groups
from tritforge.perf.estimates.area import Area, area
from tritforge.perf.estimates.platform import Clocked, Platform
from tritforge.perf.estimates.port import Port, port
from tritforge.perf.estimates.power import energies
from tritforge.perf.estimates.work import Work, work
from tritforge.perf.figure import Figure


class Limit(StrEnum):
    """What a token waits for most."""

    ARRAY = "array"
    """The ternary products themselves: more lanes would help."""
    MEMORY = "memory"
    """Weights come more slowly than the core takes them."""
    VECTOR = "vector path"
    """Rows behind the products: more vector_rows would help."""
    EXCHANGE = "exchange"
    """Cores wait for one another."""
    LINE = "line"
    """The host sends each packet, and that takes longer than the machine's own time."""


@dataclass(frozen=True)
class Estimate:
    """What N cores do on a platform.

    Attributes
    ----------
    platform, params, shape, contexts, cores
        Of what.
    work
        What a packet asks of each core.
    seconds
        Of a packet.
    line
        Seconds of it for which the machine waits for line and host, who sends the packet; None where it goes on by
        itself.
    limit
        What it waits for most, in the nominal case.
    area
        Of one core.
    energy
        J of a packet by part, all cores together; without the static part.
    """

    platform: Clocked
    params: CoreParams
    shape: Shape
    contexts: int
    cores: int
    work: Work
    seconds: Figure
    line: Figure | None
    limit: Limit
    area: Area
    energy: dict[str, Figure]

    @property
    def rate(self) -> Figure:
        """Tokens a second, of all contexts."""
        return self.contexts / self.seconds

    @property
    def power(self) -> dict[str, Figure]:
        """W by part: the static power, then energy a packet times packets a second."""
        parts = {name: energy / self.seconds for name, energy in self.energy.items()}
        return {"static": self.platform.static.figure, **parts}

    @property
    def watts(self) -> Figure:
        """W altogether."""
        return sum(self.power.values(), Figure.exact(0))

    @property
    def joules(self) -> Figure:
        """J a token: static power for as long as it takes, and the energy of its operations."""
        static = self.platform.static.figure * self.seconds
        return sum(self.energy.values(), static) / self.contexts

    @property
    def picojoules_a_trit(self) -> Figure:
        """pJ for each ternary weight and token."""
        return self.joules * (1e12 / trits(self.shape))

    @property
    def occupied(self) -> dict[str, float]:
        """Fraction of each of the device's resources that all cores take; of the memory what has to be there, and of
        the beats that a machine counts the body, where there is a line."""
        have, size = self.platform.resources, self.platform.memory.size
        taken = {"logic": self.area.logic, "block RAM": self.area.block_ram, "DSP": self.area.dsp}
        there = {"logic": have.logic, "block RAM": have.block_ram, "DSP": have.dsp}
        found = {name: self.cores * taken[name] / there[name].value for name in taken if taken[name]}
        if size is not None:
            found["memory"] = self.megabytes / size.value
        if self.platform.line is not None:
            found["longest run"] = sizes(self.params, self.shape).body_beats / ((1 << BEATS_BITS) - 1)
        return found

    @property
    def port(self) -> Port:
        """A packet at the port of a machine."""
        return port(self.params, self.shape, self.contexts)

    @property
    def megabytes(self) -> float:
        """Of memory that the model takes, without its tokens' records, in MB; see `hw.board.layout`."""
        return sizes(self.params, self.shape).least_beats * self.params.lanes / 1e6

    @property
    def records_megabytes(self) -> float:
        """That these records take, which a machine needs to go on by itself."""
        return sizes(self.params, self.shape).records_beats * self.params.lanes / 1e6

    @property
    def fits(self) -> bool:
        """Whether all cores find room."""
        return max(self.occupied.values()) <= 1

    @property
    def useful(self) -> float:
        """Fraction of what the arrays multiply that is weights; the rest fills row blocks and last beats."""
        return (
            trits(self.shape)
            * self.contexts
            / (self.cores * self.work.array * self.params.rows * self.params.columns)
        )

    def efficiency(self, one: "Estimate") -> float:
        """Its rate against that of as many times the cores of another estimate."""
        return self.rate.nominal / one.rate.nominal * one.cores / self.cores

    @property
    def phases(self) -> dict[str, float]:
        """Where the nominal time of a packet goes, in core cycles."""
        cycles, total = self.work.cycles, self.seconds.nominal * self.platform.clock.value * 1e6
        parts = {
            "products": cycles.beats + cycles.repeats,
            "waits": cycles.waits,
            "result": cycles.result,
            "exchange": self.work.exchange,
        }
        line = self.line.nominal * self.platform.clock.value * 1e6 if self.line else 0.0
        return parts | {"starved": max(0.0, total - line - self.work.total), "line": line}


def trits(shape: Shape) -> int:
    """Ternary weights of a model, the head's included."""
    return sum(shape.outputs(group) * shape.inputs(group) * len(MATRICES[group]) for group, _ in groups(shape))


def sized(params: CoreParams, shape: Shape) -> CoreParams:
    """The core with its limits raised to what the model needs."""
    return replace(params, **{name: max(getattr(params, name), size) for name, size in limits_for(shape).items()})


def estimate(
    shape: Shape,
    params: CoreParams,
    platform: Platform,
    contexts: int = 1,
    cores: int = 1,
    by_host: bool = False,
) -> Estimate:
    """Estimate N cores with one memory between them.

    A packet takes the larger of ``cycles / clock`` and ``bytes / bandwidth``: the stream is read ahead, so while
    rows drain the memory goes on. Without reading ahead the waits come on top of a slow memory: the upper bound.
    What the host sends comes before that, and what it reads behind it.

    Parameters
    ----------
    by_host
        The host sends each packet through the platform's line, as it does anyway where there are several contexts or
        the memory has no room for the records of all tokens.

    Raises
    ------
    TritforgeError
        If the core does not take the model or so many contexts, or there is no line.
    """
    if misfit := params.misfit(shape):
        raise TritforgeError(misfit)
    if not 1 <= contexts <= params.batch:
        raise TritforgeError(
            f"This core takes 1 to {params.batch} contexts, not {contexts}; raise its batch with --set."
        )
    if by_host and platform.line is None:
        raise TritforgeError(f"{platform.name} has no line to a host; give it one in its file, as ulx3s-85f has.")
    asked, clocked = work(params, shape, contexts, cores), platform.running(params)
    clock = clocked.clock.figure * 1e6
    compute = asked.total / clock
    memory = cores * asked.stream / clocked.memory.bandwidth
    behind = asked.total - asked.cycles.beats - asked.cycles.repeats
    seconds = compute.at_least(memory)
    seconds = replace(seconds, high=max(compute.high, memory.high + behind / clock.low))
    limit, line = _limit(asked, memory.nominal > compute.nominal), None
    if clocked.line is not None and (by_host or contexts > 1 or not _records_fit(params, shape, clocked)):
        line = port(params, shape, contexts).seconds(clocked.line)
        limit = Limit.LINE if line.nominal > seconds.nominal else limit
        seconds += line
    passed = seconds.nominal * clock.nominal
    return Estimate(
        clocked,
        params,
        shape,
        contexts,
        cores,
        asked,
        seconds,
        line,
        limit,
        area(params, clocked, cores),
        energies(params, clocked, asked, cores, passed),
    )


def _records_fit(params: CoreParams, shape: Shape, platform: Platform) -> bool:
    """Or not even the rest does, and the model is for a larger memory."""
    found, size = sizes(params, shape), platform.memory.size
    rest, whole = (
        beats * params.lanes / 1e6 for beats in (found.least_beats, found.least_beats + found.records_beats)
    )
    return size is None or not rest <= size.value < whole


def _limit(asked: Work, starved: bool) -> Limit:
    cycles = asked.cycles
    shares = {
        Limit.ARRAY: cycles.beats + cycles.repeats,
        Limit.VECTOR: cycles.waits + cycles.result,
        Limit.EXCHANGE: asked.exchange,
    }
    return Limit.MEMORY if starved else max(shares, key=shares.__getitem__)
