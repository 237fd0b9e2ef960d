#!/usr/bin/env python3
"""Makes crates/dpx-assets/emotions (`builtin:emotions`) from GoEmotions (CC BY 4.0).

usage: make-emotions.py GOEMOTIONS OUTPUT      (GOEMOTIONS holds train.tsv, dev.tsv, test.tsv, labels.txt)

Kept: comments all of whose labels fall on one of six emotions, without coarse words, in the given splits and order.
`[NAME]` is filled with a name from a list; one text in sixteen gets a planted email address, phone number or handle.
Choices depend on the comment's id alone. Lines of the output: label number, TAB, text, TAB, planted spans as
`code start end` (characters; n name, e email, t telephone, h handle), separated by `;`.
"""
import collections
import gzip
import hashlib
import html
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from profanity import coarse  # noqa: E402

CODES = {"person": "n", "email": "e", "phone": "t", "handle": "h"}
LABELS = ["anger", "fear", "joy", "love", "sadness", "surprise"]
MAP = {
    "anger": "anger annoyance", "fear": "fear nervousness", "joy": "joy amusement excitement", "love": "love",
    "sadness": "sadness grief disappointment remorse", "surprise": "surprise",
}
FIRST = """Aaliyah Adam Aisha Alejandro Alice Amir Amy Ana Andre Anna Arjun Beatriz Ben Carlos Carmen Chen Chloe Claire Daniel
David Dmitri Elena Emily Emma Ethan Fatima Felix Fiona Gabriel Grace Hannah Haruto Hassan Helen Hugo Ibrahim Ines Ingrid Isaac
Jack Jamal James Jasmine Jin Joanna Jonas Jose Julia Kai Karen Kenji Kevin Khadija Laura Leila Leo Liam Linda Lucas Lucy Luis
Magda Malik Marco Maria Marta Mateo Maya Mei Michael Miguel Mina Mohammed Nadia Natasha Nina Noah Nora Oliver Olivia Omar
Oscar Patrick Paul Pedro Peter Priya Rachel Raj Rashid Rebecca Robert Rosa Ruth Samir Samuel Sara Sofia Stefan Sven Tara
Theo Thomas Tomas Tyler Valentina Vera Victor Wei William Xavier Yara Yusuf Zoe""".split()
LAST = """Adams Ahmed Andersson Baker Bauer Bianchi Brown Castillo Chang Clarke Costa Dubois Evans Fischer Garcia Gomez Haddad
Hansen Hernandez Hughes Ivanova Jackson Jensen Kaplan Khan Kim Kowalski Lee Lopez Martin Mbeki Mendes Meyer Miller Morales
Murphy Nakamura Nguyen Novak Okafor Olsen Patel Pereira Petrov Reid Rossi Ruiz Sato Schmidt Silva Singh Smith Suzuki Taylor
Torres Walker Weber Wilson Wright Yilmaz Zhang""".split()
EMAIL_LEADS = ["Mail me at", "Write to", "You can reach me at", "My address is", "Send it to"]
PHONE_LEADS = ["Call me on", "Text me at", "My number is", "Call", "You can reach me on"]
HANDLE_LEADS = ["Thanks", "Follow", "Ask", "As", "I am"]


class Choice:
    """Choices that depend on a name alone."""

    def __init__(self, name):
        self.name, self.count = name, 0

    def below(self, bound):
        self.count += 1
        digest = hashlib.blake2b(f"{self.name}/{self.count}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % bound

    def of(self, items):
        return items[self.below(len(items))]


def person(choice):
    first = choice.of(FIRST)
    return f"{first} {choice.of(LAST)}" if choice.below(8) == 0 else first


def planted(choice):
    """(kind, words before it, the planted value, words after it)"""
    kind = choice.below(3)
    first, last = choice.of(FIRST).lower(), choice.of(LAST).lower()
    if kind == 0:
        domain = choice.of(["example.com", "example.org", "mail.example.net", "example.edu"])
        value = choice.of([
            f"{first}.{last}@{domain}", f"{first}{choice.below(90) + 10}@{domain}", f"{first}_{last}@{domain}",
            f"{first[0]}{last}@{domain}", f"{first}.{last}+reddit@{domain}", f"{first.upper()}@{domain.upper()}",
            f"{first}.{last} at {domain.replace('.', ' dot ')}",
        ])
        return "email", choice.of(EMAIL_LEADS), value
    if kind == 1:
        area, line = 200 + choice.below(790), f"01{choice.below(100):02}"
        value = choice.of([
            f"({area}) 555-{line}", f"{area}-555-{line}", f"+1 {area} 555 {line}", f"{area}.555.{line}", f"1-{area}-555-{line}",
            f"{area}555{line}", f"+44 20 7946 0{choice.below(1000):03}", f"555-{line}",
        ])
        return "phone", choice.of(PHONE_LEADS), value
    value = choice.of([f"@{first}_{last}", f"@{first}{choice.below(90) + 10}", f"@{first}{last}", f"@the_real_{first}", f"@{first.capitalize()}{last.capitalize()}"])
    return "handle", choice.of(HANDLE_LEADS), value


def fill(text, name):
    """The text with its placeholders filled and something planted, and the spans."""
    choice = Choice(name)
    text = re.sub(r"\s+", " ", html.unescape(text)).strip().replace("[RELIGION]", "religion")
    out, spans = "", []
    parts = text.split("[NAME]")
    for part in parts[:-1]:
        out += part
        value = person(choice)
        spans.append(("person", len(out), len(out) + len(value)))
        out += value
    out += parts[-1]
    if choice.below(16) == 0:
        kind, lead, value = planted(choice)
        if choice.below(3) == 0:
            begin = len(lead) + 1
            shift = len(f"{lead} {value}. ")
            spans = [(k, b + shift, e + shift) for k, b, e in spans]
            out = f"{lead} {value}. {out}"
        else:
            out += "" if out[-1:] in ".!?" else "."
            begin = len(out) + 1 + len(lead) + 1
            out += f" {lead} {value}"
            out += choice.of(["", "", ".", "!", ", thanks"])
        spans.append((kind, begin, begin + len(value)))
    spans.sort(key=lambda span: span[1])
    assert all(out[b:e].strip() == out[b:e] and e > b for _, b, e in spans)
    return out, spans


def main():
    source, output = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    names = (source / "labels.txt").read_text().split()
    emotion = {name: label for label, members in MAP.items() for name in members.split()}
    for split, file in [("train", "train"), ("validation", "dev"), ("test", "test")]:
        rows, kinds = [], collections.Counter()
        for line in (source / f"{file}.tsv").read_text(encoding="utf-8").splitlines():
            text, ids, comment = line.split("\t")
            labels = {emotion.get(names[int(number)]) for number in ids.split(",")}
            if len(labels) != 1 or None in labels or coarse(text):
                continue
            text, spans = fill(text, comment)
            if not text:
                continue
            for kind, _, _ in spans:
                kinds[kind] += 1
            spans = ";".join(f"{CODES[kind]} {begin} {end}" for kind, begin, end in spans)
            rows.append(f"{LABELS.index(labels.pop())}\t{text}" + (f"\t{spans}\n" if spans else "\n"))
        content = "".join(rows).encode()
        packed = compress(content)
        (output / f"{split}.tsv.gz").write_bytes(packed)
        print(split, len(rows), "texts", len(content), "bytes", len(packed), "compressed", dict(kinds))


def compress(content):
    try:
        import zopfli.gzip
        return zopfli.gzip.compress(content)
    except ImportError:
        return gzip.compress(content, 9, mtime=0)


if __name__ == "__main__":
    main()
