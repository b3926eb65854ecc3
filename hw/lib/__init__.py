# SPDX-License-Identifier: Apache-2.0
"""Parts of arithmetic, memory and pipeline that several units share."""
