# SPDX-License-Identifier: Apache-2.0
"""Many cores that share a model, simulated: their links, the harness that clocks them together, the transport."""
