#!/usr/bin/env python3
"""Compares `dpx inspect` with `transformers` on model folders: those that dpx wrote and those from elsewhere.

    transformers_parity.py [--dpx target/release/dpx] [--texts FILE] [--count 20] FOLDER...

Each folder is loaded by the Auto class of its kind (AutoModelForCausalLM, AutoModelForSequenceClassification,
AutoModelForTokenClassification, AutoModel) and by AutoTokenizer; both sides get the same texts, padded to one batch.
Logits, losses and embeddings must agree to 1e-3 of their scale, token ids, greedy tokens and classes exactly (a class or
token may differ where the two best logits are closer than that). Needs torch and transformers.
"""
import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import torch  # noqa: E402
import transformers  # noqa: E402
from transformers import AutoConfig, AutoTokenizer  # noqa: E402

TEXTS = [
    "i feel happy today and i like it",
    "What a gloomy, grey morning: nothing to do but wait.",
    "she said 'no', twice, and left",
    "Zoë can't believe it cost 12.50!",
    "ok",
]


def read_texts(path, count):
    if path is None:
        return (TEXTS * (count // len(TEXTS) + 1))[:count]
    with open(path, newline="", encoding="utf-8") as file:
        if path.endswith(".csv"):
            return [row["text"] for row in csv.DictReader(file)][:count]
        return [line.rstrip("\n") for line in file][:count]


def inspect(dpx, *arguments):
    done = subprocess.run([dpx, "inspect", *arguments, "--json"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"dpx inspect {' '.join(arguments)}: {done.stderr}")
    return json.loads(done.stdout)


def auto_class(config):
    name = (config.architectures or [""])[0]
    if name.endswith("ForSequenceClassification"):
        return "classifier", transformers.AutoModelForSequenceClassification
    if name.endswith("ForTokenClassification"):
        return "token classifier", transformers.AutoModelForTokenClassification
    if name.endswith(("ForCausalLM", "LMHeadModel")):
        return "causal", transformers.AutoModelForCausalLM
    return "encoder", transformers.AutoModel


class Check:
    def __init__(self, folder):
        self.folder, self.failures, self.lines = folder, 0, []

    def close(self, what, found, wanted, tolerance=1e-3):
        found, wanted = torch.tensor(found, dtype=torch.float64), wanted.to(torch.float64)
        if found.shape != wanted.shape:
            return self.fail(f"{what}: shape {tuple(found.shape)} for {tuple(wanted.shape)}")
        error = (found - wanted).abs().max().item()
        scale = max(1.0, wanted.abs().max().item())
        self.say(error <= tolerance * scale, f"{what}: largest difference {error:.1e} at a scale of {scale:.3g}")

    def equal(self, what, found, wanted):
        same = sum(a == b for a, b in zip(found, wanted))
        self.say(found == wanted, f"{what}: {same} of {len(wanted)} rows equal")
        if found != wanted:
            for index, (a, b) in enumerate(zip(found, wanted)):
                if a != b:
                    self.lines.append(f"      row {index}: dpx {a}\n      row {index}: transformers {b}")

    def say(self, good, line):
        self.failures += not good
        self.lines.append(f"  {'ok  ' if good else 'FAIL'}  {line}")

    def fail(self, line):
        self.say(False, line)


@torch.no_grad()
def compare(dpx, folder, texts):
    """The checks of a folder."""
    check = Check(folder)
    config = AutoConfig.from_pretrained(folder)
    kind, auto = auto_class(config)
    model = auto.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    longest = min(getattr(config, "n_positions", None) or config.max_position_embeddings, 128) - 14
    rows = [tokenizer(text, truncation=True, max_length=longest)["input_ids"] for text in texts]
    found = [inspect(dpx, folder, "--text", text)["input_ids"][0] for text in texts[:5]]
    check.equal("token ids of five texts", found, [tokenizer(text)["input_ids"] for text in texts[:5]])
    width = max(map(len, rows))
    pad = tokenizer.pad_token_id or 0
    ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"input_ids": ids.tolist(), "attention_mask": mask.tolist()}, file)
        file.flush()
        ours = inspect(dpx, folder, "--ids", file.name)
    theirs = model(input_ids=ids, attention_mask=mask)
    last = [len(row) - 1 for row in rows]
    if kind == "causal":
        pick = torch.stack([theirs.logits[i, j] for i, j in enumerate(last)])
        check.close("logits after the last token", ours["logits_last"], pick)
        losses = torch.stack([
            torch.nn.functional.cross_entropy(theirs.logits[i, : len(row) - 1], torch.tensor(row[1:]))
            for i, row in enumerate(rows) if len(row) > 1
        ])
        mine = [loss for loss, row in zip(ours["loss_mean_per_token"], rows) if len(row) > 1]
        check.close("mean loss of a token", mine, losses)
        greedy = []
        for row in rows:
            out = model.generate(
                torch.tensor([row]), attention_mask=torch.ones(1, len(row), dtype=torch.long), do_sample=False,
                max_new_tokens=12, min_new_tokens=12, pad_token_id=pad, eos_token_id=None, repetition_penalty=1.0,
            )
            greedy.append(out[0, len(row):].tolist())
        check.equal("greedy continuations", ours["greedy_12"], greedy)
    elif kind == "classifier":
        check.close("logits", ours["logits"], theirs.logits)
        check.equal("classes", ours["argmax"], theirs.logits.argmax(-1).tolist())
    elif kind == "token classifier":
        check.close("logits of the first token", ours["logits_first"], theirs.logits[:, 0])
        classes = theirs.logits.argmax(-1)
        check.equal("classes of tokens", ours["argmax"], [classes[i, : len(r)].tolist() for i, r in enumerate(rows)])
    else:
        hidden = theirs.last_hidden_state
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * weights).sum(1) / weights.sum(1)
        check.close("mean-pooled embeddings", ours["mean_pooled"], pooled)
        normal = torch.nn.functional.normalize(pooled, dim=-1)
        check.close("normalised embeddings", ours["mean_pooled_normalised"], normal, 1e-4)
    check.title = f"{folder}: {kind}, {config.model_type}, {len(rows)} texts"
    return check


def run(dpx, folder, texts):
    check = compare(dpx, folder, texts)
    print(check.title)
    print("\n".join(check.lines), flush=True)
    return check.failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dpx", default="target/release/dpx")
    parser.add_argument("--texts", help="a csv with a column `text`, or one text a line")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("folders", nargs="+")
    options = parser.parse_args()
    torch.set_num_threads(2)
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    texts = read_texts(options.texts, options.count)
    failures = sum(run(options.dpx, folder, texts) for folder in options.folders)
    print("all agree" if failures == 0 else f"{failures} checks failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
