# SPDX-License-Identifier: Apache-2.0
"""Running statistics of the vectors that a group produces: sums of squares and largest magnitudes."""

from collections.abc import Callable

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tritforge.golden.model.formats import GAIN_BITS
from tritforge.hw.lib.floats import code_float
from tritforge.hw.lib.multiplier import Squarer
from tritforge.hw.lib.pipeline import delay, register
from tritforge.hw.lib.width import cut
from tritforge.hw.params import CoreParams
from tritforge.hw.scales.root import TOTAL_BITS
from tritforge.hw.scales.scales import TENSORS, VectorStatistics

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
    params : rows, contexts and widths.

    Attributes
    ----------
    latency, power_latency : cycles from a square to its ``total``, and to its power.
    maximum_latency : cycles from a value to its ``maxima``.
    begin, bias : In, every total becomes ``bias`` (in three cycles) and every maximum 0, while no squares or values
        are under way.
    square_valid, square_context : In, mask of rows that add round(product >> shift)^2 to the context's total; the
        shift is ``square_shift``, or ``epsilon_shift`` with ``second``.
    products : In, for each row, signed wide + `GAIN_BITS`.
    value_valid, value_context, which : In, mask of rows that are compared with the context's maximum ``which``;
        rows are valid from row 0 on.
    values : In, code floats.
    power_valid, power_which, gain_products : In, with ``params.extra_bits`` only and in time with ``products``: mask
        of rows that add round(product >> power_shift)^2 to power ``power_which`` of ``square_context``.
    found : Out, of each context.
    """

    def __init__(self, params: CoreParams) -> None:
        self._params = params
        fmt, rows = params.formats, params.vector_rows
        tree = (rows - 1).bit_length()
        self.power_latency = 1 + Squarer.latency + tree + 2
        self.latency = 1 + self.power_latency + 1
        self.maximum_latency = maximum_latency(params)
        super().__init__(
            {
                "begin": In(1),
                "bias": In(unsigned(TOTAL_BITS)),
                "square_valid": In(rows),
                "square_context": In(params.context_bits),
                "second": In(1),
                "products": In(data.ArrayLayout(signed(fmt.wide_bits + GAIN_BITS), rows)),
                "value_valid": In(rows),
                "value_context": In(params.context_bits),
                "which": In(2),
                "values": In(data.ArrayLayout(code_float(fmt), rows)),
                **(self._power_ports(params) if params.extra_bits else {}),
                "found": Out(VectorStatistics(params)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._totals(m)
        self._maxima(m)
        if self._params.extra_bits:
            self._powers(m)
        return m

    @staticmethod
    def _power_ports(params: CoreParams) -> dict[str, wiring.Member]:
        return {
            "power_valid": In(params.vector_rows),
            "power_which": In(2),
            "gain_products": In(data.ArrayLayout(signed(params.formats.wide_bits + GAIN_BITS), params.vector_rows)),
        }

    def _totals(self, m: Module) -> None:
        params, fmt = self._params, self._params.formats
        kept = [
            Mux(valid, Mux(self.second, _kept(product, fmt.epsilon_shift), _kept(product, fmt.square_shift)), 0)
            for valid, product in zip(self.square_valid, self.products, strict=True)
        ]
        total = self._squares(m, [register(m, part, f"kept_{row}") for row, part in enumerate(kept)], "")
        context = delay(m, self.square_context, self.latency - 2, "square_context", reset_less=True)

        # the bias is a term like the others, the first; in halves, the upper one a cycle later
        total, first = register(m, Mux(self.begin, self.bias, total), "term"), delay(m, self.begin, 1, "first")
        upper_total = delay(m, total[HALF:], 1, "upper_total", reset_less=True)
        later, second = (delay(m, value, 1, name) for name, value in (("later_context", context), ("second", first)))
        for index in range(params.batch):
            now, then = first | _chosen(context, index, params), second | _chosen(later, index, params)
            self._add_up(m, f"_{index}", self.found.total[index], total, upper_total, now, then)

    def _powers(self, m: Module) -> None:
        params = self._params
        kept = [
            Mux(valid, _kept(product, params.formats.power_shift), 0)
            for valid, product in zip(self.power_valid, self.gain_products, strict=True)
        ]
        total = self._squares(m, kept, "power_")
        place = Cat(self.power_which, self.square_context)
        place = delay(m, place, self.power_latency - 2, "power_place", reset_less=True)
        upper_total = delay(m, total[HALF:], 1, "upper_power", reset_less=True)
        later = delay(m, place, 1, "later_power_place", reset_less=True)
        for index in range(params.batch):
            for which in range(TENSORS):
                now, then = ((at[:2] == which) & _chosen(at[2:], index, params) for at in (place, later))
                self._add_up(
                    m, f"_power_{index}_{which}", self.found.powers[index][which], total, upper_total, now, then
                )

    def _squares(self, m: Module, kept: list[Value], name: str) -> Value:
        """Sum over the rows, ``power_latency`` less two cycles later; a bit below the magnitudes is rounded away."""
        squares = []
        for row, part in enumerate(kept):
            m.submodules[f"{name}squarer_{row}"] = squarer = Squarer(MAGNITUDE_BITS)
            # a row without a square adds that of zero, so nothing behind it needs to know
            rounded = Signal(signed(MAGNITUDE_BITS), name=f"{name}rounded_{row}", reset_less=True)
            m.d.sync += rounded.eq(cut((part.as_signed() + 1)[1:], rounded))
            m.d.comb += squarer.value.eq(rounded)
            squares.append(squarer.square[:SQUARE_BITS])
        return _reduce(m, squares, lambda a, b: a + b, f"{name}sum")

    def _add_up(
        self,
        m: Module,
        name: str,
        output: Value,
        total: Value,
        upper_total: Value,
        now: Value | int,
        later: Value | int,
    ) -> None:
        """Add ``total`` to ``output`` when ``now``, its upper half when ``later``."""
        lower, upper, lower_d1 = (
            Signal(HALF, name=f"{part}{name}", reset_less=True) for part in ("lower", "upper", "lower_d1")
        )
        carry = Signal(name=f"carry{name}", reset_less=True)
        m.d.comb += output.eq(Cat(lower_d1, upper))
        with m.If(self.begin):
            m.d.sync += [Cat(lower, upper, carry).eq(0), lower_d1.eq(0)]
        with m.Else():
            m.d.sync += lower_d1.eq(lower)
            with m.If(now):
                m.d.sync += Cat(lower, carry).eq(lower + total[:HALF])
            with m.If(later):
                m.d.sync += upper.eq((Cat(carry, upper) + Cat(carry, upper_total))[1 : HALF + 1])

    def _maxima(self, m: Module) -> None:
        params, latency = self._params, self.maximum_latency
        rows = [Cat(v.mantissa, v.exponent, valid) for v, valid in zip(self.values, self.value_valid, strict=True)]

        def greater(a: Value, b: Value) -> Value:
            """The upper row's if it is valid and greater; if it is valid, so is the lower one."""
            return Cat(Mux(b[-1] & (b[:-1] > a[:-1]), b[:-1], a[:-1]), a[-1])

        found = delay(m, _reduce(m, rows, greater, "largest"), 1, "found")
        largest, valid = found[:-1], found[-1]
        context = delay(m, self.value_context, latency - 2, "value_context", reset_less=True)
        which = delay(m, self.which, latency - 2, "which", reset_less=True)
        # A comparison takes a cycle and the change another. Where the value before changed the same maximum
        # meanwhile, it is that value that counts.
        new = delay(m, largest, 1, "new", reset_less=True)
        # signs of differences: the end of a carry chain is a register's neighbour, a comparison's is not
        rises = delay(m, (new - largest)[-1], 1, "rises", reset_less=True)
        for index in range(params.batch):
            for matrix in range(TENSORS):
                stored = self.found.maxima[index][matrix].as_value()
                name = f"{index}_{matrix}"
                chosen = delay(m, valid & _chosen(context, index, params) & (which == matrix), 1, f"chosen_{name}")
                above = delay(m, (stored - largest)[-1], 1, f"above_{name}", reset_less=True)
                changes, changed = Signal(name=f"changes_{name}"), Signal(name=f"changed_{name}")
                m.d.comb += changes.eq(chosen & Mux(changed, rises, above))
                m.d.sync += changed.eq(changes & ~self.begin)
                with m.If(self.begin):
                    m.d.sync += stored.eq(0)
                with m.Elif(changes):
                    m.d.sync += stored.eq(new)


def maximum_latency(params: CoreParams) -> int:
    """Cycles from a value to its maximum."""
    return 3 + (params.vector_rows - 1).bit_length()


def _kept(product: Value, shift: int) -> Value:
    """The magnitude that is squared and the bit below it, of a signed product."""
    part = product[shift - 1 : shift + MAGNITUDE_BITS]
    return Cat(part, product[-1].replicate(MAGNITUDE_BITS + 1 - len(part)))


def _chosen(context: Value, index: int, params: CoreParams) -> Value | int:
    """Whether ``context`` is ``index``; the only context always is."""
    return context == index if params.batch > 1 else 1


def _reduce(m: Module, values: list[Value], combine: Callable[[Value, Value], Value], name: str) -> Value:
    """Combine a power of two of values in pairs, with a register behind every level."""
    level = 0
    while len(values) > 1:
        level += 1
        values = [
            register(m, combine(a, b), f"{name}_{level}_{pair}")
            for pair, (a, b) in enumerate(zip(values[::2], values[1::2], strict=True))
        ]
    return values[0]
