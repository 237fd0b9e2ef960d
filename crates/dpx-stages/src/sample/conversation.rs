//! Conversations read back from what a model wrote.

use super::write::Form;
use dpx_schema::PublicSchema;
use dpx_schema::conversation::{ChatTemplate, Conversation, Role};

/// The text of what was written, and what it is. Where conversations are asked for, the text is that of a conversation
/// whichever way the model writes them.
pub(super) fn read(schema: &PublicSchema, written: &str, ended: bool) -> (String, Form) {
    if !schema.conversations {
        return (written.to_owned(), Form::Whole);
    }
    let template = schema.chat_template.as_ref();
    let whole = match template {
        Some(template) => template.parse(written),
        None => Conversation::parse(written),
    };
    if ended {
        return match whole {
            Ok(found) => (found.text(), Form::Whole),
            Err(_) => (written.to_owned(), Form::Broken),
        };
    }
    // Its last turn may have been cut anywhere.
    let cut = match template {
        Some(template) => whole_turns(template, written),
        None => Conversation::parse_cut(written),
    };
    match cut {
        Some(found) => (found.text(), Form::Cut),
        None => (written.to_owned(), Form::Broken),
    }
}

/// The turns up to the last mark that ends one.
fn whole_turns(template: &ChatTemplate, written: &str) -> Option<Conversation> {
    let ends = Role::ALL.map(|role| template.around(role).behind.trim());
    let ends = ends
        .iter()
        .filter_map(|mark| Some(written.rfind(mark)? + mark.len()));
    template.parse(&written[..ends.max()?]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpx_schema::LabelIntegration;
    use dpx_schema::conversation::Around;

    fn schema(conversations: bool) -> PublicSchema {
        PublicSchema {
            conversations,
            ..PublicSchema::new(
                vec!["chat".into()],
                "{label}: {text}",
                LabelIntegration::Prefix,
                1,
            )
        }
    }

    #[test]
    fn conversations_are_read_back_and_cut_at_a_turn() {
        let plain = schema(true);
        for (written, ended, expected, form) in [
            (
                "User: hi\nAssistant: yes",
                true,
                "User: hi\nAssistant: yes",
                Form::Whole,
            ),
            ("User: hi\nAssistant: ye", false, "User: hi", Form::Cut),
            ("User: hi", false, "User: hi", Form::Broken),
            ("hello", true, "hello", Form::Broken),
            (
                "User: hi\nAssistant:",
                true,
                "User: hi\nAssistant:",
                Form::Broken,
            ),
        ] {
            assert_eq!(
                read(&plain, written, ended),
                (expected.to_owned(), form),
                "{written}"
            );
        }
        assert_eq!(
            read(&schema(false), "hello", false),
            ("hello".to_owned(), Form::Whole)
        );
        let around = |role: &str| Around {
            before: format!("<{role}>"),
            behind: "</>".into(),
        };
        let mut framed = schema(true);
        framed.chat_template = Some(ChatTemplate {
            opening: String::new(),
            system: around("s"),
            user: around("u"),
            assistant: around("a"),
            end: "<end>".into(),
        });
        assert_eq!(
            read(&framed, "<u>hi</><a>yes</>", true),
            ("User: hi\nAssistant: yes".to_owned(), Form::Whole)
        );
        assert_eq!(
            read(&framed, "<u>hi</><a>ye", false),
            ("User: hi".to_owned(), Form::Cut)
        );
    }
}
