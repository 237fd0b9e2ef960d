"""Writes tests/fixtures/deberta-*: tiny models of DeBERTa-v2 with what `transformers` computes of them.

    pip install torch transformers
    python3 tests/python/deberta_fixtures.py

The first is made as DeBERTa-v3 is (distances in buckets, shared keys, a norm over their vectors, no positions), the second as the other
settings allow (each distance its own, layers of their own for distances, positions and segments as well).
"""

import json
from pathlib import Path

import torch
from transformers import DebertaV2Config, DebertaV2ForSequenceClassification, DebertaV2Model

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
SIZES = {
    "vocab_size": 97, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 48,
    "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "pooler_hidden_size": 32, "relative_attention": True,
}
V3 = {
    "position_biased_input": False, "type_vocab_size": 0, "position_buckets": 8, "max_relative_positions": -1, "share_att_key": True,
    "norm_rel_ebd": "layer_norm", "pos_att_type": "p2c|c2p", "num_labels": 6,
}
OTHER = {"position_biased_input": True, "type_vocab_size": 2, "max_relative_positions": 6, "pos_att_type": ["c2p", "p2c"]}


def made(kind, **values):
    torch.manual_seed(3)
    model = kind(DebertaV2Config(**SIZES, **values)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.randn_like(parameter) * (0.1 if parameter.ndim == 1 else 0.2))
            if name.endswith("LayerNorm.weight"):
                parameter.add_(1.0)
    return model


def inputs():
    known = json.loads((FIXTURES / "roberta-tiny-classifier" / "expected.json").read_text())
    return {key: known[key] for key in ("input_ids", "attention_mask", "labels")}


def numbers(tensor):
    return json.loads(json.dumps(tensor.tolist()), parse_float=lambda text: round(float(text), 6))


def write(name, model, expected):
    folder = FIXTURES / name
    model.save_pretrained(folder)
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")


def classifier():
    model, given = made(DebertaV2ForSequenceClassification, **V3), inputs()
    logits, losses, norms = [], [], []
    for ids, mask, label in zip(given["input_ids"], given["attention_mask"], given["labels"]):
        model.zero_grad()
        out = model(input_ids=torch.tensor([ids[: sum(mask)]]), labels=torch.tensor([label]))
        out.loss.backward()
        squares = [parameter.grad.double().pow(2).sum() for parameter in model.parameters() if parameter.grad is not None]
        logits.append(out.logits[0].detach())
        losses.append(out.loss.detach())
        norms.append(torch.stack(squares).sum().sqrt())
    expected = {"logits": numbers(torch.stack(logits)), "loss": numbers(torch.stack(losses)), "grad_norm": numbers(torch.stack(norms))}
    write("deberta-v2-tiny-classifier", model, {**given, **expected})


def encoder():
    model, given = made(DebertaV2Model, **OTHER), inputs()
    ids, mask = torch.tensor(given["input_ids"]), torch.tensor(given["attention_mask"])
    with torch.no_grad():
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    weights = mask.unsqueeze(-1).float()
    pooled = (hidden * weights).sum(1) / weights.sum(1)
    del given["labels"]
    write("deberta-v2-tiny-encoder", model, {**given, "mean_pooled": numbers(pooled), "cls": numbers(hidden[:, 0])})


classifier()
encoder()
