"""Makes tickets.csv: made-up support tickets of made-up customers, of whom a few write most. Public domain (CC0)."""
import csv
import random

random.seed(27)
ITEMS = ["kettle", "desk lamp", "backpack", "rain jacket", "phone case", "blender", "office chair", "head torch"]
PLACES = ["Leeds", "Austin", "Porto", "Graz", "Bergen", "Pune"]
CATEGORIES = {
    "delivery": [
        "my {item} was meant to arrive on {day} and is still not here",
        "the courier left the {item} at the wrong door in {place}",
        "tracking says the {item} is in {place} since {day}, any news",
        "where is my parcel with the {item}, I have waited {n} days",
    ],
    "refund": [
        "I sent the {item} back {n} days ago, when do I get my money",
        "please refund the {item}, it broke after {n} days",
        "you refunded {n} euros but the {item} cost more",
        "I would like my money back for the {item}",
    ],
    "account": [
        "I cannot log in since {day}, the reset mail never comes",
        "please change the address of my account to {place}",
        "someone ordered a {item} with my account, please block it",
        "how do I delete my account, I asked {n} days ago",
    ],
    "product": [
        "does the {item} come in blue, and is there a larger one",
        "the {item} makes a loud noise after {n} minutes",
        "which batteries does the {item} need",
        "the lid of the {item} does not close properly",
    ],
}
ENDINGS = ["", "", " thanks", " please answer soon", " this is the second time", " best regards", " I am quite annoyed"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]

customers = [f"C{number:04}" for number in range(1, 321)]
rows = []
for rank, customer in enumerate(customers):
    # A few customers write most of the tickets, as in any help desk.
    count = max(1, round(90 / (rank + 1) ** 0.75))
    mood = random.choice(list(CATEGORIES))
    for _ in range(count):
        category = mood if random.random() < 0.4 else random.choice(list(CATEGORIES))
        text = random.choice(CATEGORIES[category]).format(
            item=random.choice(ITEMS), day=random.choice(DAYS), place=random.choice(PLACES), n=random.randint(2, 30)
        )
        rows.append((text + random.choice(ENDINGS), category, customer))
random.shuffle(rows)
with open("tickets.csv", "w", newline="", encoding="utf-8") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["message", "category", "customer_id"])
    writer.writerows(rows)
