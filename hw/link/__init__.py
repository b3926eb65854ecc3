# SPDX-License-Identifier: Apache-2.0
"""The ring of cores that share a model by output rows."""
