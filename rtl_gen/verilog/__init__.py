# SPDX-License-Identifier: Apache-2.0
"""From gateware to Verilog that reads well and passes a strict lint."""
