# SPDX-License-Identifier: Apache-2.0
"""A serial line as master of a bus: frames, their CRC, each carried out once."""
