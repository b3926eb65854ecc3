# SPDX-License-Identifier: Apache-2.0
"""From Verilog to cells, places and watts."""
