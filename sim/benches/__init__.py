# SPDX-License-Identifier: Apache-2.0
"""Cocotb benches of the units; they are no part of an installed tritforge."""
