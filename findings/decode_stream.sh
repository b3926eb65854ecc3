#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tokenizers 0.23.3, DecodeStream with a byte-fallback tokenizer (LLaMA's kind), seen November 2026.
#
# A good guess: feeding the tokens of a sequence one by one to DecodeStream.step gives, put together, what decode gives
# for all of them. Seen: a byte piece that completes a character, a byte piece that begins none, then ordinary text end in
# an exception, 'Invalid prefix encountered', though every token is of the vocabulary and decode takes the same sequence.
# A language model that samples bytes meets this. The cause shows in decode: one bad byte turns the earlier good bytes of
# its run into replacement characters too, so text that was already given out changes.
#
# Fails if this changes. Needs python3 with venv.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check tokenizers==0.23.3 2>/dev/null
venv/bin/python - <<'PY'
from tokenizers import Tokenizer, decoders, models
from tokenizers.decoders import DecodeStream

pieces = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "a"]
tokenizer = Tokenizer(models.BPE({piece: n for n, piece in enumerate(pieces)}, [], unk_token="<unk>", byte_fallback=True))
tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
ids = [1 + 0x41, 1 + 0xFF, pieces.index("a")]
whole = tokenizer.decode(ids)
print("decode of one byte:", ascii(tokenizer.decode(ids[:1])), "- of two:", ascii(tokenizer.decode(ids[:2])), "- of all:", ascii(whole))
assert whole == "\ufffd\ufffda" and tokenizer.decode(ids[:1]) == "A"
stream, given = DecodeStream(skip_special_tokens=True), []
try:
    for token in ids:
        given.append(stream.step(tokenizer, token))
except Exception as error:
    print("the stream gave", given, "then raised:", error)
    assert "Invalid prefix" in str(error)
else:
    raise SystemExit(f"the stream gave {given}")
PY
echo "as described"
