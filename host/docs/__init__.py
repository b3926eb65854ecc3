# SPDX-License-Identifier: Apache-2.0
"""Documents and pictures, made from data."""
