# SPDX-License-Identifier: Apache-2.0
"""The registers of the AXI4-Lite port: one table for gateware, documentation, C header and driver."""

from dataclasses import dataclass
from enum import StrEnum

from tritforge.golden.model.activations import THRESHOLD_BITS
from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import STREAM_VERSION, Status

CORE_ID = 0x54495254
"""'TRIT', little-endian."""
CORE_VERSION = 2 << 16 | 1


class Access(StrEnum):
    """What reads and writes of a register do; writing a read-only register answers SLVERR."""

    READ_ONLY = "ro"
    READ_WRITE = "rw"
    PULSE = "w1p"
    CLEAR = "w1c"


@dataclass(frozen=True)
class Field:
    """``width`` bits of a register from bit ``low`` on."""

    name: str
    low: int
    width: int
    description: str

    @property
    def mask(self) -> int:
        """The field's bits in the register."""
        return ((1 << self.width) - 1) << self.low


@dataclass(frozen=True)
class Register:
    """A 32 bit register at a byte offset."""

    name: str
    offset: int
    access: Access
    description: str
    fields: tuple[Field, ...] = ()

    def field(self, name: str) -> Field:
        """The field of that name; KeyError if there is none."""
        return {field.name: field for field in self.fields}[name]

    def word(self, **values: int) -> int:
        """The register with so much in its fields."""
        return sum(value << self.field(name).low for name, value in values.items())


def _error(status: Status) -> Field:
    return Field(status.name, status.value, 1, f"A packet ended with status {status.name} ({status.value}).")


_RO, _RW = Access.READ_ONLY, Access.READ_WRITE


@dataclass(frozen=True)
class Counter:
    """A counter: its name, the offset of its first register, what it counts as a signal and in words.

    A long one has 64 bits in two registers; one that is not has 32 and stays at its largest value.
    """

    name: str
    offset: int
    event: str
    description: str
    long: bool = True

    @property
    def registers(self) -> tuple[Register, ...]:
        """Lower half first."""
        if not self.long:
            return (Register(self.name, self.offset, _RO, f"{self.description}; stays at its largest value."),)
        low = f"{self.description}. Lower half; reading it latches the upper one."
        high = "Upper half, as it was when the lower half was last read."
        return (
            Register(f"{self.name}_LO", self.offset, _RO, low),
            Register(f"{self.name}_HI", self.offset + 4, _RO, high),
        )


COUNTERS: tuple[Counter, ...] = (
    Counter("CYCLES", 0x080, "busy", "Cycles with a packet in flight: the sum of the next six"),
    Counter("BEATS", 0x088, "beat", "Beats accepted"),
    Counter(
        "REPEATS",
        0x090,
        "repeat",
        "Cycles in which the array took the offered beat for a context that was not its last",
    ),
    Counter("STARVED", 0x098, "starved", "Cycles in which the core was ready and no beat was offered"),
    Counter(
        "DRAIN",
        0x0A0,
        "drain",
        "Cycles in which the stream waited for rows to drain or for room among the side words",
    ),
    Counter(
        "DEPENDENCY",
        0x0A8,
        "dependency",
        "Cycles in which the stream waited for activations or for the check of the header",
    ),
    Counter("RESULT", 0x0B0, "result", "Cycles between the last beat and the end of the result"),
    Counter("TOKENS", 0x0B8, "tokens_done", "Contexts of packets that ended well", long=False),
    Counter("SATURATIONS", 0x0BC, "saturated", "Cycles with a saturated result", long=False),
)
"""In every cycle, what the event says is added: one bit, or `tokens_done`, a number of contexts."""

LINK_COUNTERS: tuple[Counter, ...] = (
    Counter(
        "EXCHANGE",
        0x0C0,
        "exchange",
        "Cycles in which the stream waited for other cores of the ring; there only in a core with a link, where "
        "CYCLES is the sum of seven",
    ),
)

REGISTERS: tuple[Register, ...] = (
    Register("ID", 0x000, _RO, "'TRIT' in little-endian ASCII."),
    Register(
        "VERSION",
        0x004,
        _RO,
        "Version of this register map.",
        (
            Field("MINOR", 0, 16, "Additions that older drivers need not know."),
            Field("MAJOR", 16, 16, "Changes that drivers must know."),
        ),
    ),
    Register(
        "GEOMETRY",
        0x008,
        _RO,
        "Equals word 1 of the header of every packet that the core accepts.",
        (
            Field("STREAM_VERSION", 0, 8, "Version of the packet layout."),
            Field("CODE", 8, 8, "Trit code."),
            Field("ELEMENT_BYTES", 16, 8, "Bytes of a beat that belong to one output row."),
            Field("LOG2_LANES", 24, 8, "Logarithm of the bytes of a beat."),
        ),
    ),
    Register("LIMIT_HIDDEN", 0x00C, _RO, "Largest hidden size."),
    Register("LIMIT_INTERMEDIATE", 0x010, _RO, "Largest intermediate size."),
    Register("LIMIT_LAYERS", 0x014, _RO, "Most layers."),
    Register("LIMIT_VOCAB", 0x018, _RO, "Largest vocabulary."),
    Register("LIMIT_BATCH", 0x01C, _RO, "Most contexts of a packet, and number of slots that keep a state."),
    Register(
        "FORMATS",
        0x020,
        _RO,
        "Number formats and rows of the vector path.",
        (
            Field("WIDE_BITS", 0, 8, "Width of residual, activations and state."),
            Field("FRAC", 8, 8, "Fraction bits of activations and state."),
            Field("MANTISSA", 16, 8, "Bits of every significand."),
            Field("VECTOR_ROWS", 24, 8, "Rows that it takes a cycle; decides the layout of the state window."),
        ),
    ),
    Register(
        "ACTIVATIONS",
        0x024,
        _RO,
        "How the inputs of ternary products are coded.",
        (Field("BITS", 0, 8, "Bits of a code; those beyond eight are for outliers."),),
    ),
    Register(
        "CONTROL",
        0x030,
        Access.PULSE,
        "Commands; reads as zero.",
        (
            Field("ABORT", 0, 1, "End the packet in flight with status ABORTED."),
            Field("CLEAR", 1, 1, "Set all counters to zero."),
            Field("HELLO", 2, 1, "In a core with a link, between packets: say hello to the next core of the ring."),
        ),
    ),
    Register(
        "STATUS",
        0x034,
        _RO,
        "What the core is doing.",
        (
            Field("BUSY", 0, 1, "A packet is in flight."),
            Field(
                "TORN", 8, 8, "Mask of slots whose state is not that of a token boundary, since a packet ended early."
            ),
        ),
    ),
    Register(
        "ERRORS",
        0x038,
        Access.CLEAR,
        "Sticky, one bit per status of a packet.",
        tuple(_error(status) for status in Status if status is not Status.OK),
    ),
    Register(
        "STATE_ADDRESS",
        0x040,
        _RW,
        "Word of the state window: slot * LIMIT_LAYERS * LIMIT_HIDDEN + layer * stride + element, where the stride "
        "is the hidden size rounded up to a multiple of VECTOR_ROWS. Past the end of the state: SLVERR.",
    ),
    Register(
        "STATE_DATA",
        0x044,
        _RW,
        "The addressed state word, a sign-extended wide number; each access moves STATE_ADDRESS on. SLVERR, "
        "without effect, while the core is busy, past the end of the state and for numbers out of range.",
    ),
    Register(
        "OUTLIERS",
        0x048,
        _RW,
        "When codes extend beyond eight bits; to be changed between packets only. In a core of eight bits it reads "
        "as zero and ignores writes.",
        (
            Field(
                "THRESHOLD",
                0,
                THRESHOLD_BITS,
                "From how many sixteenths of a vector's root mean square on an element is an outlier; 0: none is.",
            ),
        ),
    ),
    *(entry for counter in COUNTERS for entry in counter.registers),
)


LINK_REGISTERS: tuple[Register, ...] = (
    Register(
        "LINK",
        0x04C,
        _RO,
        "Where a core with a link is in its ring; there only in such a core.",
        (
            Field("INDEX", 0, 4, "Number of the core, as it is strapped."),
            Field("LAST", 4, 4, "Number of the last core, as it is strapped."),
            Field("HEARD", 8, 4, "Number of the core before it, as that one said in its last hello."),
            Field("HEARD_VALID", 12, 1, "It has said hello since the reset."),
        ),
    ),
    *(entry for counter in LINK_COUNTERS for entry in counter.registers),
)


def registers_of(params: CoreParams) -> tuple[Register, ...]:
    """The registers of a core."""
    return REGISTERS + (LINK_REGISTERS if params.linked else ())


def counters_of(params: CoreParams) -> tuple[Counter, ...]:
    """The counters of a core."""
    return COUNTERS + (LINK_COUNTERS if params.linked else ())


def register(name: str) -> Register:
    """The register of that name; KeyError if there is none."""
    return {entry.name: entry for entry in REGISTERS + LINK_REGISTERS}[name]


def geometry_word(params: CoreParams) -> int:
    """What a packet and its core must agree on: register GEOMETRY and word 1 of a header."""
    return register("GEOMETRY").word(
        STREAM_VERSION=STREAM_VERSION,
        CODE=params.trit_code.number,
        ELEMENT_BYTES=params.element_bytes,
        LOG2_LANES=params.lanes.bit_length() - 1,
    )


def constants(params: CoreParams) -> dict[str, int]:
    """Values of the constant registers of a core, by name."""
    fmt = params.formats
    return {
        "ID": CORE_ID,
        "VERSION": CORE_VERSION,
        "GEOMETRY": geometry_word(params),
        **{f"LIMIT_{name.upper()}": limit for name, limit in params.limits.items()},
        "LIMIT_BATCH": params.batch,
        "FORMATS": register("FORMATS").word(
            WIDE_BITS=fmt.wide_bits, FRAC=fmt.frac, MANTISSA=fmt.mantissa, VECTOR_ROWS=params.vector_rows
        ),
        "ACTIVATIONS": params.act_bits,
    }


_ACCESS_TEXT = {
    Access.READ_ONLY: "read only",
    Access.READ_WRITE: "read and write",
    Access.PULSE: "writing 1 to a bit gives a command",
    Access.CLEAR: "writing 1 to a bit clears it",
}


def markdown() -> str:
    """The register map as a Markdown page."""
    lines = [
        "# Registers",
        "",
        "Generated from `hw/register_map.py`. AXI4-Lite, 32 bit data, 12 bit byte addresses. Unknown",
        "addresses, writes to read-only registers and writes of less than a whole word answer SLVERR and",
        "change nothing.",
        "",
        "| offset | register | access | |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `0x{r.offset:03X}` | [{r.name}](#{r.name.lower()}) | {r.access} | {r.description} |"
        for r in REGISTERS + LINK_REGISTERS
    ]
    for entry in REGISTERS + LINK_REGISTERS:
        lines += [
            "",
            f"## {entry.name}",
            "",
            f"`0x{entry.offset:03X}`, {_ACCESS_TEXT[entry.access]}. {entry.description}",
        ]
        if entry.fields:
            lines += ["", "| bits | field | |", "|---|---|---|"]
            lines += [f"| {_bits(field)} | {field.name} | {field.description} |" for field in entry.fields]
    return "\n".join(lines) + "\n"


def _bits(field: Field) -> str:
    high = field.low + field.width - 1
    return str(high) if field.width == 1 else f"{high}:{field.low}"


def c_header() -> str:
    """The register map as a C header."""
    lines = [
        "/* Generated from hw/register_map.py, do not edit. */",
        "/* SPDX-License-Identifier: Apache-2.0 */",
        "#ifndef TRITFORGE_REGISTERS_H",
        "#define TRITFORGE_REGISTERS_H",
        "",
        f"#define TRITFORGE_ID_VALUE 0x{CORE_ID:08X}u",
        f"#define TRITFORGE_VERSION_VALUE 0x{CORE_VERSION:08X}u",
    ]
    for entry in REGISTERS + LINK_REGISTERS:
        lines += [
            "",
            f"/* {entry.access}: {entry.description} */",
            f"#define TRITFORGE_{entry.name} 0x{entry.offset:03X}u",
        ]
        for field in entry.fields:
            stem = f"TRITFORGE_{entry.name}_{field.name}"
            lines += [f"#define {stem}_SHIFT {field.low}u", f"#define {stem}_MASK 0x{field.mask:08X}u"]
    return "\n".join([*lines, "", "#endif"]) + "\n"
