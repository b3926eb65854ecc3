# SPDX-License-Identifier: Apache-2.0
"""Running a model: backends, the driver of a core, generation."""
