#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# gguf 0.19.0 (Python, the reader that llama.cpp publishes), seen November 2026:
#
# * A good guess: a tensor of a type that the package does not know can be listed, or at least the others can be read.
#   Seen: GGUFReader raises ValueError in its constructor, so one tensor of bitnet.cpp's types (numbers of its own)
#   makes every other tensor of the file unreachable.
# * A good guess: TQ2_0 stores two bits a trit, of which three codes have a meaning, and the fourth is an error.
#   Seen: dequantize gives 2 times the scale for it, without a word.
#
# Fails if either changes. Needs python3 with venv.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check gguf==0.19.0 numpy==2.4.6 2>/dev/null
venv/bin/python - <<'PY'
import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, dequantize

block = np.zeros((1, 66), np.uint8)  # 64 bytes of codes, a float16 scale
block[0, 0] = 3
block[0, 64:] = np.frombuffer(np.float16(0.5).tobytes(), np.uint8)
value = dequantize(block, GGMLQuantizationType.TQ2_0)
print("TQ2_0 code 3, scale 0.5:", value[0, 0])
assert value[0, 0] == 1.0

writer = GGUFWriter("model.gguf", "llama")
writer.add_tensor("known", np.ones(32, np.float32))
writer.add_tensor("unknown", np.ones(32, np.float32))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
assert [tensor.name for tensor in GGUFReader("model.gguf").tensors] == ["known", "unknown"]
data = bytearray(open("model.gguf", "rb").read())
at = data.index(b"unknown") + 7 + 4 + 8  # behind the name: dimensions (u32), one length (u64), type (u32)
unused = max(GGMLQuantizationType) + 1000
data[at : at + 4] = int(unused).to_bytes(4, "little")
open("model.gguf", "wb").write(data)
try:
    GGUFReader("model.gguf")
except ValueError as error:
    print("one tensor of an unknown type:", error)
    assert str(unused) in str(error)
else:
    raise SystemExit("the reader takes a type that it does not know")
PY
echo "as described"
