# SPDX-License-Identifier: Apache-2.0
"""Verilog emission and checking of the gateware."""
