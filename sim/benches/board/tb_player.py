# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the player: what it asks a reader for, and what it says of tokens, against a model of a story."""

import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import cocotb
from cocotb.triggers import FallingEdge

from tritforge.hw.board.machine_map import SETTINGS
from tritforge.hw.board.player import FINAL
from tritforge.hw.memory.reader import BEATS_BITS
from tritforge.hw.schedule import Status
from tritforge.sim.benches.common import begin
from tritforge.sim.cocotb_run import test_parameters

SOON = 20
"""Cycles from a result to the next request, at most; what is said of a token is said meanwhile."""
LEAD = {True: 5, False: 7}
"""Cycles in which a packet's first request is prepared, which count: of the first packet, and of the others."""
Run = tuple[int, int, int]
"""Address, beats, last."""
Where = dict[str, Any]
"""A `host.board.plan.Plan`."""


class Said(NamedTuple):
    """What a core answers."""

    token: int
    status: int


class Token(NamedTuple):
    """What a player says of a token."""

    number: int
    token: int
    cycles: int
    status: int


def packet(where: Where, record: int, contexts: int) -> Iterator[Run]:
    """The runs of a packet whose record is somewhere: each row block's x words, its gains behind them, the body."""
    yield record, where["head_beats"], 0
    x_beats, gains_beats = where["x_beats"] * contexts, where["gains_beats"]
    for block in range(where["blocks"]):
        yield record + where["head_beats"] + block * x_beats, x_beats, 0
        yield where["gains"] + block * gains_beats, gains_beats, 0
    yield where["body"], where["body_beats"], 1


class Bench:
    """A player between settings, a reader, a core and a line.

    Attributes
    ----------
    cycle : that goes on. settings : that it finds. say : asked for what the core answers a packet.
    takes, line, delay : chances that a run and a token are taken in a cycle, and that the core answers.
    taken : runs, and when. asked : when the first run of each packet was asked for. results : when, and which.
    pushed : when, and which. stuck : cycles in which a token waits. places : when and where results are to go.
    """

    def __init__(self, dut: Any) -> None:
        self.dut, self.address_bits = dut, test_parameters()["address_bits"]
        self.settings, self.say = [0] * SETTINGS, lambda: Said(0, 0)
        self.takes = self.line = self.delay = 1.0
        self.cycle = 0
        self.begin_story()
        self._setting: int | None = None
        self._run: Run | None = None
        self._token: Token | None = None
        self._works = self._opens = False
        for name in ("start", "stop", "runs__ready", "result__valid", "tokens__ready", "setting_data"):
            getattr(dut, name).value = 0

    def begin_story(self) -> None:
        """Nothing is known of a story."""
        self.taken: list[tuple[int, Run]] = []
        self.asked: list[int] = []
        self.results: list[tuple[int, Said]] = []
        self.pushed: list[tuple[int, Token]] = []
        self.stuck: set[int] = set()
        self.places: list[tuple[int, int]] = []
        self._opens = True

    async def goes_on(self) -> None:
        """The next cycle."""
        dut = self.dut
        await FallingEdge(dut.clk)
        self.cycle += 1
        dut.start.value = dut.stop.value = 0
        # it has the settings while it plays
        found = random.getrandbits(32) if self._setting is None else self.settings[self._setting]
        dut.setting_data.value = found
        self._setting = int(dut.setting.value) if int(dut.playing.value) else None
        if int(dut.result_start.value):
            self.places.append((self.cycle, int(dut.result_address.value)))
        self._core()
        self._reader()
        self._line()

    def _core(self) -> None:
        dut, answers = self.dut, self._works and random.random() < self.delay
        token, status = self.say() if answers else (random.getrandbits(16), random.getrandbits(4))
        dut.result__valid.value, dut.result__token.value, dut.result__status.value = int(answers), token, status
        if answers:
            self._works, self._opens = False, True
            self.results.append((self.cycle, Said(token, status)))
            self.counted = int(dut.count.value)

    def _reader(self) -> None:
        dut, takes = self.dut, random.random() < self.takes
        dut.runs__ready.value = int(takes)
        run = None
        if int(dut.runs__valid.value):
            bits, mask = int(dut.runs__payload.value), (1 << self.address_bits) - 1
            rest = bits >> self.address_bits
            run = bits & mask, rest & (1 << BEATS_BITS) - 1, rest >> BEATS_BITS
        assert self._run in (None, run), f"{self._run} was not taken, and is now {run}"
        self._run = None if takes else run
        if run is None:
            return
        if self._opens:
            self.asked.append(self.cycle)
            self._opens = False
        if takes:
            self.taken.append((self.cycle, run))
            assert not self._works, "it goes on without a result"
            self._works = bool(run[2])

    def _line(self) -> None:
        dut, takes = self.dut, random.random() < self.line
        dut.tokens__ready.value = int(takes)
        token = None
        if int(dut.tokens__valid.value):
            bits = int(dut.tokens__payload.value)
            token = Token(bits & 0xFFFF, bits >> 16 & 0xFFFF, bits >> 32 & 0xFFFFFFFF, bits >> 64)
        assert self._token in (None, token), f"{self._token} was not taken, and is now {token}"
        if token is not None and self._token is None:
            self.pushed.append((self.cycle, token))
        self._token = None if takes else token
        if self._token:
            self.stuck.add(self.cycle)


class Play:
    """A story, played and judged.

    Parameters
    ----------
    bench, story : of the test's parameters.
    """

    def __init__(self, bench: Bench, story: dict[str, Any]) -> None:
        self._bench, self._story, self._where = bench, story, story["where"]
        self._stops: list[int] = []
        bench.begin_story()
        bench.settings, bench.say = story["settings"], self._says

    async def plays(self, stop: float = 0.0, start: float = 0.0, first: bool = False) -> int:
        """From start to end: the tokens that were made. With chances of stop and start in a cycle, and whether it is
        stopped in the very first one."""
        bench, dut = self._bench, self._bench.dut
        await bench.goes_on()
        assert not int(dut.playing.value)
        dut.start.value = 1
        began = bench.cycle
        while True:
            await bench.goes_on()
            if not int(dut.playing.value):
                break
            dut.start.value = int(random.random() < start)
            if random.random() < stop or (first and not self._stops):
                dut.stop.value = 1
                self._stops.append(bench.cycle)
            assert bench.cycle - began < 30_000, "no end"
        made = self._judge(began)
        before = len(bench.taken)
        for _ in range(random.choice([0, 1, 2 * SOON])):
            await bench.goes_on()
            assert not int(dut.playing.value) and len(bench.taken) == before
        assert int(dut.done.value) == made
        return made

    def _says(self) -> Said:
        """Often the token that would end it, the first and the last."""
        where, story = self._where, self._story
        room = (1 << self._bench.address_bits) - (where["records"] or 0)
        stride = where["head_beats"] + where["blocks"] * where["x_beats"]
        last = min(0xFFFF, room // stride - 1)
        token = random.choice([0, last, random.randint(0, last), min(last, story["settings"][-1] & 0xFFFF)])
        status = Status.OK if random.random() < 0.85 else random.choice(list(Status))
        return Said(min(last, story["end"] or 0) if random.random() < 0.2 else token, int(status))

    def _judge(self, began: int) -> int:
        bench, where = self._bench, self._where
        made = len(bench.results)
        said = [one for _, one in bench.results]
        ends = [number for number, one in enumerate(said, 1) if self._ends(number, one)]
        last = ends[0] if ends else None
        stopped = self._stopped()
        assert made == last or made in stopped, f"{made} tokens; it ends with {last}, stopped {stopped}"
        assert last in (None, made)
        # what it reads
        stride = where["head_beats"] + where["blocks"] * where["x_beats"]
        expected = list(packet(where, where["scratch"], self._story["contexts"]))
        for token, _ in said[:-1]:
            expected += packet(where, where["records"] + token * stride, 1)
        assert [run for _, run in bench.taken] == expected
        (place,) = bench.places
        assert place[1] == where["results"] and began < place[0] <= bench.asked[0]
        # what it says
        cycles = [self._cycles(index) for index in range(made)]
        assert int(bench.dut.cycles.value) == cycles[-1] == bench.counted
        pushed = {token.number: (when, token) for when, token in bench.pushed}
        assert len(pushed) == len(bench.pushed)
        for number, (when, one) in enumerate(bench.results, 1):
            meanwhile = range(when + 1, when + SOON)
            if number not in pushed:
                assert bench.stuck & {*meanwhile}, f"token {number} is left out"
                continue
            then, token = pushed[number]
            status = one.status | (FINAL if number == made else 0)
            assert token == Token(number, one.token, cycles[number - 1], status) and then in meanwhile
        assert {*pushed} <= {*range(1, made + 1)}
        return made

    def _ends(self, number: int, one: Said) -> bool:
        """By itself."""
        return one.status != Status.OK or number == self._story["count"] or one.token == self._story["end"]

    def _stopped(self) -> set[int]:
        """After how many tokens the first stop may end it; close behind a result it may be late for that token."""
        if not self._stops:
            return set()
        when, results = self._stops[0], [when for when, _ in self._bench.results]
        before = sum(result < when for result in results)
        late = before and when - results[before - 1] < SOON
        return {before, before + 1} if late else {before + 1}

    def _cycles(self, index: int) -> int:
        bench = self._bench
        if index:
            assert bench.asked[index] - bench.results[index - 1][0] <= SOON
        return bench.results[index][0] - bench.asked[index] + LEAD[index == 0]


async def begun(dut: Any) -> Bench:
    """A player after its reset."""
    bench = Bench(dut)
    await begin(dut)
    await bench.goes_on()
    return bench


def another_pace(bench: Bench) -> None:
    """Of what surrounds it."""
    bench.takes, bench.delay = random.choice([1.0, 0.5, 0.1]), random.choice([1.0, 0.3, 0.02])
    bench.line = random.choice([1.0, 0.3, 0.01, 0.003])


def some_story(wanted: Callable[[dict[str, Any]], bool] = lambda story: True) -> dict[str, Any]:
    """Of the test's parameters."""
    found: dict[str, Any] = random.choice([story for story in test_parameters()["stories"] if wanted(story)])
    return found


@cocotb.test()
async def stories(dut: Any) -> None:
    """Each packet's runs, where each ends, what is said of each token; whatever the pace and however often started."""
    bench = await begun(dut)
    made = []
    for story in test_parameters()["stories"]:
        another_pace(bench)
        if random.random() < 0.3:
            # nothing is played
            dut.stop.value = 1
            await bench.goes_on()
        made.append(await Play(bench, story).plays(start=random.choice([0.0, 0.05])))
    assert max(made) > 3 and min(made) == 1


@cocotb.test()
async def stops(dut: Any) -> None:
    """A stop ends it with the token under way, at any moment, and is forgotten by the next start."""
    bench = await begun(dut)
    made = []
    for _ in range(25):
        another_pace(bench)
        long = some_story(lambda story: story["count"] > 2)
        made.append(await Play(bench, long).plays(stop=random.choice([0.003, 0.03]), first=random.random() < 0.2))
        await Play(bench, some_story()).plays()
    assert made.count(1) > 3 and max(made) > 1


@cocotb.test()
async def full_speed(dut: Any) -> None:
    """Three cycles from a run of an embedding to the next when nobody waits, and every token is said."""
    bench = await begun(dut)
    for _ in range(10):
        play = Play(bench, some_story(lambda story: story["count"] > 2))
        made = await play.plays()
        assert len(bench.pushed) == made
        times = [when for when, _ in bench.taken]
        heads = {index for index, (_, run) in enumerate(bench.taken) if index == 0 or bench.taken[index - 1][1][2]}
        for index in range(1, len(times)):
            if index not in heads and index - 1 not in heads and not bench.taken[index][1][2]:
                assert times[index] - times[index - 1] == 3
