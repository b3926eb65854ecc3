# SPDX-License-Identifier: Apache-2.0
"""Simulation of the emitted Verilog: the Verilator build, a compiled harness and cocotb testbenches."""
