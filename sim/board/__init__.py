# SPDX-License-Identifier: Apache-2.0
"""A board simulated from the bytes of its serial port to the pins of its memory."""
