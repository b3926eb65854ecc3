# SPDX-License-Identifier: Apache-2.0
"""The host side: images and their packer, the driver of a core, generation and the command line."""
