#!/usr/bin/env python3
"""Makes crates/dpx-assets/dialogue (`builtin:dialogue`): a slice of the Self-dialogue Corpus (BSD-3-Clause), one turn a line.

usage: make-dialogue.py SELF_DIALOGUE OUTPUT TURNS

Takes whole conversations, spread evenly over the corpus, cleaned as for the base model, turns of 3 to 40 words without
coarse words, each turn once, until TURNS are reached.
"""
import gzip
import importlib.util
import pathlib
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
spec = importlib.util.spec_from_file_location("make_corpus", HERE.parent / "base/make-corpus.py")
make_corpus = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_corpus)


def main():
    source, output, wanted = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
    conversations = (source / "self_dialogue.txt").read_text(encoding="utf-8").split("\n\n")
    step = 7919  # prime to the number of conversations: visits each once, far from its neighbours
    kept, seen = [], set()
    for number in range(len(conversations)):
        for line in conversations[number * step % len(conversations)].splitlines():
            line = make_corpus.clean(line)
            if line is None or make_corpus.coarse(line) or not 3 <= len(make_corpus.words_of(line)) <= 40:
                continue
            key = make_corpus.normal(line)
            if key not in seen:
                seen.add(key)
                kept.append(line)
        if len(kept) >= wanted:
            break
    content = "".join(line + "\n" for line in kept[:wanted]).encode()
    try:
        import zopfli.gzip
        packed = zopfli.gzip.compress(content)
    except ImportError:
        packed = gzip.compress(content, 9, mtime=0)
    (output / "dialogue.txt.gz").write_bytes(packed)
    shutil.copy(source / "LICENSE", output / "LICENSE")
    (output / "LICENSE").chmod(0o644)
    print(min(len(kept), wanted), "turns", len(content), "bytes", len(packed), "compressed")


if __name__ == "__main__":
    main()
