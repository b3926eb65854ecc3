# SPDX-License-Identifier: Apache-2.0
"""Campaigns of mutants of a core: its checks, what they find, what is known."""
