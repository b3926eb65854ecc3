# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: their shape, tensors, tokenizer and files."""
