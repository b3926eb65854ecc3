# SPDX-License-Identifier: Apache-2.0
"""Bitstreams of boards, by open tools from Python packages alone."""
