# SPDX-License-Identifier: Apache-2.0
"""The gateware, in rooms as the data flow: stream, array, scales, vector, codes, and their control."""
