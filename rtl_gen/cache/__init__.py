# SPDX-License-Identifier: Apache-2.0
"""What is kept from run to run, where, and under which key."""
