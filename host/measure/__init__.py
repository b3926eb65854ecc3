# SPDX-License-Identifier: Apache-2.0
"""Measurements and comparisons that take the whole: co-simulation, power, bench, memory."""
