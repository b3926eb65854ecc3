# SPDX-License-Identifier: Apache-2.0
"""Mutants of Verilog: drawn, put into one model, run in benches, proved equivalent."""
