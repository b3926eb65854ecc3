# SPDX-License-Identifier: Apache-2.0
"""Moves flip-flops into the registers that ECP5 multipliers and block RAMs have, which Yosys leaves empty.

Without them every product passes through the multiplier and the fabric in one cycle, and block RAM is far slower.
Taken are, with exactly the same behaviour:

* the flip-flops in front of both operands of a MULT18X18D (nextpnr has no timing for one of them registered): all
  bits of an operand from flip-flops of the same clock, enable and reset, or 0; one with other loads stays, too;
* those behind all used bits of its product, each the only load of its bit;
* those behind all used bits of a read port of block RAM, without reset, since the reset of a port clears more.

The blocks' registers power up as 0 and are reset to 0, reset before enable, as flip-flops that Yosys resets to 0 are.
They count on the rising edge and have enables and resets active high; what is inverted gets a table of its own.
``tritforge check blocks`` prints which blocks a netlist has and why registers stayed outside.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

COUNT = "registers_inside"
"""Attribute of a cell: how many flip-flops were moved into it."""


Net = int | str | None
"""Its number in the netlist, a constant's digit, or None where nothing is connected."""


class Stay(Exception):
    """Why flip-flops stay outside."""


@dataclass(frozen=True)
class Control:
    """What a register listens to: nets, and whether it does when they are low; a net of None is tied off."""

    clock: Net
    falling: bool
    enable: int | None
    enable_low: bool
    reset: int | None
    reset_low: bool


@dataclass(frozen=True)
class Finding:
    """A place for registers at a block: flip-flops moved into it, or why none were."""

    cell: str
    place: str
    moved: int
    reason: str


def pack(design: dict[str, Any]) -> list[Finding]:
    """Move flip-flops into the blocks of all modules of a design.

    Parameters
    ----------
    design
        Yosys' JSON netlist after ``synth_ecp5``; changed in place.

    Returns
    -------
    list of Finding
        For every operand pair, product and used read port.
    """
    findings: list[Finding] = []
    for module in design["modules"].values():
        if not {"blackbox", "whitebox"} & module.get("attributes", {}).keys():
            findings += _Netlist(module).pack()
    return findings


class _Netlist:
    """A module with its drivers and loads.

    Attributes
    ----------
    driver : cell and port that drive a net.
    loads : cells and ports that a net drives; a cell of None is the module itself.
    """

    def __init__(self, module: dict[str, Any]) -> None:
        self.module, self.cells = module, module["cells"]
        self.driver: dict[Net, tuple[str, str]] = {}
        self.loads: dict[Net, list[tuple[str | None, str]]] = defaultdict(list)
        for name, cell in self.cells.items():
            for port, bits in cell["connections"].items():
                for bit in bits:
                    if cell["port_directions"][port] != "output":
                        self.loads[bit].append((name, port))
                    else:
                        self.driver[bit] = (name, port)
        for name, port in module["ports"].items():
            for bit in port["bits"]:
                if port["direction"] != "input":
                    self.loads[bit].append((None, name))
        self.highest = max((bit for bit in [*self.driver, *self.loads] if isinstance(bit, int)), default=1)
        self.inverted: dict[int, int] = {}
        self.gone: set[Net] = set()
        self.renamed: dict[str, str] = {}

    def pack(self) -> list[Finding]:
        """Move what can be moved."""
        findings = []
        for name in [n for n, c in self.cells.items() if c["type"] in ("MULT18X18D", "DP16KD")]:
            for place, move in self._places(name):
                try:
                    findings.append(Finding(name, place, move(), ""))
                except Stay as stay:
                    findings.append(Finding(name, place, 0, str(stay)))
        for old, new in self.renamed.items():
            self.cells[new] = self.cells.pop(old)
        for net in self.module["netnames"].values():
            net["bits"] = ["x" if bit in self.gone else bit for bit in net["bits"]]
        return findings

    def _places(self, name: str) -> Iterator[tuple[str, Callable[[], int]]]:
        """Places for registers at a block, each with what moves flip-flops there."""
        cell = self.cells[name]
        if cell["type"] == "MULT18X18D":
            yield "product", partial(self._product, name)
            yield "operands", partial(self._operands, name)
        elif int(cell["parameters"]["DATA_WIDTH_A"], 2) == 36:  # one port writes, the other reads
            yield "port B", partial(self._read_port, name, "AB", "B")
        else:
            for port in "AB":
                if self._used(name, f"DO{port}"):
                    yield f"port {port}", partial(self._read_port, name, port, port)

    def _operands(self, name: str) -> int:
        cell, sides = self.cells[name], {}
        for side in "AB":
            flops = {}
            for bit in (f"{side}{i}" for i in range(18)):
                net = self._net(name, bit)
                if net == "1":
                    raise Stay(f"{bit} is always 1")
                if isinstance(net, int):
                    flops[bit] = self._flop_before(net, bit)
            if not flops:
                raise Stay(f"{side} is constant")
            sides[side] = (flops, self._common(flops))
        self._same_clock(name, *(control for _, control in sides.values()))
        taken = set()
        for number, (side, (flops, control)) in enumerate(sides.items(), 1):
            for bit, flop in flops.items():
                self._connect(name, bit, self.cells[flop]["connections"]["DI"][0])
            self._dsp_register(name, f"INPUT{side}", control, number)
            taken |= set(flops.values())
        cell["attributes"][COUNT] = cell["attributes"].get(COUNT, 0) + len(taken)
        for flop in taken:
            if not self.loads[self.cells[flop]["connections"]["Q"][0]]:
                self._remove(flop)
        return len(taken)

    def _product(self, name: str) -> int:
        cell = self.cells[name]
        flops = self._flops_behind(name, "P")
        control = self._common(flops)
        self._same_clock(name, control)
        first = next(iter(flops.values()))
        self._swallow(name, flops)
        # nextpnr writes no other enable and reset for the output register
        self._dsp_register(name, "OUTPUT", control, 0)
        near = first.rpartition("_TRELLIS_FF_Q")[0]
        if near and f"{near}_MULT18X18D_P" not in self.cells:
            self.renamed[name] = f"{near}_MULT18X18D_P"
        cell["attributes"][COUNT] = cell["attributes"].get(COUNT, 0) + len(flops)
        return len(flops)

    def _read_port(self, name: str, halves: str, port: str) -> int:
        cell = self.cells[name]
        flops = self._flops_behind(name, *(f"DO{half}" for half in halves))
        control, clock = self._common(flops), f"CLK{port}"
        falling = cell["parameters"].get(f"{clock}MUX", clock) == "INV"
        if (control.clock, control.falling) != (self._net(name, clock), falling):
            raise Stay("the flip-flops have another clock than the port")
        if control.reset is not None:
            raise Stay("the flip-flops have a reset")
        if self._net(name, f"RST{port}") not in ("0", None):
            raise Stay("the port has a reset")
        self._swallow(name, flops)
        for half in halves:
            enable = f"OCE{half}"
            cell["parameters"] |= {
                f"REGMODE_{half}": "OUTREG",
                f"{enable}MUX": "INV" if control.enable_low else enable,
            }
            self._connect(name, enable, "1" if control.enable is None else control.enable)
        cell["attributes"][COUNT] = cell["attributes"].get(COUNT, 0) + len(flops)
        return len(flops)

    def _dsp_register(self, name: str, register: str, control: Control, number: int) -> None:
        """Switch on a register of a multiplier, with the enable and reset inputs of a number."""
        enable = self._active_high(control.enable, control.enable_low, "1")
        reset = self._active_high(control.reset, control.reset_low, "0")
        for port, net in (("CLK0", control.clock), (f"CE{number}", enable), (f"RST{number}", reset)):
            self._connect(name, port, net)
        self.cells[name]["parameters"] |= {
            f"REG_{register}_CLK": "CLK0",
            f"REG_{register}_CE": f"CE{number}",
            f"REG_{register}_RST": f"RST{number}",
            "RESETMODE": "SYNC",
            "GSR": "DISABLED",
        }

    def _same_clock(self, name: str, *controls: Control) -> None:
        """The registers of a multiplier share its first clock."""
        clocks = {control.clock for control in controls}
        if self._net(name, "CLK0") is not None:
            clocks.add(self._net(name, "CLK0"))
        if len(clocks) > 1:
            raise Stay("the registers have different clocks")
        if any(control.falling for control in controls):
            raise Stay("the flip-flops count on the falling edge")

    def _flop_before(self, net: int, bit: str) -> str:
        name, port = self.driver.get(net, (None, ""))
        if name is None:
            raise Stay(f"{bit} comes from a port of the module")
        if self.cells[name]["type"] != "TRELLIS_FF" or port != "Q":
            raise Stay(f"{bit} comes from {name}, no flip-flop")
        return name

    def _flops_behind(self, name: str, *ports: str) -> dict[str, str]:
        """The flip-flop behind each used bit of ports."""
        flops = {}
        for bit in (bit for port in ports for bit in self._used(name, port)):
            loads = self.loads[self._net(name, bit)]
            if len(loads) > 1:
                raise Stay(f"{bit} has {len(loads)} loads")
            (load, at) = loads[0]
            if load is None or self.cells[load]["type"] != "TRELLIS_FF" or at != "DI":
                raise Stay(f"{bit} goes to {load or 'a port of the module'}, no flip-flop's data")
            flops[bit] = load
        if not flops:
            raise Stay("it is not used")
        return flops

    def _used(self, name: str, port: str) -> list[str]:
        bits = (f"{port}{i}" for i in range(36))
        return [bit for bit in bits if self.loads.get(self._net(name, bit))]

    def _common(self, flops: dict[str, str]) -> Control:
        """What all flip-flops listen to."""
        controls = Counter(self._control(flop) for flop in flops.values())
        if len(controls) > 1:
            usual = controls.most_common(1)[0][0]
            bit, flop = next((b, f) for b, f in flops.items() if self._control(f) != usual)
            raise Stay(f"{flop} at {bit} has another clock, enable or reset than most bits")
        return next(iter(controls))

    def _control(self, flop: str) -> Control:
        cell = self.cells[flop]
        given = {"GSR": "ENABLED", "CEMUX": "CE", "CLKMUX": "CLK", "LSRMUX": "LSR", "SRMODE": "LSR_OVER_CE"}
        given |= {"REGSET": "RESET", "LSRMODE": "LSR"}
        given |= {name: value.strip() for name, value in cell["parameters"].items()}
        if given["REGSET"] != "RESET":
            raise Stay(f"{flop} begins as 1 or is set")
        if given["LSRMODE"] != "LSR" or given["GSR"] == "ENABLED":
            raise Stay(f"{flop} is preloaded or has the global reset")
        enable, enable_low = self._listens(flop, "CE", given["CEMUX"], "1")
        reset, reset_low = self._listens(flop, "LSR", given["LSRMUX"], "0")
        if reset is not None and given["SRMODE"] != "LSR_OVER_CE":
            raise Stay(f"{flop} has an asynchronous reset")
        return Control(self._net(flop, "CLK"), given["CLKMUX"] == "INV", enable, enable_low, reset, reset_low)

    def _listens(self, flop: str, port: str, mux: str, idle: str) -> tuple[int | None, bool]:
        """Net of an enable or reset, None if it always has its ``idle`` value, and whether it is active low."""
        net = mux if mux in "01" else self._net(flop, port)
        net = idle if net is None else net
        if isinstance(net, int):
            return net, mux == "INV"
        if (net == idle) == (mux == "INV"):
            raise Stay(f"{flop} has a constant {port}")
        return None, False

    def _active_high(self, net: int | None, low: bool, idle: str) -> int | str:
        """The net with the level that multipliers want; its table once more, inverted, if it has one."""
        if net is None or not low:
            return idle if net is None else net
        if net not in self.inverted:
            name, _ = self.driver.get(net, (None, ""))
            self.highest += 1
            self.inverted[net] = self.highest
            if name and self.cells[name]["type"] == "LUT4":
                init = int(str(self.cells[name]["parameters"]["INIT"]), 2)
                inputs = {port: self._net(name, port) for port in "ABCD"}
            else:
                name, init, inputs = name or f"net{net}", 0xAAAA, {"A": net, "B": "0", "C": "0", "D": "0"}
            lut = {
                "hide_name": 0,
                "type": "LUT4",
                "parameters": {"INIT": f"{init ^ 0xFFFF:016b}"},
                "attributes": {},
                "port_directions": {"A": "input", "B": "input", "C": "input", "D": "input", "Z": "output"},
                "connections": {port: [bit] for port, bit in inputs.items()} | {"Z": [self.highest]},
            }
            new = f"{name}_inverted"
            while new in self.cells:
                new += "_"
            self.cells[new] = lut
            self.driver[self.highest] = (new, "Z")
            for port, bit in inputs.items():
                self.loads[bit].append((new, port))
        return self.inverted[net]

    def _net(self, name: str, port: str) -> Net:
        bits: list[Net] = self.cells[name]["connections"].get(port, [])
        return bits[0] if bits else None

    def _connect(self, name: str, port: str, net: Net) -> None:
        """Connect an input to another net."""
        old = self._net(name, port)
        if old is not None:
            self.loads[old].remove((name, port))
        self.cells[name]["connections"][port] = [net]
        self.cells[name]["port_directions"][port] = "input"
        self.loads[net].append((name, port))

    def _swallow(self, name: str, flops: dict[str, str]) -> None:
        """Let outputs drive what flip-flops behind them drove."""
        for bit, flop in flops.items():
            old, new = self._net(name, bit), self._net(flop, "Q")
            self._remove(flop)
            self.cells[name]["connections"][bit] = [new]
            del self.driver[old]
            self.gone.add(old)
            self.gone.discard(new)
            self.driver[new] = (name, bit)

    def _remove(self, name: str) -> None:
        cell = self.cells.pop(name)
        for port, bits in cell["connections"].items():
            for bit in bits:
                if cell["port_directions"][port] != "output":
                    self.loads[bit].remove((name, port))
                elif self.driver.pop(bit, None):
                    self.gone.add(bit)
