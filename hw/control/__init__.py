# SPDX-License-Identifier: Apache-2.0
"""Order, registers and result: what tells the other units when."""
