# SPDX-License-Identifier: Apache-2.0
"""Proofs by induction, from the reset on and with any inputs, that a unit's streams keep the rule of theirs.

What is offered stays as it is until it is taken: `valid` does not fall and the payload does not change. It is assumed
of the streams that the unit receives and shown of those that it gives, by Yosys' SAT solver: unbounded, if the
induction ends.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from amaranth.hdl import Value
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from tritforge.rtl_gen.tools.yowasp import run
from tritforge.rtl_gen.verilog.emit import emit_verilog

STEPS = 12
"""Of an induction at most."""
TOP, INSTANCE = "unit", "unit_under_proof"


@dataclass(frozen=True)
class Port:
    """A port of the emitted unit."""

    name: str
    width: int
    given: bool
    """By the unit."""


@dataclass(frozen=True)
class Channel:
    """A valid, a ready, and what goes with them."""

    valid: Port
    ready: Port
    payload: list[Port]


def ports(unit: wiring.Component) -> list[Port]:
    """All of a unit; those of no bits are none."""
    found = []
    for path, member, value in unit.signature.flatten(unit):
        width = len(Value.cast(value))
        if width:
            found.append(Port("__".join(map(str, path)), width, member.flow is Out))
    return found


def channels(found: Sequence[Port]) -> Iterator[Channel]:
    """Streams, AXI4-Streams and channels of AXI: what begins as their valid does goes with it."""
    names = {port.name: port for port in found}
    for valid in found:
        start = valid.name.removesuffix("valid")
        ready = names.get(f"{start}ready")
        if start != valid.name and ready is not None:
            yield Channel(
                valid,
                ready,
                [
                    port
                    for port in found
                    if port.name.startswith(start) and port.given == valid.given and port not in (valid, ready)
                ],
            )


def harness(unit: wiring.Component) -> str:
    """Verilog around the unit: reset first, then anything; a rule for each channel."""
    found = ports(unit)
    lines = ["module harness(input clk"]
    lines += [f"  , input [{port.width - 1}:0] {port.name}" for port in found if not port.given]
    lines += [");", *(f"  wire [{port.width - 1}:0] {port.name};" for port in found if port.given)]
    joined = "".join(f", .{port.name}({port.name})" for port in found)
    lines += [
        "  reg started = 0;",
        "  wire rst = !started;",
        "  always @(posedge clk) started <= 1;",
        f"  {TOP} {INSTANCE}(.clk(clk), .rst(rst){joined});",
    ]
    for number, channel in enumerate(channels(found)):
        offer = "{" + ", ".join(port.name for port in (channel.valid, *channel.payload)) + "}"
        width = 1 + sum(port.width for port in channel.payload)
        given = channel.valid.given
        lines += [
            f"  reg waits{number} = 0; reg [{width - 1}:0] was{number};",
            "  always @(posedge clk) begin",
            f"    waits{number} <= !rst && {channel.valid.name} && !{channel.ready.name}; was{number} <= {offer};",
            "  end",
            f"  always @* if (waits{number}) {'assert' if given else 'assume'}({offer} == was{number});",
        ]
    return "\n".join([*lines, "endmodule"]) + "\n"


class Proof:
    """A unit in its harness, read and made of gates."""

    def __init__(self, unit: wiring.Component, folder: Path) -> None:
        self._folder = folder
        self._given = [number for number, channel in enumerate(channels(ports(unit))) if channel.valid.given]
        files = [file.name for file in emit_verilog(unit, TOP, folder)]
        (folder / "harness.sv").write_text(harness(unit))
        self._run(
            f"read_verilog -sv -formal harness.sv {' '.join(files)}",
            *("hierarchy -top harness", "proc", "flatten", "chformal -lower", "memory_map", "opt -full"),
            "write_rtlil base.il",
        )

    def holds(self, *changes: str) -> bool | None:
        """Whether the rules hold, of the unit or of one that Yosys' commands have changed; None for no answer."""
        induction = f"sat -verify -tempinduct -set-assumes -prove-asserts -seq 1 -maxsteps {STEPS} harness"
        if self._run("read_rtlil base.il", *changes, induction):
            return True
        return False if any("model found for base case: FAIL" in line for line in self.said) else None

    def waits(self, within: int = 12) -> list[bool]:
        """Of each channel that the unit gives, whether it can wait for its ready, so that the rule says something."""
        sat = f"sat -verify -set-assumes -set-init-zero -seq {within}"
        return [
            self._run("read_rtlil base.il", f"{sat} -set-at {within} waits{number} 1 harness")
            for number in self._given
        ]

    def mutants(self, count: int, part: str, seed: int = 1) -> list[str]:
        """Changes of one bit, as commands; of the unit or a part of it, not of what stands around it and sees its
        faults."""
        self._run(
            "read_rtlil base.il", f"mutate -list {count} -seed {seed} -o mutants.txt harness/c:*{INSTANCE}*{part}*"
        )
        found = (self._folder / "mutants.txt").read_text().splitlines()
        if not found or not all(INSTANCE in line.partition("-cell ")[2].split()[0] for line in found):
            raise AssertionError("The mutants are not of the unit.")
        return found

    def _run(self, *commands: str) -> bool:
        (self._folder / "script.ys").write_text("\n".join(commands) + "\n")
        status, self.said = run("yosys", ["-s", "script.ys"], self._folder)
        return status == 0
