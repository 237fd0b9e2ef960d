//! A column of conversations that holds something else: one error for each row, with its line, and no panic.

use super::*;

/// What is told of a file whose column `messages` is read as conversations.
fn told(name: &str, content: &str) -> Result<DatasetFindings, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    let read = load_with(&path, &["text"], |request| {
        request.messages = Some("messages");
        request.label_column = "";
    });
    read.map(|(_, findings)| findings)
}

/// Values that are no conversation, as JSON, and what is said of each.
const OTHERS: [(&str, &str); 16] = [
    ("7", "is no list"),
    ("true", "is no list"),
    ("{}", "is an object without turns"),
    (
        r#"{"messages": {"role": "user", "content": "secret"}}"#,
        "is an object without turns",
    ),
    (
        r#"{"role": "user", "content": "secret"}"#,
        "is an object without turns",
    ),
    ("[7]", "turn 1 of `messages` is neither"),
    ("[true, null]", "turn 1 of `messages` is neither"),
    (r#"[["user", "secret"]]"#, "turn 1 of `messages` is neither"),
    ("[[], []]", "turn 1 of `messages` is neither"),
    ("[{}]", "turn 1 of `messages` says not who speaks"),
    (
        r#"[{"text": "secret"}]"#,
        "turn 1 of `messages` says not who speaks",
    ),
    (
        r#"[{"role": "user", "content": "a"}, {"speaker": "secret", "content": "b"}]"#,
        "turn 2 of `messages` says not who speaks",
    ),
    (
        r#"[{"role": "user", "text": "secret"}]"#,
        "turn 1 of `messages` has neither `content`",
    ),
    (
        r#"[{"role": "user", "content": {"text": "secret"}}]"#,
        "turn 1 of `messages` has a content that is neither",
    ),
    (
        r#"["secret", {"role": "user", "content": "a"}]"#,
        "mixes strings",
    ),
    (
        r#"[null, "secret", {"role": "user", "content": "a"}]"#,
        "mixes strings",
    ),
];

const GOOD: &str =
    r#"[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]"#;

#[test]
fn each_row_of_another_shape_is_one_error_with_its_line() {
    for (json, problem) in OTHERS {
        let lines = format!(
            "{{\"messages\": {GOOD}}}\n\n{{\"messages\": {json}}}\n{{\"messages\": {GOOD}}}\n"
        );
        let quoted = |json: &str| json.replace('"', "\"\"");
        let (good, other) = (quoted(GOOD), quoted(json));
        let table = format!("id,messages\n1,\"{good}\"\n2,\"{other}\"\n3,\"{good}\"\n");
        for (name, content) in [("d.jsonl", lines), ("d.csv", table)] {
            let error = told(name, &content).unwrap_err();
            assert!(
                error.contains(&format!("{name}:3: ")) && error.contains(problem),
                "{name}, {json}: {error}"
            );
            assert_eq!(error.matches(&format!("{name}:")).count(), 1, "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}

#[test]
fn rows_without_a_list_are_told_all_at_once() {
    let lines = format!(
        "{{\"messages\": null}}\n{{\"messages\": {GOOD}}}\n{{\"text\": \"secret\"}}\n{{\"messages\": \"secret\"}}\n"
    );
    let error = told("d.jsonl", &lines).unwrap_err();
    for place in ["d.jsonl:1: ", "d.jsonl:3: ", "d.jsonl:4: "] {
        assert!(error.contains(place), "{error}");
    }
    assert!(
        !error.contains("d.jsonl:2: ") && !error.contains("secret"),
        "{error}"
    );
    // As pandas writes a list, and nothing.
    let good = GOOD.replace('"', "\"\"");
    let table = format!("id,messages\n1,\"[{{'role': 'user'}}]\"\n2,\"{good}\"\n3,\n");
    let error = told("d.csv", &table).unwrap_err();
    for place in ["d.csv:2: ", "d.csv:4: "] {
        assert!(error.contains(place), "{error}");
    }
    // Deeper than any conversation: no stack is used up.
    let deep = format!(
        "{{\"messages\": {}1{}}}\n",
        "[".repeat(5000),
        "]".repeat(5000)
    );
    assert!(told("d.jsonl", &deep).unwrap_err().contains("d.jsonl:1: "));
}

/// Lists of nothing say nothing: left out and counted. Rows may have either layout.
#[test]
fn lists_of_nulls_and_layouts_row_by_row_are_read() {
    let lines = format!(
        "{{\"messages\": {GOOD}}}\n{{\"messages\": [null, null]}}\n{{\"messages\": [\"hi\", null, \"you\"]}}\n{{\"messages\": []}}\n"
    );
    let found = told("d.jsonl", &lines).unwrap().conversations.unwrap();
    assert_eq!(
        (
            found.conversations,
            found.turns,
            found.without_turns,
            found.turns_without_words
        ),
        (2, 4, 2, 3)
    );
}
