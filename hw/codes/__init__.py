# SPDX-License-Identifier: Apache-2.0
"""The vector store: values quantised to the codes that the array takes."""
