# SPDX-License-Identifier: Apache-2.0
"""Training of small models with ternary weights."""
