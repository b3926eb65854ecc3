# SPDX-License-Identifier: Apache-2.0
"""A core with its memory and a serial port: what makes it a machine."""
