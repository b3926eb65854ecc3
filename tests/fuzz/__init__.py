# SPDX-License-Identifier: Apache-2.0
"""Everything that reads what others wrote, fed with what nobody would write."""
