#!/usr/bin/env python3
"""Makes crates/dpx-assets-encoder/encoder (`builtin:encoder`) from potion-base-8M, which the PyPI package mostlyai-qa carries.

    pip download mostlyai-qa==1.10.11 --no-deps
    pip install numpy safetensors tokenizers
    make-encoder.py mostlyai_qa-1.10.11-py3-none-any.whl crates/dpx-assets-encoder/encoder

A token's vector is stored as whole numbers from -127 to 127 (`embeddings`, I8) beside the factor of its row (`weights`, F32):
both are tensors that model2vec itself reads. Nothing else of the model changes; tokenizer.json is written without spaces.

Golden figures for the test of the reader (tests/fixtures/encoder/golden.json) are computed here by
tokenizers and numpy from what was written, not by dpx, with the distance to the vectors of the original:

    make-encoder.py WHEEL FOLDER --golden golden.json
"""
import argparse
import hashlib
import json
import pathlib
import zipfile

import numpy as np
from safetensors.numpy import load, save
from tokenizers import Tokenizer

WHEEL_SHA256 = "520978c9f5279556d3b90fc282d7165e3e7fcd172a926c2724cdded2d9fe0395"
INSIDE = "mostlyai/qa/assets/embedders/potion-base-8M/"
KEPT = ["model_type", "architectures", "tokenizer_name", "apply_pca", "apply_zipf", "hidden_dim", "seq_length", "normalize"]
TEXTS = [
    "i feel so happy today",
    "I didn't feel humiliated!",
    "Thanks for the reply :) it really helped me.",
    "she was terrified of the dark, and of the cellar",
    "",
    "antidisestablishmentarianism, caf\u00e9, na\u00efve \u4f60\u597d",
    "x" * 150,
    "the the the the",
]


def embed(tokenizer, table, texts):
    """StaticModel._encode_batch of model2vec: tokens without special ones, without unknown ones, their mean, scaled to norm 1."""
    unknown = tokenizer.token_to_id("[UNK]")
    rows = []
    for text in texts:
        ids = [id for id in tokenizer.encode(text, add_special_tokens=False).ids if id != unknown][:512]
        mean = table[ids].astype(np.float64).mean(axis=0) if ids else np.zeros(table.shape[1])
        rows.append(mean / (np.linalg.norm(mean) + 1e-32))
    return np.array(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--golden", type=pathlib.Path)
    options = parser.parse_args()
    content = options.wheel.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != WHEEL_SHA256:
        raise SystemExit(f"{options.wheel} has the SHA-256 {found}, expected {WHEEL_SHA256}")
    wheel = zipfile.ZipFile(options.wheel)
    original = load(wheel.read(INSIDE + "model.safetensors"))["embeddings"].astype(np.float32)
    config = json.loads(wheel.read(INSIDE + "config.json"))
    config = {key: config[key] for key in KEPT}
    tokenizer = wheel.read(INSIDE + "tokenizer.json").decode()

    scale = np.abs(original).max(axis=1) / 127
    scale[scale == 0] = 1
    whole = np.rint(original / scale[:, None]).astype(np.int8)
    options.folder.mkdir(parents=True, exist_ok=True)
    tensors = {"embeddings": whole, "weights": scale.astype(np.float32)}
    (options.folder / "model.safetensors").write_bytes(save(tensors, metadata={"format": "pt"}))
    (options.folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    compact = json.dumps(json.loads(tokenizer), ensure_ascii=False, separators=(",", ":"))
    (options.folder / "tokenizer.json").write_text(compact + "\n")

    reader = Tokenizer.from_str(compact)
    read = whole.astype(np.float32) * scale.astype(np.float32)[:, None]
    vectors, exact = embed(reader, read, TEXTS), embed(Tokenizer.from_str(tokenizer), original, TEXTS)
    cosines = (vectors * exact).sum(axis=1)
    print("rows", whole.shape, "least cosine to the original", cosines[np.linalg.norm(exact, axis=1) > 0].min())
    if options.golden:
        golden = {
            "made_by": "crates/dpx-assets-encoder/tools/make-encoder.py",
            "least_cosine_to_the_original": round(float(cosines[np.linalg.norm(exact, axis=1) > 0].min()), 6),
            "texts": [
                {"text": text, "ids": reader.encode(text, add_special_tokens=False).ids, "first": [round(float(v), 7) for v in row[:8]],
                 "sum": round(float(row.sum()), 6)}
                for text, row in zip(TEXTS, vectors)
            ],
            "cosines": [[round(float(a @ b), 6) for b in vectors] for a in vectors],
        }
        options.golden.write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
