# SPDX-License-Identifier: Apache-2.0
"""Benches of the units of `hw.board`."""
