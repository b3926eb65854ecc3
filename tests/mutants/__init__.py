# SPDX-License-Identifier: Apache-2.0
"""Campaigns of mutants of the units around cores, which the benches of the tests judge."""
