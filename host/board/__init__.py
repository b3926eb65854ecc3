# SPDX-License-Identifier: Apache-2.0
"""A board at the other end of a serial port."""
