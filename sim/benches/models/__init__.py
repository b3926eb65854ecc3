# SPDX-License-Identifier: Apache-2.0
"""What surrounds a unit in its bench, where that is much."""
