# SPDX-License-Identifier: Apache-2.0
"""Estimates in closed form: cycles, area, clock, power, and what is published to check them."""
