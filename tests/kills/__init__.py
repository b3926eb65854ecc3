# SPDX-License-Identifier: Apache-2.0
"""Commands that are ended in their midst."""
