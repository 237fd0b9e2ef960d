"""Reads a release of dpx as people would: `datasets`, and the dataset cards of `huggingface_hub`. Prints what it saw.

    python tests/python/release.py FOLDER

Exit code 77: this Python lacks a package. tests/release.rs calls it.
"""
import importlib.util
import json
import os
import sys
import tempfile

if any(importlib.util.find_spec(name) is None for name in ("datasets", "huggingface_hub", "yaml")):
    sys.exit(77)
folder = sys.argv[1]
scratch = tempfile.TemporaryDirectory()
os.environ["HF_DATASETS_CACHE"] = os.path.join(scratch.name, "cache")

import yaml
from datasets import ClassLabel, Value, get_dataset_config_names, load_dataset
from huggingface_hub import DatasetCard

statement = json.load(open(os.path.join(folder, "privacy.json")))
names = get_dataset_config_names(folder)
assert names == [texts["name"] for texts in statement["texts"]], names
for texts in statement["texts"]:
    rows = load_dataset(folder, texts["name"], split="train")
    assert rows.num_rows == texts["rows"], (texts, rows)
    assert rows.column_names == texts["columns"], rows.column_names
    label = rows.features["label"]
    assert isinstance(label, ClassLabel) and label.names == statement["labels"], label
    assert rows.features["text"] == Value("string")
    lines = [json.loads(line) for line in open(os.path.join(folder, texts["name"] + ".jsonl"))]
    assert [label.int2str(row["label"]) for row in rows] == [line["label"] for line in lines]
    assert [row["text"] for row in rows] == [line["text"] for line in lines]
    # The parquet file by itself, without the card: the names are in it.
    alone = load_dataset("parquet", data_files=os.path.join(folder, texts["name"] + ".parquet"), split="train")
    assert alone.features == rows.features, alone.features
    print(f"{texts['name']}: {rows.num_rows} rows, {rows.features}")

card = DatasetCard.load(os.path.join(folder, "README.md"))
data = card.data.to_dict()
print("card:", {key: value for key, value in data.items() if key not in ("configs", "dataset_info")})
assert data["license"] == statement["license"]["id"] and data.get("language", []) == statement["language"]
assert data["task_categories"] == ["text-classification"] and len(data["size_categories"]) == 1
assert "may coincide with training texts" in card.text and "person" not in card.text
# What the Hub's own validation (`DatasetCard.validate`, online only) asks of the types: one YAML document, known keys, strings.
front = card.content.split("---")[1]
assert yaml.safe_load(front) == data, "the card's metadata is not what huggingface_hub read"
known = "language license license_name pretty_name task_categories size_categories annotations_creators language_creators tags configs dataset_info"
assert set(data) <= set(known.split()), set(data)
assert all(isinstance(value, str) for key in ("language", "tags", "size_categories") for value in data.get(key, []))
try:
    card.validate()
    print("validated by the Hub")
except ValueError:
    raise
except Exception as error:  # no network
    print("the Hub cannot be asked:", type(error).__name__)
