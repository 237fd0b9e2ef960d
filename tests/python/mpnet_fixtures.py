"""Writes tests/fixtures/mpnet-tiny-encoder: a tiny MPNet with what `transformers` computes of it.

    pip install torch transformers
    python3 tests/python/mpnet_fixtures.py

Its padding token is 0, as nobody's is: positions count from behind token 1 whatever `pad_token_id` says.
"""

import json
from pathlib import Path

import torch
from transformers import MPNetConfig, MPNetModel

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
SIZES = {
    "vocab_size": 97, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 34,
    "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "pad_token_id": 0,
}


def main():
    torch.manual_seed(3)
    model = MPNetModel(MPNetConfig(**SIZES), add_pooling_layer=False).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.randn_like(parameter) * (0.1 if parameter.ndim == 1 else 0.2))
            if name.endswith("LayerNorm.weight"):
                parameter.add_(1.0)
    known = json.loads((FIXTURES / "roberta-tiny-classifier" / "expected.json").read_text())
    given = {key: known[key] for key in ("input_ids", "attention_mask")}
    # A token 1 within a text, whose position `transformers` counts as that of padding.
    given["input_ids"][0][2] = 1
    ids, mask = torch.tensor(given["input_ids"]), torch.tensor(given["attention_mask"])
    # One by one: padding is token 0 here, and would count as a text's.
    pooled, first = [], []
    for row, length in zip(ids, mask.sum(1)):
        with torch.no_grad():
            hidden = model(input_ids=row[:length][None]).last_hidden_state[0]
        pooled.append(hidden.mean(0))
        first.append(hidden[0])
    numbers = lambda rows: [[round(value, 6) for value in row.tolist()] for row in rows]
    folder = FIXTURES / "mpnet-tiny-encoder"
    model.save_pretrained(folder)
    (folder / "expected.json").write_text(json.dumps({**given, "mean_pooled": numbers(pooled), "cls": numbers(first)}) + "\n")


main()
