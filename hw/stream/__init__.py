# SPDX-License-Identifier: Apache-2.0
"""The way in: beats, runs, header and side words."""
