# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the player: what it asks a reader for, and what it says of tokens, against a model of a story."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import cocotb

from tritforge.hw.board.machine_map import Setting
from tritforge.hw.board.player import FINAL
from tritforge.hw.schedule import Status
from tritforge.sim.benches.common import begin
from tritforge.sim.benches.models.player import TOLD, Run, Said, Surroundings, Token
from tritforge.sim.cocotb_run import test_parameters

SOON = 20
"""Cycles from a result to the next request, at most."""
LEAD = {True: 5, False: 7}
"""Cycles in which a packet's first request is prepared, which count: of the first packet, and of the others."""
Where = dict[str, Any]
"""A `hw.board.layout.Plan`."""


def packet(where: Where, record: int, contexts: int) -> Iterator[Run]:
    """The runs of a packet whose record is somewhere: each row block's x words, its gains behind them, the body."""
    yield record, where["head_beats"], 0
    x_beats, gains_beats = where["x_beats"] * contexts, where["gains_beats"]
    for block in range(where["blocks"]):
        yield record + where["head_beats"] + block * x_beats, x_beats, 0
        yield where["gains"] + block * gains_beats, gains_beats, 0
    yield where["body"], where["body_beats"], 1


class Play:
    """A story, played and judged.

    Parameters
    ----------
    bench, story : of the test's parameters.
    """

    def __init__(self, bench: Surroundings, story: dict[str, Any]) -> None:
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
        token = random.choice([0, last, random.randint(0, last), min(last, story["settings"][Setting.END] & 0xFFFF)])
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
        assert last in (None, made) and made <= max(stopped, default=made)
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
            if number not in pushed:
                assert when + TOLD - 1 in bench.stuck, f"token {number} is left out"
                continue
            then, told = pushed[number]
            status = one.status | (FINAL if number == made else 0)
            assert told == Token(number, one.token, cycles[number - 1], status) and then == when + TOLD
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


async def begun(dut: Any) -> Surroundings:
    """A player after its reset."""
    bench = Surroundings(dut)
    await begin(dut)
    await bench.goes_on()
    return bench


def another_pace(bench: Surroundings) -> None:
    """Of what surrounds it."""
    bench.takes, bench.delay = random.choice([1.0, 0.5, 0.1]), random.choice([1.0, 0.3, 0.02])
    bench.line = random.choice([1.0, 0.3, 0.01, 0.003])


def some_story(wanted: Callable[[dict[str, Any]], bool] = lambda story: True) -> dict[str, Any]:
    """Of the test's parameters."""
    found: dict[str, Any] = random.choice([story for story in test_parameters()["stories"] if wanted(story)])
    return found


@cocotb.test()
async def stories(dut: Any) -> None:
    """Each packet's runs, where each ends, what is said of each token, whatever the pace."""
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


@cocotb.test()
async def taken_at_last(dut: Any) -> None:
    """A token that is taken in the very cycle in which the next one is there makes room for it."""
    bench = await begun(dut)
    bench.line, bench.at_last = 0.0, True
    for _ in range(5):
        made = await Play(bench, some_story(lambda story: story["count"] > 2)).plays()
        assert len(bench.pushed) == made
