#!/usr/bin/env python3
"""Which strength of the L2 penalty (`C` of scikit-learn) suits the bag-of-words classifier, on the validation split.

    bag_of_words_strength.py FOLDER [C...]      an artifact of `preprocess`: train.jsonl and validation.jsonl; never the test split

The same features and the same objective as crates/dpx-nn/src/model/bag_of_words: words of two characters and more, tf-idf, rows of length
1, multinomial logistic regression with balanced classes. Needs scikit-learn.
"""
import json
import re
import sys

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score


def read(path):
    rows = [json.loads(line) for line in open(path, encoding="utf-8")]
    return [row["text"] for row in rows], [row["label"] for row in rows]


def words(text):
    return [w for w in re.split(r"[^\w]", text.lower().replace("'", "").replace("\u2019", "")) if len(w) >= 2]


def main(folder, *strengths):
    texts, labels = read(f"{folder}/train.jsonl")
    held_texts, held_labels = read(f"{folder}/validation.jsonl")
    features = TfidfVectorizer(analyzer=words)
    rows, held = features.fit_transform(texts), features.transform(held_texts)
    print(f"{len(texts)} texts, {rows.shape[1]} words; {len(held_texts)} validation texts")
    print("     C  accuracy  macro-F1")
    for strength in map(float, strengths or [0.25, 0.5, 1, 2, 3, 5, 8, 12, 20, 50]):
        model = LogisticRegression(C=strength, class_weight="balanced", max_iter=1000).fit(rows, labels)
        found = model.predict(held)
        accuracy = sum(a == b for a, b in zip(found, held_labels)) / len(held_labels)
        print(f"{strength:6}  {accuracy:8.4f}  {f1_score(held_labels, found, average='macro'):8.4f}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
