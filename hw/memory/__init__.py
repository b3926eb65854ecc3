# SPDX-License-Identifier: Apache-2.0
"""Weights from DRAM: what asks a memory for beats, and the controllers that answer."""
