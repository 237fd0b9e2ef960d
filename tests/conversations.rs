//! Conversations, texts without labels and several columns of labels, through the real binary.

use crate::binary::{dpx, succeeds, text as text_of};
use crate::release::{files, holds_alone, never_released, pieces, says_nothing_of, unpacked};
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;

/// Made-up chats of a shop, and what is asked in each as a text: its words tell the intent and the mood apart.
fn chats(folder: &Path) {
    let mut text = String::new();
    for n in 0..400 {
        let (intent, asked) = [
            ("refund", "money back"),
            ("delivery", "parcel late"),
            ("account", "password lost"),
        ][n % 3];
        let (mood, said) = [("calm", "hello thanks"), ("angry", "terrible awful")][n / 3 % 2];
        writeln!(
            text,
            r#"{{"text": "{said} about my {asked} number {n}", "messages": [{{"role": "user", "content": "{said} about my {asked} number {n}"}}, {{"role": "assistant", "content": "sorry\nwe look for it"}}, {{"role": "tool", "content": "x"}}], "intent": "{intent}", "mood": "{mood}"}}"#
        )
        .unwrap();
    }
    std::fs::write(folder.join("chats.jsonl"), text).unwrap();
}

const WORDS: &str = "money\nback\nparcel\nlate\npassword\nlost\nhello\nthanks\nterrible\nawful\n";

/// Bags of words from counts of combinations, and one classifier for each column of labels.
#[test]
fn texts_of_several_columns_of_labels_are_drawn_and_classified_by_each() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    chats(folder);
    std::fs::write(folder.join("words.txt"), WORDS).unwrap();
    let study = r#"
[experiment]
name = "shop"

[privacy]
noise = "seeded"

[stage.preprocess]
kind = "preprocess"
dataset = "chats.jsonl"
labels = { intent = ["refund", "delivery", "account"], mood = ["calm", "angry"] }
prompt = "{intent}, {mood}: {text}"

[stage.counts]
kind = "counts"
needs = ["preprocess"]
epsilon = 8
attributes = "pairwise"
keywords = "words.txt"
keywords_per_text = 4

[stage.sample]
kind = "sample"
needs = ["counts"]
labels = "private"
count = 600

[stage.intent]
kind = "classify"
needs = ["sample", "preprocess"]
model = "bag-of-words"
attribute = "intent"

[stage.mood]
kind = "classify"
needs = ["sample", "preprocess"]
model = "bag-of-words"
attribute = "mood"
"#;
    std::fs::write(folder.join("study.toml"), study).unwrap();
    succeeds(folder, &["run", "study.toml"]);
    let texts = std::fs::read_to_string(folder.join("results/shop/synthetic/study.csv")).unwrap();
    assert!(
        texts.starts_with("text,label,intent,mood\n"),
        "{}",
        &texts[..60]
    );
    for row in texts.lines().skip(1) {
        let ends = [
            ",\"account, angry\",account,angry",
            ",\"account, calm\",account,calm",
        ];
        assert!(
            !row.contains("\"account") || ends.iter().any(|end| row.ends_with(end)),
            "{row}"
        );
    }
    // The words of each column were drawn, so that each classifier does well.
    let cache = folder.join("results/shop/results.json");
    let results: Value = serde_json::from_slice(&std::fs::read(cache).unwrap()).unwrap();
    let figures = &results["rows"][0]["figures"];
    for column in ["intent", "mood"] {
        let accuracy = figures[format!("accuracy.{column}")]["mean"]
            .as_f64()
            .unwrap();
        assert!(accuracy > 0.9, "{column}: {accuracy}");
    }
    let notes = results["facts"]["notes"].to_string();
    assert!(notes.contains("those of the column `intent`") && notes.contains("mood 1.000"));
    let found = succeeds(
        folder,
        &[
            "inspect",
            "chats.jsonl",
            "--messages",
            "messages",
            "--label-column",
            "mood",
        ],
    );
    let told = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(told.contains("turns") && told.contains("angry"), "{told}");
    // Nobody has to say that conversations have no labels.
    let found = succeeds(
        folder,
        &["inspect", "chats.jsonl", "--messages", "messages"],
    );
    let told = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(
        told.contains("turns") && !told.contains("problem"),
        "{told}"
    );
}

/// `inspect` reads conversations as `preprocess` will: with roles of its own, and nothing is left out without a word.
#[test]
fn inspect_is_told_whose_turns_are_whose() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    std::fs::write(
        folder.join("calls.jsonl"),
        r#"{"talk": [{"role": "customer", "content": "hello", "time": "9:41"}, {"role": "clerk", "content": "hi"}, {"role": "note", "content": "calm"}]}"#,
    )
    .unwrap();
    let args = ["inspect", "calls.jsonl", "--messages", "talk"];
    let refused = dpx(folder, &args);
    let told = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(
        !refused.status.success() && told.contains("roles = {"),
        "{told}"
    );
    let roles = [
        "--roles",
        "customer=user,clerk=assistant",
        "--roles",
        "note=ignore",
    ];
    let found = succeeds(folder, &[&args[..], &roles].concat());
    let told = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(told.contains("1 turn left out, as a tool's"), "{told}");
    assert!(told.contains("1 turn with keys beside"), "{told}");
    let refused = dpx(folder, &[&args[..], &["--roles", "note=nobody"]].concat());
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("expected one of"), "{told}");
}

/// Texts with several columns of labels leave as every release does, and what does not follow from text and label is noticed.
#[test]
fn texts_of_several_columns_of_labels_are_released() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    chats(folder);
    std::fs::write(folder.join("words.txt"), WORDS).unwrap();
    let study = r#"
[experiment]
name = "shop"

[stage.preprocess]
kind = "preprocess"
dataset = "chats.jsonl"
labels = { intent = ["refund", "delivery", "account"], mood = ["calm", "angry"] }

[stage.counts]
kind = "counts"
needs = ["preprocess"]
epsilon = 8
attributes = "pairwise"
keywords = "words.txt"

[stage.sample]
kind = "sample"
needs = ["counts"]
labels = "private"
count = 60
"#;
    // What no text can bear is told before anything is spent.
    let wrong = study.replace(
        "labels = \"private\"\ncount = 60",
        "labels = { \"refund, clam\" = 3 }",
    );
    std::fs::write(folder.join("wrong.toml"), wrong).unwrap();
    let refused = dpx(folder, &["check", "wrong.toml"]);
    let told = text_of(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{told}");
    assert!(told.contains("did you mean `refund, calm`"), "{told}");
    std::fs::write(folder.join("study.toml"), study).unwrap();
    succeeds(folder, &["run", "study.toml"]);
    succeeds(
        folder,
        &["release", "study.toml", "--all", "--out", "shared"],
    );
    succeeds(folder, &["verify", "shared"]);
    let texts = std::fs::read_dir(folder.join("shared")).unwrap();
    let csv = texts
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "csv"))
        .unwrap();
    let text = std::fs::read_to_string(&csv).unwrap();
    assert!(text.starts_with("text,label,intent,mood\n"), "{text}");
    std::fs::write(&csv, text.replacen(",calm\n", ",angry\n", 1)).unwrap();
    let refused = dpx(folder, &["verify", "shared"]);
    let told = text_of(&refused.stdout) + &text_of(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.contains("do not follow from text and label"), "{told}");
}

/// Who is one person by one column may be several by another.
#[test]
fn a_study_tells_people_apart_by_one_column() {
    let place = tempfile::tempdir().unwrap();
    let study = r#"
[experiment]
name = "two"

[sweep]
column = ["customer", "session"]

[privacy]
unit = "user"

[stage.preprocess]
kind = "preprocess"
dataset = "chats.jsonl"
messages = "messages"
label_column = ""
unit_column = "$column"
roles = { agent = "user", AGENT = "assistant" }
"#;
    std::fs::write(place.path().join("study.toml"), study).unwrap();
    let refused = dpx(place.path(), &["check", "study.toml"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{told}");
    for part in [
        "\"customer\" and \"session\"",
        "capitals make no other role",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

/// Every mistake of the new keys is told at once.
#[test]
fn keys_of_conversations_that_do_not_fit_are_told() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    chats(folder);
    let study = r#"
[experiment]
name = "wrong"

[stage.preprocess]
kind = "preprocess"
dataset = "chats.jsonl"
messages = "messages"
text_column = "text"
labels = { intent = ["refund"], label = ["a", "b"] }
prompt = "{intent}: {text}"

[stage.plain]
kind = "preprocess"
dataset = "chats.jsonl"
label_column = ""
roles = { customer = "user" }

[stage.train]
kind = "train"
needs = ["plain"]
model = "builtin:base"
epsilon = 8
loss_on = "assistant"
chat_template = "model"

[stage.sample]
kind = "sample"
needs = ["train"]

[stage.mood]
kind = "classify"
needs = ["sample", "plain"]
attribute = "mood"
"#;
    std::fs::write(folder.join("wrong.toml"), study).unwrap();
    let found = dpx(folder, &["check", "wrong.toml"]);
    assert_eq!(found.status.code(), Some(2));
    let told = String::from_utf8_lossy(&found.stderr).into_owned();
    for part in [
        "`messages` and `text_column` both name what is learned from",
        "the column `intent` declares fewer than two values",
        "a column of labels is called `label`",
        "`{intent}: {text}` holds no `{label}`",
        "`roles` has no effect without `messages`",
        "`loss_on = \"assistant\"` is for conversations",
        "`chat_template = \"model\"` is for conversations",
        "`attribute` is \"mood\", which is no column of labels",
    ] {
        assert!(told.contains(part), "lacks {part}:\n{told}");
    }
}

/// Orders of 120 people, of whom the first has eight conversations, and one of them is like no other.
fn orders(folder: &Path) {
    let mut text = String::new();
    for n in 0..248 {
        let person = if n < 8 { 0 } else { n % 120 };
        let (topic, asked, answer) = [
            ("refund", "refund please", "done"),
            ("parcel", "where is it", "soon"),
        ][n % 2];
        let asked = if n == 6 { UNIQUE } else { asked };
        writeln!(
            text,
            r#"{{"messages": [{{"role": "user", "content": "{asked}"}}, {{"role": "assistant", "content": "{answer}"}}], "topic": "{topic}", "customer": "Petronella {person}"}}"#
        )
        .unwrap();
    }
    std::fs::write(folder.join("orders.jsonl"), text).unwrap();
    // The turns one by one: how they follow one another is learnt from people alone.
    let lines = "User: refund please\nAssistant: done\nUser: where is it\nAssistant: soon\n";
    std::fs::write(folder.join("corpus.txt"), lines.repeat(40)).unwrap();
}

/// What one person said.
const UNIQUE: &str = "my zebraqq came without its left wing on the ninth of march";

/// From the conversations of people to a folder that may leave, and back to the turns in it.
#[test]
fn conversations_of_people_are_released_turn_by_turn() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    orders(folder);
    let study = r#"
[experiment]
name = "orders"

[privacy]
unit = "user"

[stage.base]
kind = "pretrain"
corpus = ["corpus.txt"]
vocabulary_size = 330
layers = 1
width = 32
heads = 2
context = 32
batch_size = 16
steps = 60
learning_rate = 1e-2

[stage.preprocess]
kind = "preprocess"
dataset = "orders.jsonl"
messages = "messages"
label_column = "topic"
labels = ["refund", "parcel"]
unit_column = "customer"
max_per_unit = 3
prompt = "{label}\n{text}"

[stage.train]
kind = "train"
needs = ["preprocess", "base"]
model = "stage:base"
epsilon = 40
epochs = 20
batch_size = 50
max_length = 32
learning_rate = 1e-2
clipping = "automatic"

[stage.sample]
kind = "sample"
needs = ["train"]
count = 40
max_new_tokens = 20
temperature = 0.7
duplicates = "keep"

[stage.classify]
kind = "classify"
needs = ["sample", "preprocess"]
model = "bag-of-words"

[stage.score]
kind = "score"
needs = ["sample", "preprocess", "train", "classify"]
max_texts = 40
"#;
    std::fs::write(folder.join("orders.toml"), study).unwrap();
    let run = succeeds(folder, &["run", "orders.toml"]);
    let told = text_of(&run.stderr) + &text_of(&run.stdout);
    assert!(told.contains("the busiest has"), "{told}");
    succeeds(
        folder,
        &[
            "release",
            "orders.toml",
            "--row",
            "study",
            "--out",
            "shared",
        ],
    );
    let shared = folder.join("shared");
    holds_alone(&shared);

    // People are counted, conversations are not.
    let statement = std::fs::read(shared.join("privacy.json")).unwrap();
    let statement: Value = serde_json::from_slice(&statement).unwrap();
    assert_eq!(statement["claim"]["unit"], "user");
    let runs = statement["runs"].as_object().unwrap();
    for run in runs.values() {
        let people = run["examples"].as_u64().unwrap();
        assert!((90..=120).contains(&people), "{run}");
        assert_eq!(run["bounds"]["max_per_unit"], 3, "{run}");
    }
    assert!(!runs.is_empty());

    // Every line is a conversation, as trainers read it.
    let lines = files(&shared);
    let lines = lines.iter().find(|file| file.ends_with("jsonl")).unwrap();
    let lines = std::fs::read_to_string(shared.join(lines)).unwrap();
    let (mut texts, mut alternating) = (0, 0);
    for line in lines.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let messages = row["messages"].as_array().unwrap();
        assert!(!messages.is_empty(), "{row}");
        let mut text = Vec::new();
        let mut in_turn = true;
        for (turn, message) in messages.iter().enumerate() {
            let message = message.as_object().unwrap();
            assert_eq!(message.len(), 2, "{row}");
            let role = message["role"].as_str().unwrap();
            in_turn &= role == ["user", "assistant"][turn % 2];
            let title = match role {
                "user" => "User",
                "assistant" => "Assistant",
                other => panic!("{other}: {row}"),
            };
            text.push(format!("{title}: {}", message["content"].as_str().unwrap()));
        }
        assert_eq!(row["text"], text.join("\n"), "{row}");
        assert!(["refund", "parcel"].contains(&row["label"].as_str().unwrap()));
        texts += 1;
        alternating += usize::from(in_turn);
    }
    assert!(texts >= 30, "{texts} of 40");
    // What a model of so few steps writes: the few others are counted, and told where the study is.
    assert!(alternating * 10 >= texts * 8, "{alternating} of {texts}");
    let out = texts - alternating;
    assert_eq!(
        out > 0,
        told.contains("in turn: some chat templates"),
        "{told}"
    );
    let card = std::fs::read_to_string(shared.join("README.md")).unwrap();
    assert!(
        card.contains(".jsonl") && card.contains("`messages`"),
        "{card}"
    );

    // Nothing else leaves: no names, nothing that one person alone said, no figures.
    let results = folder.join("results/orders/results.json");
    let mut never = never_released(folder, &results, &shared);
    never.extend(["Petronella", "zebraqq", "left wing"].map(str::to_owned));
    let released = unpacked(&shared);
    says_nothing_of(&released, &never);
    let unique = pieces(UNIQUE);
    for (file, text) in &released {
        let held = pieces(text).iter().any(|piece| unique.contains(piece));
        assert!(!held, "{file} holds 8 words of one person");
    }

    // Another turn than the text's is noticed.
    let csv = files(&shared);
    let csv = shared.join(csv.iter().find(|file| file.ends_with("csv")).unwrap());
    let written = std::fs::read_to_string(&csv).unwrap();
    std::fs::write(
        &csv,
        written.replacen("\"\"content\"\":\"\"", "\"\"content\"\":\"\"x", 1),
    )
    .unwrap();
    let refused = dpx(folder, &["verify", "shared"]);
    let told = text_of(&refused.stdout);
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.contains("do not follow from text and label"), "{told}");
}
