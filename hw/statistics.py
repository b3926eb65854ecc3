# SPDX-License-Identifier: Apache-2.0
"""Running statistics of the vectors that a group produces: sums of squares and largest magnitudes."""

from collections.abc import Callable

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.floats import code_float
from hw.multiplier import Squarer
from hw.ops import context_bits, delay
from hw.params import CoreParams
from hw.scales import TENSORS, maximum

TOTAL_BITS = 64
MAGNITUDE_BITS = 26
"""Of what is squared, with sign."""
SQUARE_BITS = 51
HALF = 32
"""A total is added up in halves."""


class Statistics(wiring.Component):
    """Sum of squares with its bias, and the largest |v| for each of up to three matrices, of every context.

    The total of 8192 pairs of 25 bit magnitudes and a bias below 2**62 fits 64 bits. Throughput: one row group a
    cycle on either side.

    Parameters
    ----------
    core : lanes, contexts and widths.

    Attributes
    ----------
    latency : cycles from a square to its ``total``.
    maximum_latency : cycles from a value to its ``maxima``.
    begin, bias : In, every total becomes ``bias`` and every maximum 0, while no squares or values are under way.
    square_valid, square_context : In, mask of lanes that add round(product >> shift)^2 to the context's total; the
        shift is ``square_shift``, or ``epsilon_shift`` with ``second``.
    products : In, for each lane, signed wide + 18.
    value_valid, value_context, which : In, mask of lanes that are compared with the context's maximum ``which``;
        lanes are valid from lane 0 on.
    values : In, code floats.
    total, maxima : Out, of each context.
    """

    def __init__(self, core: CoreParams) -> None:
        self._core = core
        fmt, lanes = core.formats, core.vector_rows
        tree = (lanes - 1).bit_length()
        self.latency = 1 + Squarer.latency + tree + 2
        self.maximum_latency = 3 + tree
        super().__init__(
            {
                "begin": In(1),
                "bias": In(unsigned(TOTAL_BITS)),
                "square_valid": In(lanes),
                "square_context": In(context_bits(core)),
                "second": In(1),
                "products": In(data.ArrayLayout(signed(fmt.wide_bits + 18), lanes)),
                "value_valid": In(lanes),
                "value_context": In(context_bits(core)),
                "which": In(2),
                "values": In(data.ArrayLayout(code_float(fmt), lanes)),
                "total": Out(data.ArrayLayout(unsigned(TOTAL_BITS), core.batch)),
                "maxima": Out(data.ArrayLayout(data.ArrayLayout(maximum(fmt), TENSORS), core.batch)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._totals(m)
        self._maxima(m)
        return m

    def _totals(self, m: Module) -> None:
        core, fmt = self._core, self._core.formats
        squares = []
        for lane, product in enumerate(self.products):
            m.submodules[f"squarer_{lane}"] = squarer = Squarer(MAGNITUDE_BITS)
            # a lane without a square adds zero, so nothing behind it needs to know
            kept = [product[shift - 1 : shift + MAGNITUDE_BITS] for shift in (fmt.square_shift, fmt.epsilon_shift)]
            kept = [Cat(part, product[-1].replicate(MAGNITUDE_BITS + 1 - len(part))) for part in kept]
            shifted = Mux(self.square_valid[lane], Mux(self.second, *reversed(kept)), 0).as_signed()
            rounded = Signal(signed(MAGNITUDE_BITS), name=f"rounded_{lane}", reset_less=True)
            m.d.sync += rounded.eq((shifted + 1)[1:])
            m.d.comb += squarer.value.eq(rounded)
            squares.append(squarer.square[:SQUARE_BITS])
        total = _reduce(m, squares, lambda a, b: a + b, "sum")
        context = delay(m, self.square_context, self.latency - 2, "square_context", reset_less=True)

        # in halves, the upper one a cycle later
        upper_total = delay(m, total[HALF:], 1, "upper_total", reset_less=True)
        later = delay(m, context, 1, "later_context", reset_less=True)
        for index in range(core.batch):
            lower, upper, shown = (
                Signal(HALF, name=f"{name}_{index}", reset_less=True) for name in ("lower", "upper", "shown")
            )
            carry = Signal(name=f"carry_{index}", reset_less=True)
            m.d.comb += self.total[index].eq(Cat(shown, upper))
            with m.If(self.begin):
                m.d.sync += [Cat(lower, upper, carry).eq(self.bias), shown.eq(self.bias)]
            with m.Else():
                m.d.sync += shown.eq(lower)
                with m.If(_chosen(context, index, core)):
                    m.d.sync += Cat(lower, carry).eq(lower + total[:HALF])
                with m.If(_chosen(later, index, core)):
                    m.d.sync += upper.eq((Cat(carry, upper) + Cat(carry, upper_total))[1:])

    def _maxima(self, m: Module) -> None:
        core, latency = self._core, self.maximum_latency
        lanes = [Cat(v.mantissa, v.exponent, valid) for v, valid in zip(self.values, self.value_valid, strict=True)]

        def greater(a: Value, b: Value) -> Value:
            """The upper lane's if it is valid and greater; if it is valid, so is the lower one."""
            return Cat(Mux(b[-1] & (b[:-1] > a[:-1]), b[:-1], a[:-1]), a[-1])

        found = delay(m, _reduce(m, lanes, greater, "largest"), 1, "found")
        largest, valid = found[:-1], found[-1]
        context = delay(m, self.value_context, latency - 2, "value_context", reset_less=True)
        which = delay(m, self.which, latency - 2, "which", reset_less=True)
        # A comparison takes a cycle and the change another. Where the value before changed the same maximum
        # meanwhile, it is that value that counts.
        new = delay(m, largest, 1, "new", reset_less=True)
        # signs of differences: the end of a carry chain is a register's neighbour, a comparison's is not
        rises = delay(m, (new - largest)[-1], 1, "rises", reset_less=True)
        for index in range(core.batch):
            for matrix in range(TENSORS):
                stored = self.maxima[index][matrix].as_value()
                name = f"{index}_{matrix}"
                chosen = delay(m, valid & _chosen(context, index, core) & (which == matrix), 1, f"chosen_{name}")
                above = delay(m, (stored - largest)[-1], 1, f"above_{name}", reset_less=True)
                changes, changed = Signal(name=f"changes_{name}"), Signal(name=f"changed_{name}")
                m.d.comb += changes.eq(chosen & Mux(changed, rises, above))
                m.d.sync += changed.eq(changes & ~self.begin)
                with m.If(self.begin):
                    m.d.sync += stored.eq(0)
                with m.Elif(changes):
                    m.d.sync += stored.eq(new)


def _chosen(context: Value, index: int, core: CoreParams) -> Value | int:
    """Whether ``context`` is ``index``; the only context always is."""
    return context == index if core.batch > 1 else 1


def _reduce(m: Module, values: list[Value], combine: Callable[[Value, Value], Value], name: str) -> Value:
    """Combine a power of two of values in pairs, with a register behind every level."""
    level = 0
    while len(values) > 1:
        level += 1
        values = [
            _register(m, combine(a, b), f"{name}_{level}_{pair}")
            for pair, (a, b) in enumerate(zip(values[::2], values[1::2], strict=True))
        ]
    return values[0]


def _register(m: Module, value: Value, name: str) -> Signal:
    register = Signal(value.shape(), name=name, reset_less=True)
    m.d.sync += register.eq(value)
    return register
