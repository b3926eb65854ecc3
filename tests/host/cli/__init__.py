# SPDX-License-Identifier: Apache-2.0
"""Tests of the command line, a file for each of its modules or commands."""
