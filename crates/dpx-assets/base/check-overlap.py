#!/usr/bin/env python3
"""Shows what a training text has in common with other texts: equal lines and common 8-word pieces.

usage: check-overlap.py TRAIN NAME=FILE[,FILE]...   (FILE: .csv with a column text, .tsv or .txt with the text first,
                                                     or .conll with a token first and empty lines between texts)
"""
import csv
import pathlib
import re
import sys

SIZE = 8
CONDITION = re.compile(r"^(?:joy|sadness|anger|fear|love|surprise)(?:, \S+)?: ")


def normal(text):
    return re.findall(r"[a-z0-9]+", text.lower().replace("'", ""))


def pieces(words):
    return {" ".join(words[at:at + SIZE]) for at in range(len(words) - SIZE + 1)}


def texts(path):
    path = pathlib.Path(path)
    with path.open(encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            yield from (row["text"] for row in csv.DictReader(file))
        elif path.suffix == ".conll":
            words = []
            for line in file:
                if line.strip():
                    words.append(line.split()[0])
                elif words:
                    yield " ".join(words)
                    words = []
            if words:
                yield " ".join(words)
        else:
            yield from (line.split("\t")[0] for line in file)


def main():
    others = {}
    for argument in sys.argv[2:]:
        name, files = argument.split("=", 1)
        lines, grams = set(), set()
        for path in files.split(","):
            for text in texts(path):
                words = normal(text)
                if words:
                    lines.add(" ".join(words))
                    grams |= pieces(words)
        others[name] = (lines, grams)
    equal = {name: set() for name in others}
    common = {name: set() for name in others}
    with open(sys.argv[1], encoding="utf-8") as file:
        for line in file:
            words = normal(CONDITION.sub("", line))
            whole, grams = " ".join(words), pieces(words)
            for name, (lines, theirs) in others.items():
                if whole in lines:
                    equal[name].add(whole)
                common[name] |= grams & theirs
    print(f"{'text':<16}{'texts':>9}{'equal lines':>13}{'8-word pieces':>15}{'in common':>11}{'share':>10}")
    for name, (lines, grams) in others.items():
        share = len(common[name]) / max(1, len(grams))
        print(f"{name:<16}{len(lines):>9}{len(equal[name]):>13}{len(grams):>15}{len(common[name]):>11}{share:>10.5%}")


if __name__ == "__main__":
    main()
