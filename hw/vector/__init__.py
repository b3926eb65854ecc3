# SPDX-License-Identifier: Apache-2.0
"""The vector path: what happens to an output row, from its accumulator to its value."""
