# SPDX-License-Identifier: Apache-2.0
"""Reciprocals and scales of the codes: integers that take a square root and a division."""
