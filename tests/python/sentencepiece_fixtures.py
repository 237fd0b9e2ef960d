"""Writes tests/fixtures/sentencepiece: small models of sentencepiece, and what `transformers` makes of a `tokenizer.model` alone.

    pip install sentencepiece transformers protobuf
    python3 tests/python/sentencepiece_fixtures.py
"""

import json
import random
from pathlib import Path

import sentencepiece
from transformers import AutoTokenizer

OUT = Path(__file__).resolve().parent.parent / "fixtures" / "sentencepiece"
WORDS = "i feel so glad today and we walk to the box that it left ünïcode happy sad tired café naïve don't 2024 10".split()
TEXTS = [
    "i feel so glad",
    "  i  feel\n so glad ",
    "Ünï ﬁ ① café",
    "<sep>i feel",
    "i <sep> feel</s> so",
    "2024🙂 x",
    "",
    "feel feel",
    "i<s>am",
    "▁i feel",
    "<unk> <pad>",
    " \n ",
]
LLAMA = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
IDENTITY = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
# Name: how the pieces are found, and what tokenizer_config.json says.
KINDS = {
    "llama": ({"model_type": "bpe", "vocab_size": 360, "byte_fallback": True, **IDENTITY}, {**LLAMA, "add_bos_token": True}),
    "llama-legacy": ({"model_type": "bpe", "vocab_size": 360, "byte_fallback": True, "user_defined_symbols": ["<sep>", "feel"], **IDENTITY}, {**LLAMA, "legacy": True}),
    "bpe": ({"model_type": "bpe", "vocab_size": 360, "byte_fallback": True, "user_defined_symbols": ["<sep>", "feel"], **IDENTITY}, None),
    "bpe-no-prefix": ({"model_type": "bpe", "vocab_size": 110, "add_dummy_prefix": False, "normalization_rule_name": "identity"}, None),
    "unigram": ({"model_type": "unigram", "vocab_size": 110, "normalization_rule_name": "nmt_nfkc", "control_symbols": ["<ctl>"]}, None),
    "unigram-bytes": ({"model_type": "unigram", "vocab_size": 330, "byte_fallback": True, **IDENTITY}, {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}),
}


def main():
    random.seed(1)
    OUT.mkdir(exist_ok=True)
    corpus = OUT / "corpus.txt"
    corpus.write_text("\n".join(" ".join(random.choice(WORDS) for _ in range(9)) for _ in range(400)))
    for name, (kind, config) in KINDS.items():
        folder = OUT / name
        folder.mkdir(exist_ok=True)
        sentencepiece.SentencePieceTrainer.train(
            input=str(corpus), model_prefix=str(folder / "tokenizer"), minloglevel=2, hard_vocab_limit=False, **kind
        )
        (folder / "tokenizer.vocab").unlink()
        # Without a configuration no class is known, and the rules of the model count.
        (folder / "config.json").write_text('{"model_type": "llama"}\n')
        if config:
            (folder / "tokenizer_config.json").write_text(json.dumps(config) + "\n")
        tokenizer = AutoTokenizer.from_pretrained(folder)
        expected = [
            {"text": text, "ids": tokenizer(text, add_special_tokens=False)["input_ids"], "with_special": tokenizer(text)["input_ids"]}
            for text in TEXTS
        ]
        (folder / "config.json").unlink()
        (folder / "expected.json").write_text(json.dumps(expected) + "\n")
    corpus.unlink()


main()
