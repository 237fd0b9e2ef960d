"""Writes the conversations of PyPI's chitchat-dataset (MIT) as JSON lines, for experiments/chats.toml.

    pip install chitchat-dataset==0.9.0
    cd experiments && python chitchat.py chitchat.jsonl

One conversation a line: `messages` in the layout of OpenAI (the first speaker is `user`, the others are `assistant`; what one
person writes in a row is one turn), `user` (who spoke first, renumbered), `participants` (all who spoke), `prompt` (the question
that they were given).
"""

import json
import sys

import chitchat_dataset


def main(path: str) -> None:
    dataset = chitchat_dataset.Dataset()
    numbers: dict[str, str] = {}
    written = 0
    with open(path, "w", encoding="utf-8") as file:
        for conversation in sorted(dataset.values(), key=lambda one: str(one.get("start", ""))):
            turns: list[tuple[str, str]] = []
            for message in conversation["messages"]:
                for utterance in message:
                    text = utterance["text"].strip()
                    if not text:
                        continue
                    sender = numbers.setdefault(utterance["sender"], f"u{len(numbers):04}")
                    if turns and turns[-1][0] == sender:
                        turns[-1] = (sender, turns[-1][1] + "\n" + text)
                    else:
                        turns.append((sender, text))
            if not turns:
                continue
            first = turns[0][0]
            messages = [
                {"role": "user" if sender == first else "assistant", "content": text}
                for sender, text in turns
            ]
            participants = list(dict.fromkeys(sender for sender, _ in turns))
            line = {
                "user": first,
                "participants": participants,
                "prompt": conversation.get("prompt") or "",
                "messages": messages,
            }
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            written += 1
    print(f"{written} conversations of {len(numbers)} people in {path}")


if __name__ == "__main__":
    main(sys.argv[1])
