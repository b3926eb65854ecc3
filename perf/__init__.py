# SPDX-License-Identifier: Apache-2.0
"""Estimates: what a core does on a platform, from closed forms checked against the RTL."""
