# SPDX-License-Identifier: Apache-2.0
"""The ternary array: codes times trits, added up."""
