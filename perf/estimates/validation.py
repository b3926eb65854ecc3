# SPDX-License-Identifier: Apache-2.0
"""Published figures reckoned again from their authors' own parameters.

Parameters go in, a figure comes out and is compared; none of the constants was fitted to the figure that it is
compared with. Each function says what it takes a token to be.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tritforge.golden.checkpoints.config import PUBLISHED, default_intermediate
from tritforge.hw.schedule import Shape
from tritforge.perf.estimates.estimate import trits
from tritforge.perf.estimates.platform import platform
from tritforge.perf.estimates.power import PICO
from tritforge.perf.estimates.published import published
from tritforge.perf.figure import Figure


@dataclass(frozen=True)
class Check:
    """A published figure and what comes out here.

    Attributes
    ----------
    what, unit
        Of which system, in which unit.
    published, here
        The two figures.
    why
        What the figure is made of, and what explains the difference.
    """

    what: str
    unit: str
    published: float
    here: Figure
    why: str

    @property
    def error(self) -> float:
        """Relative error of the nominal figure."""
        return self.here.nominal / self.published - 1


def layer_trits(model: Shape) -> int:
    """Ternary weights without the head's."""
    return trits(model) - model.hidden * model.vocab


def checks() -> Iterator[Check]:
    """All of them."""
    yield from _paper()
    yield from _tereffic()
    yield from _kv260()


def _paper() -> Iterator[Check]:
    """One trit a cycle; the projection: a bank's full port of 2 bit trits, all layers one after the other."""
    given = {name: value.figure for name, value in published().paper.items()}
    clock, d, billion = given["clock"] * 1e6, 512, Shape.of(PUBLISHED["1.3B"])
    block = layer_trits(Shape(d, 1, default_intermediate(d), 2)) / given["trits"] / clock * 1e3
    yield Check(
        "MatMul-free paper, block at d = 512, public shape",
        "ms",
        given["block"].nominal,
        block,
        "13 d^2 trits, one a cycle. 43 ms are 9.84 d^2 cycles at 60 MHz, fewer than such a block has trits: what was "
        "timed has a narrower MLP (the next line) or leaves a part out.",
    )
    narrow = layer_trits(Shape(d, 1, 2 * d, 2)) / given["trits"] / clock * 1e3
    yield Check(
        "the same, MLP twice as wide as d",
        "ms",
        given["block"].nominal,
        narrow,
        "Ten products of 512 x 512, one trit a cycle.",
    )
    a_cycle = given["full_port"] / given["trit_bits"]
    token = layer_trits(billion) / a_cycle / clock * 1e3
    needed = layer_trits(billion) / (given["token"].nominal * 1e-3 * clock.nominal)
    yield Check(
        "MatMul-free paper, 1.3B projected",
        "ms",
        given["token"].nominal,
        token,
        f"{layer_trits(billion):,} trits through one bank's full port. 42 ms at 60 MHz need {needed:.0f} trits a "
        f"cycle, and {a_cycle.nominal:.0f} of 2 bit fill the port: the projection counts on more than one port.",
    )
    yield Check("the same", "tokens/s", 1e3 / given["token"].nominal, 1e3 / token, "As above.")
    yield Check(
        "the same, two banks", "tokens/s", 1e3 / given["token"].nominal, 2e3 / token, "Twice as many trits a cycle."
    )
    card, rate = platform("d5005"), 1e3 / given["token"]
    weights = layer_trits(billion) * rate
    traffic = weights * given["trit_bits"] * card.memory.energy.figure * PICO
    watts = card.static.figure + traffic
    yield Check(
        "the same, power",
        "W",
        given["watts"].nominal,
        watts,
        f"Static power and the weights' traffic at the published rate. {card.static.value / watts.nominal:.0%} are "
        "the assumed static power, so this says only that it is a Stratix 10 that hardly does anything.",
    )


def _tereffic() -> Iterator[Check]:
    """The layers' weights once a token: from HBM, or from the UltraRAMs that they fill."""
    given = {name: value.figure for name, value in published().tereffic.items()}
    bandwidth = Figure.exact(platform("u280").memory.bandwidth.nominal)
    for model, key in (("2.7B", "hbm_2b7"), ("1.3B", "hbm_1b3")):
        size = layer_trits(Shape.of(PUBLISHED[model])) * given["weight_bits"] * 0.125
        yield Check(
            f"TerEffic, {model} from HBM",
            "tokens/s",
            given[key].nominal,
            bandwidth / size,
            "Weights of 1.6 bit at what the Shuhai benchmark reached on this card. Their rates are 80 % of the peak "
            "for both models, which is also what weights of 2 bit would give at the full peak.",
        )
    cards = round(given["cards"].nominal)
    bits = layer_trits(Shape.of(PUBLISHED["370M"])) * given["weight_bits"]
    blocks = -(-bits.nominal // (cards * given["block_bits"].nominal))
    cycles = bits / (blocks * given["block_width"])
    theirs = given["clock"].nominal * 1e6 / given["on_chip"].nominal
    more = (theirs - cycles.nominal) / PUBLISHED["370M"].layers
    yield Check(
        "TerEffic, 370M on chip",
        "tokens/s",
        given["on_chip"].nominal,
        given["clock"] * 1e6 / cycles,
        f"Two cards, a token passes one after the other; {blocks:.0f} UltraRAMs a card hold its weights and give "
        f"72 bit a cycle each: {cycles.nominal:,.0f} cycles a token. Theirs are {theirs:,.0f}: {more:.0f} more a "
        "layer, room for norms and the pipelines between the products.",
    )


def _kv260() -> Iterator[Check]:
    """Weights at the beat rate times the fraction reached, and the CPU's work, one after the other."""
    given = {name: value.figure for name, value in published().kv260.items()}
    number = {name: round(value.nominal) for name, value in given.items()}
    hidden, wide, kv = number["hidden"], number["intermediate"], number["kv"]
    rows = ((2 * hidden + 2 * kv + 2 * wide, hidden), (hidden, wide))
    body = number["layers"] * sum(outputs * 16 * -(-inputs // 80) for outputs, inputs in rows)
    head = number["vocab"] * 16 * -(-hidden // 80)
    beats = given["engines"] * 16 * given["clock"] * 1e6
    seconds = body / (beats * given["model_fraction"]) + head / (beats * given["head_fraction"]) + given["cpu"] * 1e-3
    missing = 1e3 / given["rate"].nominal - 1e3 * seconds.nominal
    yield Check(
        "bitnet-kv260, BitNet 2B-4T",
        "tokens/s",
        given["rate"].nominal,
        1 / seconds,
        f"{body:,} and {head:,} bytes of weights from the model's shape, at 16 GB/s times the fraction reached, and "
        f"the CPU's parts as its authors measured them, one by one; {missing:.1f} ms of a token are in none of them.",
    )
    board = platform("kv260")
    logic, idle = board.technology_data.logic_energy.figure * PICO, board.technology_data.idle.figure
    working = Figure(1 - idle.high, 1 - idle.nominal, 1 - idle.low, idle.tag)
    fabric = given["luts"] * logic * given["clock"] * 1e6 * working * given["fabric_busy"]
    traffic = (body + head) * 8 * given["rate"] * board.memory.energy.figure * PICO
    share = given["cpu"] * 1e-3 * given["rate"]
    cpu = given["cpu_watts"] * Figure(share.nominal, share.nominal, 1, share.tag)
    over = fabric + traffic + cpu
    why = (
        f"Idle 3.81 W as measured; over it fabric {fabric.nominal:.2f}, memory {traffic.nominal:.2f} and CPU "
        f"{cpu.nominal:.2f} W from this model's constants (high: the CPU polls all the time)."
    )
    yield Check("the same, power", "W", given["watts"].nominal, given["idle"] + over, why)
    yield Check(
        "the same, over idle",
        "W",
        given["watts"].nominal - given["idle"].nominal,
        over,
        "The same without the idle power that went in.",
    )
