# SPDX-License-Identifier: Apache-2.0
"""The model twice: in float32, and in the integers that are the specification."""
