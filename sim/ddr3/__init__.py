# SPDX-License-Identifier: Apache-2.0
"""A DDR3 controller of LiteDRAM with its model of a memory, and the reader in front."""
