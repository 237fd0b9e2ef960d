//! Conversations as sequences: whole, cut at a turn, with the loss on one role.

use super::{Encoder, Sampled, Writing};
use dpx_data::Row;
use dpx_nn::text::{BpeOptions, Tokenizer, train_bpe};
use dpx_nn::{Batch, Targets};
use dpx_schema::conversation::{Around, ChatTemplate};
use dpx_schema::params::LossOn;
use dpx_schema::{LabelIntegration, Prompt, StageError};
use dpx_sgd::trainer::{Examples, Idle};

const CHAT: &str =
    "User: where is my box\nAssistant: on its way\n it left today\nUser: fine\nAssistant: bye";

fn tokenizer() -> Tokenizer {
    let options = BpeOptions {
        vocabulary_size: 300,
        ..BpeOptions::default()
    };
    train_bpe([CHAT].iter().cycle().take(5), &options).unwrap()
}

fn row(text: &str) -> Row {
    Row {
        id: 0,
        text: text.into(),
        label: "box".into(),
        owners: Vec::new(),
        planted: Vec::new(),
    }
}

/// The tokens that are computed, and the weight of each as a target.
type Targeted = (String, Vec<(String, f32)>, super::Truncation);

/// The tokens of one text.
fn encoded(
    text: &str,
    max_seq_len: usize,
    loss_on: LossOn,
    template: Option<&ChatTemplate>,
) -> Targeted {
    last_of(&[text], max_seq_len, loss_on, template).unwrap()
}

/// The tokens of the last of some texts.
fn last_of(
    texts: &[&str],
    max_seq_len: usize,
    loss_on: LossOn,
    template: Option<&ChatTemplate>,
) -> Result<Targeted, StageError> {
    let tokenizer = tokenizer();
    let prompt = Prompt::parse("{label}\n{text}", LabelIntegration::Prefix).unwrap();
    let encoder = Encoder {
        prompt: &prompt,
        tokenizer: &tokenizer,
        keywords: None,
        max_seq_len,
        max_length: max_seq_len as u64,
        context: 1000,
        loss_on,
        mismatch: None,
        sampled: Sampled::Records,
        conversations: Some(Writing {
            template,
            end: tokenizer.end(),
        }),
    };
    let rows: Vec<Row> = texts.iter().copied().map(row).collect();
    let found = encoder.encode(&rows)?;
    let batch: Batch = found.batch(&[texts.len() - 1], Idle::NONE);
    let Targets::NextToken { ids, weights, .. } = &batch.targets else {
        panic!("next tokens")
    };
    let read = |ids: &[u32]| tokenizer.decode(ids, false).unwrap();
    let targets = ids.iter().zip(weights);
    let targets = targets
        .map(|(id, weight)| (read(&[*id]), *weight))
        .collect();
    let whole: Vec<u32> = batch
        .ids
        .iter()
        .copied()
        .chain(ids.last().copied())
        .collect();
    Ok((read(&whole), targets, found.truncation))
}

#[test]
fn long_conversations_are_cut_at_a_turn_and_end_there() {
    let (whole, targets, truncation) = encoded(CHAT, 1000, LossOn::Text, None);
    let end = targets.last().unwrap().0.clone();
    assert_eq!(whole, format!("box\n{CHAT}{end}"));
    assert_eq!((truncation.cut_at_a_turn, truncation.texts_cut), (0, 0));
    let all = truncation.tokens as usize + tokenizer().encode("box").unwrap().len();
    let (cut, _, truncation) = encoded(CHAT, all - 1, LossOn::Text, None);
    let turns = CHAT.rsplit_once('\n').unwrap().0;
    assert_eq!(cut, format!("box\n{turns}{end}"));
    assert_eq!((truncation.cut_at_a_turn, truncation.turns_cut), (1, 1));
    // The first turn alone is too long: it is cut, and nothing ends.
    let (cut, ..) = encoded(CHAT, 5, LossOn::Text, None);
    assert!(
        CHAT.starts_with(&cut["box\n".len()..]) && !cut.ends_with(&end),
        "{cut}"
    );
    // A thousand turns are one sequence.
    let long = vec!["User: fine\nAssistant: bye"; 500].join("\n");
    let (cut, _, truncation) = encoded(&long, 64, LossOn::Text, None);
    assert!(cut.ends_with(&end) && long.starts_with(&cut[4..cut.len() - end.len()]));
    assert!(truncation.turns_cut > 900 && truncation.texts == 1);
}

#[test]
fn the_loss_counts_the_turns_of_one_role_and_what_ends_them() {
    let of = |role| {
        let (_, targets, _) = encoded(CHAT, 1000, role, None);
        let counted: Vec<_> = targets.iter().filter(|(_, weight)| *weight > 0.0).collect();
        let sum: f32 = counted.iter().map(|(_, weight)| weight).sum();
        assert!((sum - 1.0).abs() < 1e-5);
        counted
            .iter()
            .map(|(text, _)| text.as_str())
            .collect::<String>()
    };
    let end = encoded(CHAT, 1000, LossOn::Text, None)
        .1
        .last()
        .unwrap()
        .0
        .clone();
    assert_eq!(
        of(LossOn::Assistant),
        format!(" on its way\n it left today\n bye{end}")
    );
    assert_eq!(of(LossOn::User), " where is my box\n fine\n");
    // A conversation without a turn of that role has a loss of zero, and is counted.
    let alone = "User: only me";
    let both = last_of(&[CHAT, alone], 1000, LossOn::Assistant, None);
    let (_, targets, truncation) = both.unwrap();
    assert!(targets.iter().all(|(_, weight)| *weight == 0.0));
    assert_eq!(truncation.without_counted, 1);
    assert!(
        truncation
            .messages()
            .concat()
            .contains("1 of 2 conversations")
    );
    // Where there are no others, nothing is spent; also where the cut leaves none.
    for (text, most) in [(alone, 1000), (CHAT, 8)] {
        let error = last_of(&[text], most, LossOn::Assistant, None).unwrap_err();
        assert!(
            error.to_string().contains("every gradient would be zero"),
            "{error}"
        );
    }
}

#[test]
fn a_chat_template_frames_the_turns() {
    let around = |role: &str| Around {
        before: format!("<{role}>"),
        behind: "</>".into(),
    };
    let template = ChatTemplate {
        opening: "<start>".into(),
        system: around("s"),
        user: around("u"),
        assistant: around("a"),
        end: String::new(),
    };
    let (whole, targets, truncation) = encoded(
        "User: hi </> there\nAssistant: yes",
        1000,
        LossOn::Assistant,
        Some(&template),
    );
    assert!(
        whole.starts_with("box\n<start><u>hi < /> there</><a>yes</>"),
        "{whole}"
    );
    assert_eq!(truncation.marks_taken_apart, 1);
    let counted: String = targets
        .iter()
        .filter(|(_, weight)| *weight > 0.0)
        .map(|(text, _)| text.as_str())
        .collect();
    assert!(counted.starts_with("yes</>"), "{counted}");
}

/// Texts that are no conversations, such as canaries, are trained as they are.
#[test]
fn other_texts_stay_as_they_are() {
    let (whole, ..) = encoded("abc def", 1000, LossOn::Assistant, None);
    assert!(whole.starts_with("box\nabc def"), "{whole}");
}

/// Somebody who types the token that ends a text has not ended it.
#[test]
fn spelled_special_tokens_are_plain_text_and_told() {
    let tokenizer = tokenizer();
    let end = tokenizer.end().unwrap();
    let spelled = tokenizer.token(end).unwrap();
    let ends = |targets: &[(String, f32)]| {
        let targets = targets.iter().enumerate();
        let ends = targets.filter(|(_, (token, _))| *token == spelled);
        ends.map(|(at, _)| at).collect::<Vec<usize>>()
    };
    let typed = format!("User: {spelled} is what it says\nAssistant: is it {spelled}?");
    // As lines, by a template that has no mark like it, and as a text that is no conversation.
    let around = |before: &str, behind: &str| Around {
        before: before.into(),
        behind: behind.into(),
    };
    let template = ChatTemplate {
        opening: String::new(),
        system: around("[s] ", " [/s]\n"),
        user: around("[u] ", " [/u]\n"),
        assistant: around("[a] ", " [/a]\n"),
        end: "[end]".into(),
    };
    for (text, template) in [
        (typed.clone(), None),
        (typed, Some(&template)),
        (format!("no turns {spelled}"), None),
    ] {
        let (whole, targets, truncation) = encoded(&text, 1000, LossOn::Text, template);
        assert_eq!(ends(&targets), [targets.len() - 1], "{whole}");
        assert_eq!((truncation.special_typed, truncation.read_apart), (1, 0));
        assert_eq!(
            whole.matches(&spelled).count(),
            text.matches(&spelled).count() + 1
        );
        let told = truncation.messages().join("\n");
        assert!(
            told.contains("1 of 1 texts (100 %) spell a special token"),
            "{told}"
        );
        assert!(!told.contains(&spelled), "{told}");
    }
    let (.., truncation) = encoded(CHAT, 1000, LossOn::Text, None);
    assert_eq!(truncation.special_typed, 0);
}
