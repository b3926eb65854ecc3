# SPDX-License-Identifier: Apache-2.0
"""Experiments with the models: what formats, codes and rounding cost."""
