# SPDX-License-Identifier: Apache-2.0
"""Addresses on the board and the machine's registers: one table for gateware, driver and documentation.

A byte address of 32 bits: its two highest choose the memory, the registers of its controller where the host has to
do with them, the core's (`hw.register_map`) or the machine's, which are below. Memory is addressed in bytes here and
in words of the memory (beats) in the registers.
"""

from dataclasses import dataclass
from enum import IntEnum

from tritforge.hw.register_map import Access, Field, Register

MEMORY, CONTROLLER, CORE, MACHINE = 0, 0x40000000, 0x80000000, 0xC0000000
"""Where memory, its controller's registers, the core's and the machine's begin."""

MACHINE_ID = 0x4D544952
"""'RITM', little-endian."""
MACHINE_VERSION = 1


class Setting(IntEnum):
    """Words that say what to play; a memory, read and written as it is, without a meaning until START."""

    FIRST_ADDRESS = 0
    FIRST_BEATS = 1
    HEAD_BEATS = 2
    RECORDS_ADDRESS = 3
    RECORDS_STRIDE = 4
    RECORD_BEATS = 5
    GAINS_ADDRESS = 6
    GAINS_BEATS = 7
    BLOCKS = 8
    BODY_ADDRESS = 9
    BODY_BEATS = 10
    RESULT_ADDRESS = 11
    COUNT = 12
    END = 13


LEAST_CAPTURE = 2
"""Cycles that the registers in the pads add, out and back; CAPTURE begins with it."""
SETTINGS = 16
"""Words of the settings' memory."""
SETTINGS_OFFSET = 0x40
STRIDE_BITS, BLOCKS_BITS = 16, 16
"""Of RECORDS_STRIDE and BLOCKS, that count."""
END_ENABLE = 1 << 31
"""With this bit in END, the token in its lower half ends the text."""

_MEANINGS = {
    Setting.FIRST_ADDRESS: "Beat address of the first packet's record: header, constants, and the x words of its row "
    "blocks, one behind the other.",
    Setting.FIRST_BEATS: "Beats of x words of a row block of it: of all its contexts.",
    Setting.HEAD_BEATS: "Beats of header and constants.",
    Setting.RECORDS_ADDRESS: "Beat address of the record of token 0.",
    Setting.RECORDS_STRIDE: f"Beats from a record to the next, below 2**{STRIDE_BITS}.",
    Setting.RECORD_BEATS: "Beats of x words of a row block of these.",
    Setting.GAINS_ADDRESS: "Beat address of the embedding's gain words, row block after row block.",
    Setting.GAINS_BEATS: "Beats of them of a row block.",
    Setting.BLOCKS: f"Row blocks of the embedding, below 2**{BLOCKS_BITS}.",
    Setting.BODY_ADDRESS: "Beat address of what every packet goes on with.",
    Setting.BODY_BEATS: "Beats of it.",
    Setting.RESULT_ADDRESS: "Beat address of the first result; each begins with a beat of its own.",
    Setting.COUNT: "Tokens to make, 1 to 65535.",
    Setting.END: "The token that ends the text, and whether there is one (bit 31).",
}


def setting_offset(setting: Setting) -> int:
    """Byte offset of a setting among the machine's registers."""
    return SETTINGS_OFFSET + 4 * setting


REGISTERS = (
    Register("ID", 0x00, Access.READ_ONLY, "'RITM' in ASCII, little-endian: a machine of tritforge."),
    Register(
        "SHAPE",
        0x04,
        Access.READ_ONLY,
        "What the machine is.",
        (
            Field("VERSION", 0, 8, "Version of this map."),
            Field("BEAT_BYTES_LOG2", 8, 8, "Bytes of a beat, the memory's word, as a power of two."),
            Field("BEATS_LOG2", 16, 8, "Beats of the memory, as a power of two."),
            Field("STARTED_BY_HOST", 24, 1, "The host initialises the memory, through its controller's registers."),
        ),
    ),
    Register("CLOCK", 0x08, Access.READ_ONLY, "The clock in kHz."),
    Register(
        "STATUS",
        0x0C,
        Access.READ_ONLY,
        "What goes on.",
        (
            Field("READY", 0, 1, "The memory has been initialised."),
            Field("PLAYING", 1, 1, "From START until the last result is in the memory."),
        ),
    ),
    Register(
        "COMMAND",
        0x10,
        Access.PULSE,
        "Write 1 to a bit.",
        (
            Field("START", 0, 1, "Play what the settings say; without effect while something is played."),
            Field("STOP", 1, 1, "End with the token that is being made."),
        ),
    ),
    Register("DONE", 0x14, Access.READ_ONLY, "Tokens made since START."),
    Register("CYCLES", 0x18, Access.READ_ONLY, "Cycles of the token before, from its first request to its result."),
    Register(
        "RESULT",
        0x1C,
        Access.READ_ONLY,
        "Where the last result ends.",
        (
            Field("ADDRESS", 0, 28, "The beat behind it."),
            Field("LAST_WORD", 28, 4, "The place of its last word, its cycles, in its last beat."),
        ),
    ),
    Register(
        "CAPTURE",
        0x20,
        Access.READ_WRITE,
        "When what an SDRAM answers is taken from its pins.",
        (
            Field("CYCLES", 0, 2, "Cycles later than the earliest."),
            Field("PHASE", 8, 8, "Steps of the memory's clock against the core's, counted modulo 256."),
        ),
    ),
)
BY_NAME = {register.name: register for register in REGISTERS}


@dataclass(frozen=True)
class Identity:
    """What a machine says of itself.

    beat_bytes : of a word of its memory. memory_bytes : of all of it. clock_hz : of core and memory.
    started_by_host : whether the host initialises the memory.
    """

    beat_bytes: int
    memory_bytes: int
    clock_hz: int
    started_by_host: bool = False


def markdown() -> str:
    """The table of the machine's registers."""
    lines = ["| offset | register | access | meaning |", "|---|---|---|---|"]
    for register in REGISTERS:
        fields = "".join(
            f" `{field.name}` ({field.low + field.width - 1}:{field.low}): {field.description}"
            for field in register.fields
        )
        lines.append(
            f"| 0x{register.offset:02x} | `{register.name}` | {register.access} | {register.description}{fields} |"
        )
    for setting, meaning in _MEANINGS.items():
        lines.append(f"| 0x{setting_offset(setting):02x} | `{setting.name}` | rw | {meaning} |")
    return "\n".join(lines)
