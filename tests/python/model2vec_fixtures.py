"""Writes tests/fixtures/model2vec-*: tables with shared rows and of whole numbers, as model2vec writes them, and its embeddings.

    pip install "model2vec[quantization]"
    python3 tests/python/model2vec_fixtures.py
"""

import json
from pathlib import Path

import numpy as np
from model2vec import StaticModel
from model2vec.model import quantize_model
from tokenizers import Tokenizer, models, pre_tokenizers

OUT = Path(__file__).resolve().parent.parent / "fixtures"
WORDS = ["[UNK]", "i", "feel", "so", "glad", "today", "and", "tired", "the", "box"]
TEXTS = ["i feel so glad", "the box", "tired tired and tired", "today"]


def main():
    random = np.random.default_rng(3)
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    vectors = random.normal(size=(len(WORDS), 4)).astype(np.float32)
    config = {"model_type": "model2vec", "hidden_dim": 4, "normalize": True}
    model = StaticModel(vectors, tokenizer, config=config, normalize=True)
    mapped = quantize_model(model, vocabulary_quantization=5)
    for name, made in (("mapped", mapped), ("int8", quantize_model(mapped, quantize_to="int8"))):
        folder = OUT / f"model2vec-{name}"
        made.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        expected = [{"text": text, "embedding": [float(value) for value in made.encode(text)]} for text in TEXTS]
        (folder / "expected.json").write_text(json.dumps(expected) + "\n")


main()
