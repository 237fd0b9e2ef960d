#!/usr/bin/env python3
"""Makes crates/dpx-assets/words (`builtin:words`): a public vocabulary with counts.

usage: make-words.py CORPORA OUTPUT

Words are those of `text::words` in dpx: lower case, apostrophes dropped, runs of letters and digits. Counts: dialogue
(self_dialogue, sgd) four times, books once, so that conversation weighs as much as prose. Kept: the 27,000 most
frequent words without digits, and every word of ../feelings, at a count of at least 1. One `word count` a line.
"""
import collections
import gzip
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
SIZE = 27_000


def words(text):
    return re.findall(r"[^\W_]+", re.sub("['\u2019]", "", text.lower()))


def main():
    corpora, output = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    counts = collections.Counter()
    for weight, pattern in [(4, "self_dialogue/self_dialogue.txt"), (4, "sgd/*.txt"), (1, "classic_books/books.txt")]:
        for path in sorted(corpora.glob(pattern)):
            if path.name == "README.txt":
                continue
            part = collections.Counter()
            for line in path.open(encoding="utf-8"):
                part.update(words(line))
            for word, count in part.items():
                counts[word] += weight * count
    kept = {
        word: count
        for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if word.isascii() and word.isalpha() and len(word) <= 20 and (len(word) > 1 or word in "aiu")
    }
    kept = dict(list(kept.items())[:SIZE])
    for line in (HERE.parent / "feelings/feelings.tsv").read_text().splitlines():
        word = line.split("\t")[1]
        kept.setdefault(word, max(1, counts[word]))
    rows = sorted(kept.items(), key=lambda item: (-item[1], item[0]))
    content = "".join(f"{word} {count}\n" for word, count in rows).encode()
    try:
        import zopfli.gzip
        packed = zopfli.gzip.compress(content)
    except ImportError:
        packed = gzip.compress(content, 9, mtime=0)
    (output / "words.txt.gz").write_bytes(packed)
    print(len(rows), "words", len(content), "bytes", len(packed), "compressed; least count", rows[-1][1])


if __name__ == "__main__":
    main()
