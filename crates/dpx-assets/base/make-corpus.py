#!/usr/bin/env python3
"""Makes the pretraining text of `builtin:base`: one training line each, from public text alone.

usage: make-corpus.py CORPORA OUTPUT [--exclude FILE]...

CORPORA holds self_dialogue/self_dialogue.txt (BSD-3-Clause), sgd/{train,dev,test}.txt (CC BY-SA 4.0) and
classic_books/books.txt (public domain). OUTPUT becomes a folder with train.txt, second.txt (for the second part of
training: all lines of train.txt with a condition and every other one without) and report.json. A line that equals a
text of an --exclude file (case, punctuation and space aside) is left out: these are the benchmarks on which models made
from the corpus are judged. Nothing else of them is used.

What it does: cleans, keeps short first-person conversational lines, drops duplicates; teaches conditions: a line with
words of one emotion of ../feelings/feelings.tsv also appears as `joy: LINE` and `joy, hopeful: LINE`; makes rare words
of feeling known by putting them in the place of others of their emotion ("i feel sad" -> "i feel melancholy"); mixes in
lower-case and unpunctuated variants. The same input gives the same output.
"""
import argparse
import collections
import csv
import json
import pathlib
import random
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tools"))
from profanity import coarse  # noqa: E402

SEED = 20261124
SHORTEST, LONGEST = 4, 40
# Words of feeling that mostly mean something else: they count only right after "feel", "am", "so" and the like.
AMBIGUOUS = set(
    """mean pretty kind close cross cold free complete low blue content hollow vain fake blank fun cool hot dear alone moody
    important useful rich fair warm sick ill weak lost empty alive safe secure calm bold strong brave smart clever talented
    creative artistic brilliant positive odd sudden care cares sour fierce sweet delicate giving longing warmhearted numb
    dull desire fight fighting loss low hurt sore sore determined naughty trapped broken beaten used awkward dangerous
    successful comfortable honest funny damaged forgotten ignored punished hug innocent handsome graceful elegant
    glamorous gorgeous beautiful intelligent wicked evil savage treasure attached attracted attractive admired care
    supported supporting supportive exposed threat danger doubt rushed distracted short touchy peculiar respected
    disturbed burdened wounded divine vibrant energetic playful rewarding restless sentimental tender""".split()
)
FEEL = set("feel feels feeling felt im i'm am was were is are be been being so very really too quite rather getting got become "
           "became a bit little more extremely incredibly absolutely completely totally pretty such how just all still".split())
# These need "feel" itself, or "so" and the like after it.
STRICT = set("hot cold close low free complete cross strong rich short hurt safe secure empty lost broken blank dull important useful sweet cool "
             "wonder wondered wondering marvel content mean kind pretty hollow well fair warm sick ill alone".split())
# The place of an adjective after a form of "to be" or "to feel": it can be exchanged for another of its emotion.
SLOT = re.compile(
    r"\b(?:feel|feels|feeling|felt|am|i'm|im|was|were|been|being|be|is|are|it's|he's|she's|i get|i got|became)\s+"
    r"(?:(?:so|very|really|too|quite|rather|pretty|extremely|just|still|also|a bit|a little) ){0,2}([a-z]+)\b",
    re.IGNORECASE,
)
TO_FEEL = [
    (re.compile(r"\bi was(?= (?:so|very|really|quite|rather|[a-z]+(?:ed|ful|less|y|ous)\b))", re.IGNORECASE), "I felt"),
    (re.compile(r"\b(?:i am|i'm)(?= (?:so|very|really|quite|rather|[a-z]+(?:ed|ful|less|y|ous)\b))", re.IGNORECASE), "I feel"),
]
CONDITION = re.compile(r"(?:anger|fear|joy|love|sadness|surprise)(?:, [^ :]+)?: ")
ARCHAIC = re.compile(
    r"\b(?:thee|thou|thy|thine|hath|doth|hast|dost|art|wilt|shalt|ye|unto|'tis|'twas|whilst|whence|hither|thither|wherefore|"
    r"methinks|forthwith|verily|sire|monsieur|madame|madam|mademoiselle|lord|lordship|count|countess|duke|majesty|upon|ere|nay|yea)\b",
    re.IGNORECASE,
)
FIRST_PERSON = re.compile(r"\b(?:i|i'm|i've|i'd|i'll|me|my|myself)\b", re.IGNORECASE)
QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": " - ", "\u2026": "...", "\xa0": " ", "\t": " "})
STOP = set(
    """about above after again against also always another any anything around away back because been before being between both
    came cannot come could couldn't didn't does doesn't doing done don't down each else even ever every from getting give goes going gone
    good great have haven't having here himself herself into isn't it's just keep kind know knew last left less like little look
    looked made make many maybe mean might more most much must myself never next nothing once only other ought over people perhaps
    pretty quite rather really right said same says seem seemed seen shall should since some something sometimes soon still such sure
    take tell than that that's their them then there there's these they they're thing things think this those though thought through
    time told took under until upon very want wanted wasn't went were what what's when where which while whom whose will with
    without won't would wouldn't yeah yes your you're you've""".split()
)


def normal(text):
    """What decides whether two lines are the same."""
    return " ".join(re.findall(r"[a-z0-9]+", text.lower().replace("'", "")))


def clean(line):
    """A line without markup and odd characters, or None."""
    line = line.translate(QUOTES)
    line = re.sub(r"[_*#|<>{}\\\[\]^~`]+", "", line)
    line = re.sub(r"-{2,}", " - ", line)
    line = re.sub(r"\s+", " ", line).strip()
    if not line or re.search(r"https?:|www\.|@|\.com\b", line):
        return None
    if sum(ord(character) > 126 for character in line) > 0:
        return None
    if line.count('"') % 2:
        line = line.replace('"', "").strip()
    return line


def words_of(line):
    return re.findall(r"[a-z]+(?:'[a-z]+)?", line.lower())


def sentences(paragraph):
    for sentence in re.split(r"(?<=[.!?])[\"')]*\s+[\"'(]*(?=[A-Z])", paragraph):
        sentence = sentence.strip().strip("\"'() ")
        if sentence:
            yield sentence


def dialogue(corpora, counts):
    """Turns of self_dialogue and user turns of sgd: (source, line)."""
    for line in (corpora / "self_dialogue/self_dialogue.txt").read_text(encoding="utf-8").splitlines():
        if line.strip():
            counts["self_dialogue lines read"] += 1
            yield "self_dialogue", line
    for part in ("train", "dev", "test"):
        turn = 0
        for line in (corpora / f"sgd/{part}.txt").read_text(encoding="utf-8").splitlines():
            if not line.strip():
                turn = 0
                continue
            if turn % 2 == 0:
                counts["sgd user turns read"] += 1
                yield "sgd", line
            turn += 1


class Feelings:
    """The public vocabulary of feelings."""

    def __init__(self):
        self.label, self.form = {}, {}
        self.adjectives = collections.defaultdict(list)
        for label, word, form in csv.reader((HERE.parent / "feelings/feelings.tsv").open(), delimiter="\t"):
            self.label[word], self.form[word] = label, form
            if form == "adjective":
                self.adjectives[label].append(word)

    def found(self, words):
        """Words of feeling in a line, negated ones and those that mean something else here left out."""
        result = []
        for place, word in enumerate(words):
            label = self.label.get(word)
            if label is None:
                continue
            before = words[max(0, place - 3):place]
            if any(word in ("not", "never", "no", "without", "hardly") or word.endswith("n't") for word in before):
                return None
            if word in AMBIGUOUS and not (before and before[-1] in FEEL and before[-1] not in ("a", "is", "are", "all", "just", "still")):
                continue
            if word in STRICT and not any(other.startswith("fe") and other in ("feel", "feels", "feeling", "felt") for other in before):
                continue
            result.append(word)
        return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpora", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--exclude", type=pathlib.Path, action="append", default=[])
    arguments = parser.parse_args()
    random_ = random.Random(SEED)
    feelings = Feelings()
    counts = collections.Counter()

    excluded = set()
    for path in arguments.exclude:
        with path.open(encoding="utf-8", newline="") as file:
            if path.suffix == ".csv":
                rows = (row["text"] for row in csv.DictReader(file))
            else:
                rows = (line.split("\t")[0] for line in file)
            excluded.update(normal(text) for text in rows)
    excluded.discard("")

    lines, seen = [], set()

    def keep(source, line):
        key = normal(line)
        if key in seen:
            counts[f"{source} duplicates"] += 1
            return
        seen.add(key)
        if key in excluded:
            counts["lines equal to a benchmark text, left out"] += 1
            return
        lines.append((source, line))
        counts[f"{source} lines kept"] += 1
        counts[f"{source} words kept"] += len(line.split())

    spoken = collections.Counter()
    for source, line in dialogue(arguments.corpora, counts):
        line = clean(line)
        if line is None or coarse(line):
            continue
        words = words_of(line)
        spoken.update(words)
        if not SHORTEST <= len(words) <= LONGEST:
            continue
        # Half of the task-oriented user turns is templated: those without the first person are left out.
        if source == "sgd" and not (FIRST_PERSON.search(line) and not re.search(r"\d", line)):
            continue
        keep(source, line)

    # Books: sentences in the first person whose words are those of conversation (words of feeling aside).
    known = {word for word, count in spoken.items() if count >= 3}
    candidates = []
    for paragraph in (arguments.corpora / "classic_books/books.txt").open(encoding="utf-8"):
        if len(paragraph) < 20:
            continue
        for sentence in sentences(paragraph.translate(QUOTES)):
            if not 12 <= len(sentence) <= 220 or not FIRST_PERSON.search(sentence):
                continue
            line = clean(sentence)
            if line is None or ARCHAIC.search(line) or coarse(line) or not line[0].isalpha():
                continue
            line = re.sub(r"\s+", " ", line.replace('"', "")).strip()
            if line.count("(") != line.count(")"):
                continue
            words = words_of(line)
            if not SHORTEST <= len(words) <= LONGEST:
                continue
            unknown = sum(word not in known and word not in feelings.label for word in words)
            if unknown == 0 or (unknown <= 2 and len(words) >= 8 * unknown and feelings.found(words)):
                candidates.append((line, words))
    counts["books candidate sentences"] = len(candidates)
    random_.shuffle(candidates)
    plain = 0
    for line, words in candidates:
        emotional = bool(feelings.found(words))
        if not emotional:
            if plain >= 110_000:
                continue
            plain += 1
        keep("classic_books", line)

    # Conditions.
    out = []

    def variant(line):
        """Half of the lines in lower case, some of those without punctuation, as people write in a hurry."""
        kind = random_.random()
        if kind < 0.5:
            return line
        line = line.lower()
        if kind < 0.72:
            return line
        line = re.sub(r"(?<=\w)'(?=\w)", "", line)
        return re.sub(r"\s+", " ", re.sub(r"[^a-z0-9 ]+", " ", line)).strip()

    def emit(line, label=None, keyword=None):
        text = variant(line)
        if len(text) < 8 or normal(text) in excluded:
            return
        if label and keyword:
            text = f"{label}, {keyword}: {text}"
            counts["lines with label and keyword"] += 1
        elif label:
            text = f"{label}: {text}"
            counts["lines with label"] += 1
        else:
            counts["lines without condition"] += 1
        if label:
            counts[f"condition {label}"] += 1
        out.append(text)

    def conditioned(line, label, words, mine):
        """One draw of the conditions: the label is given three times in four, a keyword with it half of the time."""
        if random_.random() < 0.25:
            emit(line)
            return
        if random_.random() < 0.5:
            emit(line, label)
            return
        keyword = random_.choice(mine)
        if random_.random() < 0.3:
            content = [word for word in words if len(word) > 3 and word not in STOP and "'" not in word]
            keyword = random_.choice(content) if content else keyword
        emit(line, label, keyword)

    per_word = collections.Counter()
    slots = collections.defaultdict(list)
    for source, line in lines:
        words = words_of(line)
        found = feelings.found(words)
        labels = {feelings.label[word] for word in found or []}
        if len(labels) != 1:
            emit(line)
            continue
        label = labels.pop()
        # A few words ("love", "fun") would fill their emotion: beyond a quota their lines stay without condition.
        rarest = min(found, key=lambda word: per_word[word])
        if per_word[rarest] >= 2_500:
            emit(line)
            continue
        per_word[rarest] += 1
        first_person_feeling = re.search(r"\b(?:i|i'm|im|my|me)\b.{0,24}\b(?:feel|felt|feeling|am|was|i'm|im)\b|\bi'm\b|\bi (?:feel|felt)\b", line.lower())
        copies = 3 if re.search(r"\bi (?:feel|felt|am feeling|was feeling)\b|\bi'm feeling\b", line.lower()) else (2 if first_person_feeling else 1)
        for _ in range(copies):
            conditioned(line, label, words, found)
        if len(found) == 1 and len(words) <= 28:
            match = SLOT.search(line)
            if match and match.group(1).lower() == found[0] and feelings.form[found[0]] == "adjective":
                following = line[match.end():match.end() + 5].lower()
                if not re.match(r"\s(?:to|of|in|at|with|by|as|on|a|the|him|her|you|it|me|them|looking)\b", following):
                    first = bool(re.match(r".{0,40}\b(?:i|i'm|i've)\b", line[:match.end()].lower()))
                    slots[label, found[0].endswith("ing")].append((line, match.start(1), match.end(1), first))

    # Rare words of feeling in the place of others of their emotion.
    for label, adjectives in sorted(feelings.adjectives.items()):
        for word in adjectives:
            pool = slots[label, word.endswith("ing")]
            if label == "love":
                # Few sentences call somebody tender or devoted: the places of joy serve as well.
                pool = pool + slots["joy", word.endswith("ing")]
            mine = [slot for slot in pool if slot[3] or word.endswith("ing")]
            counts[f"slots {label}, {'things' if word.endswith('ing') else 'people'}"] = len(mine)
            wanted = max(60, 250 - per_word[word] // 2)
            for line, begin, end, _ in random_.sample(mine, min(wanted, len(mine))):
                before = line[:begin]
                if re.search(r"\ban? $", before):
                    continue
                changed = before + word + line[end:]
                counts["lines with an exchanged word"] += 1
                if random_.random() < 0.4:
                    for pattern, feel in TO_FEEL:
                        changed = pattern.sub(feel, changed, count=1)
                conditioned(changed, label, words_of(changed), [word])

    random_.shuffle(out)
    arguments.output.mkdir(parents=True, exist_ok=True)
    with (arguments.output / "train.txt").open("w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in out)
    second, plain = [], 0
    for line in out:
        if CONDITION.match(line):
            second.append(line)
        else:
            plain += 1
            if plain % 2 == 0:
                second.append(line)
    with (arguments.output / "second.txt").open("w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in second)
    counts["lines of second.txt"] = len(second)
    counts["lines"] = len(out)
    counts["words"] = sum(len(line.split()) for line in out)
    counts["bytes"] = sum(len(line) + 1 for line in out)
    counts["words of feeling with a line of their own"] = sum(per_word[word] > 0 for word in feelings.label)
    (arguments.output / "report.json").write_text(json.dumps(dict(sorted(counts.items())), indent=1) + "\n")
    print(json.dumps(dict(sorted(counts.items())), indent=1))


if __name__ == "__main__":
    main()
