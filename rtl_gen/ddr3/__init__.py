# SPDX-License-Identifier: Apache-2.0
"""DDR3 controllers of LiteDRAM, emitted as Verilog: an extra, `tritforge[ddr3]`."""
