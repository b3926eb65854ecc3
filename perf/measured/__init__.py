# SPDX-License-Identifier: Apache-2.0
"""What was measured, on which digest, and by which command."""
