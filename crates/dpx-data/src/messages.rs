//! Conversations as data sets write them: lists of turns by OpenAI and ShareGPT, strings by two speakers in turn, JSON in a
//! string. Messages never quote a turn, a role or a name.

use crate::row::BETWEEN_TURNS;
use crate::unique::Unique;
use dpx_schema::conversation::{Conversation, Role, Turn};
use dpx_schema::counted;
use dpx_schema::params::RoleOf;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Counts of conversations. Internal: no guarantee covers them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationFindings {
    /// Conversations with at least one turn left.
    pub conversations: u64,
    /// Turns of all of them together.
    pub turns: u64,
    /// Turns of the longest.
    pub longest: u64,
    /// Turns that were left out because they say nothing.
    pub turns_without_words: u64,
    /// Turns that were left out because they are calls of tools, what tools answered, or by `roles` nobody's.
    pub turns_of_nobody: u64,
    /// Images and other parts of turns that are no text and were left out.
    pub parts_left_out: u64,
    /// Turns with more than a speaker and words, such as a name, a time, or the calls that go with an answer: not read.
    pub turns_with_more: u64,
    /// Conversations in which one side alone speaks.
    pub one_sided: u64,
    /// Conversations that were left out because no turn of theirs is left.
    pub without_turns: u64,
}

impl ConversationFindings {
    /// Enters what was found in one conversation.
    pub(crate) fn add(&mut self, found: &Found) {
        let turns = &found.conversation.turns;
        self.turns_without_words += found.turns_without_words;
        self.turns_of_nobody += found.turns_of_nobody;
        self.parts_left_out += found.parts_left_out;
        self.turns_with_more += found.turns_with_more;
        if turns.is_empty() {
            self.without_turns += 1;
            return;
        }
        self.conversations += 1;
        self.turns += turns.len() as u64;
        self.longest = self.longest.max(turns.len() as u64);
        let speaks = |role| turns.iter().any(|turn| turn.role == role);
        self.one_sided += u64::from(!(speaks(Role::User) && speaks(Role::Assistant)));
    }

    /// What to tell the user, a line each; internal, like the counts.
    pub fn messages(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "conversations: {} with {}; the longest has {}",
            self.conversations,
            counted(self.turns, "turn"),
            self.longest
        )];
        for (count, one, why) in [
            (self.without_turns, "conversation", "for want of a turn"),
            (self.turns_without_words, "turn", "for want of words"),
            (
                self.turns_of_nobody,
                "turn",
                "as a tool's, or of a role to be ignored",
            ),
            (
                self.parts_left_out,
                "part",
                "of a turn that is no text, such as an image",
            ),
        ] {
            if count > 0 {
                lines.push(format!(
                    "conversations: {} left out, {why}",
                    counted(count, one)
                ));
            }
        }
        if self.turns_with_more > 0 {
            lines.push(format!(
                "conversations: {} with keys beside who speaks and what is said, which are not read",
                counted(self.turns_with_more, "turn")
            ));
        }
        if self.one_sided > 0 {
            lines.push(format!(
                "conversations: {} with one side alone",
                counted(self.one_sided, "conversation")
            ));
        }
        lines
    }
}

/// A conversation, and what was left out of it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Found {
    /// May be without a turn.
    pub(crate) conversation: Conversation,
    /// The words of all turns, each with [`BETWEEN_TURNS`] behind it.
    pub(crate) said: String,
    turns_without_words: u64,
    turns_of_nobody: u64,
    parts_left_out: u64,
    turns_with_more: u64,
}

/// Keys of an object that holds a whole conversation.
const LISTS: [&str; 2] = ["messages", "conversations"];

/// Keys of a turn of which one has to be there: words, or what stands in their place.
const WITH_WORDS: [&str; 6] = [
    "content",
    "value",
    "tool_calls",
    "function_call",
    "refusal",
    "audio",
];

/// Reads the conversation that a column holds, given as JSON.
///
/// # Errors
/// What was found and what was expected, without any content.
pub(crate) fn conversation(
    json: &str,
    column: &str,
    roles: &BTreeMap<String, RoleOf>,
) -> Result<Found, String> {
    let expected = "expected a list of turns: objects with `role` and `content` (OpenAI) or `from` and `value` (ShareGPT), or strings";
    let Unique { value, twice } =
        serde_json::from_str(json).map_err(|_| format!("`{column}` holds no JSON: {expected}"))?;
    if twice {
        return Err(format!(
            "`{column}` holds an object that has a key twice: remove one of them"
        ));
    }
    let turns = match &value {
        Value::Array(turns) => turns,
        // A whole object of a chat format in the column.
        Value::Object(object) => {
            let lists: Vec<&Vec<Value>> = LISTS
                .iter()
                .filter_map(|key| object.get(*key)?.as_array())
                .collect();
            let mut filled = lists.iter().copied().filter(|turns| !turns.is_empty());
            let first = filled.next().or_else(|| lists.first().copied());
            if filled.next().is_some() {
                return Err(format!(
                    "`{column}` is an object with turns under both `messages` and `conversations`: keep those that are meant"
                ));
            }
            first.ok_or_else(|| format!("`{column}` is an object without turns: {expected}"))?
        }
        Value::Null => return Err(format!("`{column}` is missing: leave the row out")),
        _ => return Err(format!("`{column}` is no list: {expected}")),
    };
    if turns.iter().any(Value::is_string) && turns.iter().any(Value::is_object) {
        return Err(format!(
            "`{column}` mixes strings, whose speakers take turns, with objects that say who speaks: {expected}"
        ));
    }
    if begin_with_roles(turns, roles) {
        return Err(format!(
            "`{column}` is a list of strings that all begin with a role and a colon, while the speakers of strings take turns: {expected}"
        ));
    }
    let mut found = Found::default();
    for (place, turn) in turns.iter().enumerate() {
        let fail = |problem: &str| format!("turn {} of `{column}` {problem}", place + 1);
        let (role, content) = match turn {
            Value::String(text) => {
                let role = if place % 2 == 0 {
                    RoleOf::User
                } else {
                    RoleOf::Assistant
                };
                (role, text.clone())
            }
            Value::Object(turn) => {
                // A table of both layouts has both pairs of keys, and null or nothing where one is not meant.
                let first = |keys: [&str; 2]| {
                    let values = keys.iter().filter_map(|key| turn.get_key_value(*key));
                    let values = values.filter(|(_, value)| !value.is_null());
                    let filled = values.clone().find(|(_, value)| !is_empty(value));
                    filled.or_else(|| values.clone().next())
                };
                let speaker = first(["role", "from"]);
                let said = first(["content", "value"])
                    .filter(|(_, value)| !is_empty(value))
                    .or_else(|| {
                        turn.get_key_value("refusal")
                            .filter(|(_, value)| value.is_string())
                    })
                    .or_else(|| first(["content", "value"]));
                let name = speaker.and_then(|(_, name)| name.as_str()).ok_or_else(|| {
                    fail("says not who speaks: expected `role` (OpenAI) or `from` (ShareGPT)")
                })?;
                let role = role(name, roles).ok_or_else(|| {
                    fail("has a role that is not known: say whose turns its are, such as `roles = { customer = \"user\", agent = \"assistant\", note = \"ignore\" }`")
                })?;
                if !WITH_WORDS.iter().any(|key| turn.contains_key(*key)) {
                    return Err(fail(
                        "has neither `content` (OpenAI) nor `value` (ShareGPT): under these keys it says something",
                    ));
                }
                let is_read = |key| [speaker, said].iter().flatten().any(|(one, _)| *one == key);
                let more = turn
                    .iter()
                    .any(|(key, value)| !is_read(key) && !is_empty(value));
                found.turns_with_more += u64::from(more);
                let (text, left_out) = match said {
                    None => (String::new(), 0),
                    Some((_, content)) => words(content).ok_or_else(|| {
                        fail("has a content that is neither a string nor a list of parts")
                    })?,
                };
                found.parts_left_out += left_out;
                (role, text)
            }
            Value::Null => (RoleOf::User, String::new()),
            _ => return Err(fail("is neither an object nor a string")),
        };
        found.said.push_str(&content);
        found.said.push(BETWEEN_TURNS);
        let role = match role {
            RoleOf::System => Role::System,
            RoleOf::User => Role::User,
            RoleOf::Assistant => Role::Assistant,
            RoleOf::Ignore => {
                found.turns_of_nobody += 1;
                continue;
            }
        };
        match Turn::new(role, &content) {
            Some(turn) => found.conversation.turns.push(turn),
            None => found.turns_without_words += 1,
        }
    }
    Ok(found)
}

/// Whether turns are strings that all say themselves who speaks.
fn begin_with_roles(turns: &[Value], roles: &BTreeMap<String, RoleOf>) -> bool {
    let begins = |text: &str| {
        let name = text.split_once(':').map(|(name, _)| name);
        name.is_some_and(|name| role(name, roles).is_some())
    };
    let mut texts = turns.iter().filter_map(Value::as_str).peekable();
    texts.peek().is_some() && texts.all(begins)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(object) => object.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whose turns those of a role are; none where the role is not known.
fn role(name: &str, roles: &BTreeMap<String, RoleOf>) -> Option<RoleOf> {
    let name = name.trim();
    let given = roles
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    if let Some((_, role)) = given {
        return Some(*role);
    }
    Some(match name.to_ascii_lowercase().as_str() {
        "system" | "developer" => RoleOf::System,
        "user" | "human" | "prompter" => RoleOf::User,
        "assistant" | "gpt" | "chatgpt" | "bot" | "model" | "ai" => RoleOf::Assistant,
        "tool" | "function" | "observation" | "tool_call" | "tool_response" | "function_call"
        | "function_response" => RoleOf::Ignore,
        _ => return None,
    })
}

/// The words of a content, and its parts that are none: a string, or a list of strings and of objects with `text` (or, within it,
/// `value`) or `refusal`.
fn words(content: &Value) -> Option<(String, u64)> {
    let parts = match content {
        Value::String(text) => return Some((text.clone(), 0)),
        Value::Array(parts) => parts,
        _ => return None,
    };
    let mut texts = Vec::new();
    let mut left_out = 0;
    for part in parts {
        let text = match part {
            Value::String(text) => Some(text.as_str()),
            Value::Object(part) => {
                let text = part.get("text").or_else(|| part.get("refusal"));
                text.and_then(|text| text.as_str().or_else(|| text.get("value")?.as_str()))
            }
            _ => None,
        };
        match text {
            Some(text) => texts.push(text),
            None => left_out += 1,
        }
    }
    Some((texts.join("\n"), left_out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Found, String> {
        conversation(json, "messages", &BTreeMap::new())
    }

    fn text(json: &str) -> String {
        read(json).unwrap().conversation.text()
    }

    #[test]
    fn all_layouts_give_one_conversation() {
        let expected = "User: hi\n there\nAssistant: yes";
        for json in [
            r#"[{"role": "user", "content": "hi\nthere"}, {"role": "assistant", "content": "yes"}]"#,
            r#"[{"from": "human", "value": " hi\r\nthere "}, {"from": "gpt", "value": "yes"}]"#,
            r#"["hi\nthere", "yes"]"#,
            r#"{"messages": ["hi\nthere", "yes"]}"#,
            r#"[{"role": "User", "content": [{"type": "text", "text": "hi"}, "there"]}, {"role": "MODEL", "content": "yes"}]"#,
        ] {
            assert_eq!(text(json), expected, "{json}");
        }
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let found = read(
            r#"[{"role": "system", "content": "be kind"}, {"role": "user", "content": "  "}, {"role": "user", "content": [{"type": "image_url", "image_url": {}}, {"type": "text", "text": "this?"}]},
            {"role": "assistant", "content": null, "tool_calls": [{}]}, {"role": "tool", "content": "42"}, {"role": "assistant", "content": "42", "name": "", "weight": 1, "thinking": "6 x 7"}]"#,
        )
        .unwrap();
        assert_eq!(
            found.conversation.text(),
            "System: be kind\nUser: this?\nAssistant: 42"
        );
        let mut counts = ConversationFindings::default();
        counts.add(&found);
        counts.add(&read("[]").unwrap());
        counts.add(&read(r#"["only me"]"#).unwrap());
        assert_eq!(
            counts,
            ConversationFindings {
                conversations: 2,
                turns: 4,
                longest: 3,
                turns_without_words: 2,
                turns_of_nobody: 1,
                parts_left_out: 1,
                turns_with_more: 2,
                one_sided: 1,
                without_turns: 1,
            }
        );
        let told = counts.messages().join("\n");
        assert!(
            told.contains("2 turns left out, for want of words"),
            "{told}"
        );
        assert!(told.contains("1 turn left out, as a tool's"), "{told}");
        assert!(told.contains("2 turns with keys beside"), "{told}");
    }

    #[test]
    fn what_was_said_does_not_hang_on_roles() {
        let json = r#"[{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}, {"role": "tool", "content": "42"}]"#;
        let said = "be kind\u{1e}hi\u{1e}42\u{1e}";
        assert_eq!(read(json).unwrap().said, said);
        let roles = [("system", RoleOf::Ignore), ("user", RoleOf::Assistant)];
        let roles = roles.map(|(name, role)| (name.to_owned(), role)).into();
        let found = conversation(json, "messages", &roles).unwrap();
        assert_eq!(found.conversation.text(), "Assistant: hi");
        assert_eq!(found.said, said);
    }

    #[test]
    fn turns_that_can_be_read_in_two_ways_are_refused() {
        // What a table of both layouts has.
        let both = r#"[{"role": null, "from": "human", "content": null, "value": "hi"}, {"role": "user", "from": null, "content": "yes", "value": null}]"#;
        assert_eq!(text(both), "User: hi\nUser: yes");
        for (json, problem) in [
            (
                r#"[{"role": "user", "content": "a", "role": "assistant"}]"#,
                "key twice",
            ),
            (
                r#"["a", {"role": "user", "content": "b"}]"#,
                "mixes strings",
            ),
            (r#"[{"role": "user", "message": "a"}]"#, "neither `content`"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(problem), "{json}: {error}");
        }
    }

    #[test]
    fn what_is_empty_gives_way_to_words() {
        for (json, expected) in [
            (
                r#"[{"role": "user", "content": "", "value": "hi"}, {"role": "", "from": "gpt", "value": "yes"}]"#,
                "User: hi\nAssistant: yes",
            ),
            (
                r#"{"messages": [], "conversations": [{"from": "human", "value": "hi"}]}"#,
                "User: hi",
            ),
            (
                r#"[{"role": "user", "content": [{"type": "text", "text": {"value": "hi", "annotations": []}}]}]"#,
                "User: hi",
            ),
            (
                r#"[{"role": "user", "content": "hi"}, {"role": "assistant", "content": null, "refusal": "I cannot"}]"#,
                "User: hi\nAssistant: I cannot",
            ),
            (
                r#"[{"role": "assistant", "content": [{"type": "refusal", "refusal": "I cannot"}], "refusal": null}]"#,
                "Assistant: I cannot",
            ),
        ] {
            let found = read(json).unwrap();
            assert_eq!(found.conversation.text(), expected, "{json}");
            let counts = (
                found.turns_without_words,
                found.parts_left_out,
                found.turns_with_more,
            );
            assert_eq!(counts, (0, 0, 0), "{json}");
        }
        // The second of two is told.
        let found = read(r#"[{"role": "user", "content": "hi", "refusal": "no"}]"#).unwrap();
        assert_eq!(found.turns_with_more, 1);
    }

    #[test]
    fn strings_that_name_who_speaks_are_refused() {
        for json in [
            r#"["Assistant: hello", "User: hi"]"#,
            r#"["human : hi", null, "GPT: secret"]"#,
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains("begin with a role"), "{json}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
        assert_eq!(
            text(r#"["User: hi", "well: yes"]"#),
            "User: User: hi\nAssistant: well: yes"
        );
        let both = r#"{"messages": ["a"], "conversations": ["b"]}"#;
        assert!(read(both).unwrap_err().contains("under both"));
    }

    #[test]
    fn roles_are_declared_and_never_quoted() {
        let json =
            r#"[{"role": "Anna Miller", "content": "hi"}, {"role": "note", "content": "x"}]"#;
        let error = read(json).unwrap_err();
        assert!(
            error.starts_with("turn 1 of `messages` has a role"),
            "{error}"
        );
        assert!(!error.contains("Anna"), "{error}");
        let roles = BTreeMap::from([
            ("anna miller".to_owned(), RoleOf::Assistant),
            ("note".to_owned(), RoleOf::Ignore),
        ]);
        let found = conversation(json, "messages", &roles).unwrap();
        assert_eq!(found.conversation.text(), "Assistant: hi");
        assert_eq!(found.turns_of_nobody, 1);
    }

    #[test]
    fn other_things_are_refused_without_a_word_of_them() {
        for json in [
            "secret",
            "\"secret\"",
            "{\"secret\": 1}",
            "7",
            "null",
            "[7]",
            r#"[{"content": "secret"}]"#,
            r#"[{"role": "user", "content": 7}]"#,
            r#"[{"role": 7, "content": "secret"}]"#,
        ] {
            let error = read(json).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
