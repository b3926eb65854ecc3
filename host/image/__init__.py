# SPDX-License-Identifier: Apache-2.0
"""Images: packed, opened, decoded, and made into packets."""
