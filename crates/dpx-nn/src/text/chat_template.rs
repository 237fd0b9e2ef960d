//! A model's own chat template, where it is a plain frame around each turn.
//!
//! Chat templates are small programs (Jinja). Made-up conversations are rendered with it; what stands around the turns is read
//! off them, and the frame is believed only where it gives every one of them exactly. Sampling can then read conversations back.

use super::{TextError, Tokenizer};
use dpx_schema::conversation::{Around, ChatTemplate, Conversation, Role, Turn};
use minijinja::{Environment, Error, ErrorKind, context};
use serde_json::Value;
use std::path::Path;

/// Tokens that may end a conversation, where the template does not use them for a turn.
const ENDS: [&str; 6] = [
    "<|endoftext|>",
    "<|end_of_text|>",
    "</s>",
    "<eos>",
    "<|eot_id|>",
    "<|end|>",
];

impl Tokenizer {
    /// The frame that the chat template of the model in a folder puts around turns.
    ///
    /// # Errors
    /// When the model has no chat template, or one that does more than framing turns.
    pub fn chat_template(&self, folder: &Path) -> Result<ChatTemplate, TextError> {
        let fail = |problem: &str| {
            TextError::Tokenizer(format!(
                "the chat template of the model {problem}: leave out `chat_template`, conversations are then written as `User: ...`"
            ))
        };
        let source = self
            .chat_source(folder)
            .ok_or_else(|| fail("is not there (neither chat_template.jinja nor `chat_template` in tokenizer_config.json)"))?;
        let program = Program {
            source,
            bos: self.role("bos_token"),
            eos: self.role("eos_token"),
        };
        let frame = program
            .frame()
            .ok_or_else(|| fail("does more than put a frame around each turn"))?;
        let marks: Vec<String> = frame.marks().into_iter().map(str::to_owned).collect();
        let taken = |end: &&str| marks.iter().any(|mark| mark.contains(*end));
        let eos = program.eos.as_str();
        let mut ends = std::iter::once(eos).chain(ENDS);
        let end = ends.find(|end| !end.is_empty() && !taken(end) && self.id(end).is_some());
        let end = end.ok_or_else(|| fail("ends turns with the only token that ends texts"))?;
        Ok(ChatTemplate {
            end: end.to_owned(),
            ..frame
        })
    }

    /// The template; of several the one that is called `default`.
    fn chat_source(&self, folder: &Path) -> Option<String> {
        if let Ok(source) = std::fs::read_to_string(folder.join("chat_template.jinja")) {
            return Some(source);
        }
        match self.config().get("chat_template")? {
            Value::String(source) => Some(source.clone()),
            Value::Array(named) => named
                .iter()
                .find(|template| template["name"] == "default")
                .and_then(|template| template["template"].as_str())
                .map(str::to_owned),
            _ => None,
        }
    }

    fn role(&self, name: &str) -> String {
        let special = self.special();
        let id = if name == "bos_token" {
            special.bos
        } else {
            special.eos
        };
        id.and_then(|id| self.token(id)).unwrap_or_default()
    }
}

struct Program {
    source: String,
    bos: String,
    eos: String,
}

impl Program {
    /// What the template makes of a conversation, without the begin token.
    fn render(&self, conversation: &Conversation) -> Option<String> {
        let mut environment = Environment::new();
        // As `transformers` sets them.
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.add_function("raise_exception", |message: String| -> Result<(), Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        let messages: Vec<Value> = conversation
            .turns
            .iter()
            .map(|turn| serde_json::json!({"role": turn.role.name(), "content": turn.content}))
            .collect();
        let text = environment
            .render_str(
                &self.source,
                context! { messages, add_generation_prompt => false, bos_token => self.bos, eos_token => self.eos },
            )
            .ok()?;
        let bare = (!self.bos.is_empty())
            .then(|| text.strip_prefix(&self.bos))
            .flatten();
        Some(match bare {
            // A mark of every turn is none of the beginning.
            Some(bare) if !bare.contains(&self.bos) => bare.to_owned(),
            _ => text,
        })
    }

    fn frame(&self) -> Option<ChatTemplate> {
        const A: &str = "first qzx";
        const B: &str = "second\n\nqzx two";
        let of = |turns: &[(Role, &str)]| Conversation {
            turns: turns
                .iter()
                .filter_map(|(role, content)| Turn::new(*role, content))
                .collect(),
        };
        use Role::{Assistant, System, User};
        // `opening + user.before + A + user.behind`, and so on.
        let alone = self.render(&of(&[(User, A)]))?;
        let (head, user_behind) = alone.split_once(A)?;
        let both = self.render(&of(&[(User, A), (Assistant, B), (User, A)]))?;
        let (head_again, rest) = both.split_once(A)?;
        let (between, rest) = rest.split_once(B)?;
        let (back, user_behind_again) = rest.split_once(A)?;
        if head_again != head || user_behind_again != user_behind {
            return None;
        }
        let assistant_before = between.strip_prefix(user_behind)?;
        let pair = self.render(&of(&[(User, A), (Assistant, B)]))?;
        let (_, assistant_behind) = pair.split_once(B)?;
        let user_before = back.strip_prefix(assistant_behind)?;
        let opening = head.strip_suffix(user_before)?;
        let around = |before: &str, behind: &str| Around {
            before: before.to_owned(),
            behind: behind.to_owned(),
        };
        // Without turns of `system` in the template, theirs are written like those of `user`.
        let system = self
            .render(&of(&[(System, B), (User, A)]))
            .and_then(|text| {
                let (before, rest) = text.split_once(B)?;
                let (behind, _) = rest.split_once(A)?;
                Some(around(before, behind.strip_suffix(user_before)?))
            })?;
        let frame = ChatTemplate {
            opening: opening.to_owned(),
            system,
            user: around(user_before, user_behind),
            assistant: around(assistant_before, assistant_behind),
            end: String::new(),
        };
        let whole = Role::ALL.iter().all(|role| {
            let Around { before, behind } = frame.around(*role);
            !before.trim().is_empty() && !behind.trim().is_empty()
        });
        let probes = [
            of(&[(User, B)]),
            of(&[(System, A), (User, B), (Assistant, A)]),
            of(&[(User, A), (Assistant, B), (User, B), (Assistant, A)]),
            of(&[(System, B), (User, A), (Assistant, B), (User, A)]),
        ];
        let exact = probes.iter().all(|probe| {
            let text = frame.render(probe);
            self.render(probe).as_ref() == Some(&text) && frame.parse(&text).as_ref() == Ok(probe)
        });
        (whole && exact && frame.marks_split()).then_some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(source: &str) -> Program {
        Program {
            source: source.to_owned(),
            bos: "<|im_start|>".into(),
            eos: "<|im_end|>".into(),
        }
    }

    /// That of SmolLM2-135M-Instruct.
    const SMOLLM2: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

    #[test]
    fn the_frame_is_read_off_the_template() {
        let frame = program(SMOLLM2).frame().unwrap();
        assert!(frame.opening.starts_with("<|im_start|>system\nYou are"));
        assert_eq!(frame.user.before, "<|im_start|>user\n");
        assert_eq!(frame.assistant.behind, "<|im_end|>\n");
        assert_eq!(frame.system.before, "<|im_start|>system\n");
    }

    #[test]
    fn templates_that_do_more_are_refused() {
        for source in [
            // A mark of one character cannot be taken apart where somebody typed it.
            "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}|{% endfor %}",
            // Nothing marks the end of a turn.
            "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }} {% endfor %}",
            // The last turn is written otherwise.
            "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}{% if not loop.last %}</>{% endif %}{% endfor %}",
            // Turns depend on their number.
            "{% for message in messages %}<{{ loop.index }} {{ message['role'] }}>{{ message['content'] }}</>{% endfor %}",
            "{{ raise_exception('no') }}",
            "{% if %}",
        ] {
            assert!(program(source).frame().is_none(), "{source}");
        }
    }
}
