"""Loads what `dpx export` wrote with `transformers` and PEFT, and compares it with dpx. Prints what it saw.

    python tests/python/export.py DPX MODEL [ADAPTER BASE]

Logits of the label prompts and of a few texts agree within 2e-4 of their scale, greedy tokens exactly; MODEL and BASE with ADAPTER
are the same model. Exit code 77: this Python lacks a package. tests/export.rs calls it.
"""
import importlib.util
import json
import os
import subprocess
import sys
import tempfile

if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers", "peft", "huggingface_hub")):
    sys.exit(77)
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import peft
import torch
import transformers
from huggingface_hub import ModelCard
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

TOLERANCE = 2e-4
print(f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}")


def inspect(dpx, folder, rows):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        width = max(map(len, rows))
        ids = [row + [0] * (width - len(row)) for row in rows]
        mask = [[1] * len(row) + [0] * (width - len(row)) for row in rows]
        json.dump({"input_ids": ids, "attention_mask": mask}, file)
        file.flush()
        done = subprocess.run([dpx, "inspect", folder, "--ids", file.name, "--json"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"dpx inspect {folder}: {done.stderr}")
    return json.loads(done.stdout)


def close(what, found, wanted):
    found, wanted = torch.as_tensor(found, dtype=torch.float64), torch.as_tensor(wanted, dtype=torch.float64)
    error, scale = (found - wanted).abs().max().item(), max(1.0, wanted.abs().max().item())
    print(f"{what}: largest difference {error:.1e} at a scale of {scale:.3g}")
    assert error <= TOLERANCE * scale, what


@torch.no_grad()
def last_logits(model, rows):
    return torch.stack([model(input_ids=torch.tensor([row])).logits[0, -1] for row in rows])


@torch.no_grad()
def greedy(model, row, tokens):
    out = model.generate(
        input_ids=torch.tensor([row]), attention_mask=torch.ones(1, len(row), dtype=torch.long), do_sample=False, temperature=None,
        top_k=None, top_p=None, max_new_tokens=tokens, min_new_tokens=tokens, eos_token_id=None, repetition_penalty=1.0,
    )
    return out[0, len(row):].tolist()


def card_of(folder, library):
    card = ModelCard.load(os.path.join(folder, "README.md"))
    data = card.data.to_dict()
    statement = json.load(open(os.path.join(folder, "privacy.json")))
    assert data["library_name"] == library and data["pipeline_tag"] == "text-generation", data
    assert data["license"] == statement["license"]["id"] and "dpx" in data["tags"], data
    assert ("differential-privacy" in data["tags"]) == (statement["claim"] is not None), data
    print(f"{folder}: card {data}")


dpx, folder, *others = sys.argv[1:]
model = AutoModelForCausalLM.from_pretrained(folder).eval()
assert model.dtype == torch.float32, model.dtype
tokenizer = AutoTokenizer.from_pretrained(folder)
prompts = json.load(open(os.path.join(folder, "label_prompts.json")))
for label in prompts["labels"]:
    ids = tokenizer(label["prompt"])["input_ids"]
    assert ids == label["input_ids"], (label, ids)
rows = [label["input_ids"] for label in prompts["labels"]]
rows += [tokenizer(text)["input_ids"][:10] for text in ("i am glad about day", "What a gloomy, grey morning")]
ours = inspect(dpx, folder, rows)
close("logits", ours["logits_last"], last_logits(model, rows))
for row, wanted in zip(rows, ours["greedy_12"]):
    assert greedy(model, row, 12) == wanted, row
print(f"greedy tokens: {len(rows)} rows equal")
# As the folder's own settings have it, a text ends with one of the end tokens or after as many as the study sampled.
settings = GenerationConfig.from_pretrained(folder)
ends = settings.eos_token_id if isinstance(settings.eos_token_id, list) else [settings.eos_token_id]
assert ends == prompts["end_tokens"], ends
torch.manual_seed(1)
text = model.generate(input_ids=torch.tensor([rows[0]]))[0, len(rows[0]):].tolist()
assert len(text) == settings.max_new_tokens or text[-1] in ends, text
card_of(folder, "transformers")

if others:
    adapter, public = others
    base = AutoModelForCausalLM.from_pretrained(public, dtype="float32").eval()
    before = last_logits(base, rows)
    adapted = peft.PeftModel.from_pretrained(base, adapter).eval()
    close("adapter on its base", last_logits(adapted, rows), ours["logits_last"])
    change = (before - torch.as_tensor(ours["logits_last"])).abs().max().item()
    assert change > 100 * TOLERANCE, f"the adapter changes next to nothing: {change}"
    print(f"the adapter changes logits by up to {change:.3g}")
    merged = adapted.merge_and_unload()
    close("adapter, merged by PEFT", last_logits(merged, rows), ours["logits_last"])
    card_of(adapter, "peft")
