# SPDX-License-Identifier: Apache-2.0
"""Golden models: checkpoints, the float32 reference, the integer model, training and text."""
