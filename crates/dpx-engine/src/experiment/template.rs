//! Command lines of `[run.executor]` with words in braces: what they may hold, and filling them in.

use super::diagnostic::Code;
use super::suggest::did_you_mean;

/// What `submit` is given.
pub(crate) const SUBMIT: [&str; 6] = ["worker", "index", "count", "last", "plan", "name"];

/// What `cancel` is given.
pub(crate) const CANCEL: [&str; 1] = ["name"];

/// A `submit` that works, for messages.
pub const SUBMIT_EXAMPLE: &str = "ssh node{index} {worker} {index}";

/// What is wrong with a part of `[run.executor]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutorFault {
    /// What was found, and why it cannot work.
    pub what: String,
    /// The next step for whoever wrote it, as errors print behind `help:`.
    pub help: String,
    pub(crate) code: Code,
}

/// What is wrong with a `submit`.
pub fn submit_fault(text: &str) -> Option<ExecutorFault> {
    if let Some(fault) = unknown("submit", text, &SUBMIT) {
        return Some(fault);
    }
    let tells = placeholders(text).any(|(_, word)| word == "worker" || word == "plan");
    (!tells).then(|| ExecutorFault {
        what: "`submit` names neither `{worker}` nor `{plan}`: no worker could know what to do"
            .to_owned(),
        help: format!("for example `submit = \"{SUBMIT_EXAMPLE}\"`"),
        code: Code::MissingKey,
    })
}

/// What is wrong with a `cancel`.
pub(crate) fn cancel_fault(text: &str) -> Option<ExecutorFault> {
    unknown("cancel", text, &CANCEL)
}

fn unknown(key: &str, text: &str, known: &[&str]) -> Option<ExecutorFault> {
    let (_, word) = placeholders(text).find(|(_, word)| !known.contains(word))?;
    let list: Vec<String> = known.iter().map(|word| format!("`{{{word}}}`")).collect();
    let near = did_you_mean(word, known.iter().copied())
        .map_or_else(String::new, |near| format!("did you mean `{{{near}}}`? "));
    Some(ExecutorFault {
        what: format!("`{key}` holds `{{{word}}}`, which stands for nothing here"),
        help: format!(
            "{near}words in braces: {}; braces that are meant for the shell have a space behind them, or a `$` before them",
            list.join(", ")
        ),
        code: Code::UnknownWord,
    })
}

/// Where words stand in braces, and the words. `${word}` is the shell's, and so is everything else in braces.
fn placeholders(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices('{').filter_map(move |(at, _)| {
        let (word, _) = text[at + 1..].split_once('}')?;
        let letters = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        let sound = !word.is_empty() && word.bytes().all(letters) && !text[..at].ends_with('$');
        sound.then_some((at, word))
    })
}

/// Puts values in the place of words in braces. What a value holds is left as it is.
pub(crate) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut from = 0;
    for (at, word) in placeholders(text) {
        if let Some((_, value)) = values.iter().find(|(name, _)| *name == word) {
            filled.push_str(&text[from..at]);
            filled.push_str(value);
            from = at + word.len() + 2;
        }
    }
    filled.push_str(&text[from..]);
    filled
}

/// Whether a word stands there in braces.
pub(crate) fn holds(text: &str, word: &str) -> bool {
    placeholders(text).any(|(_, found)| found == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_can_start_no_worker_is_refused() {
        for text in ["", "true", "echo hello {worker", "run ${worker}", "{index}"] {
            let told = submit_fault(text).unwrap().what;
            assert!(
                told.contains("neither `{worker}` nor `{plan}`"),
                "{text}: {told}"
            );
        }
        let fault = submit_fault("{wroker} {index}").unwrap();
        assert!(fault.what.contains("`{wroker}`"), "{fault:?}");
        assert!(fault.help.contains("did you mean `{worker}`?"), "{fault:?}");
        for text in [
            SUBMIT_EXAMPLE,
            "seq 0 {last} | parallel --sshloginfile nodes {worker} {}",
            "dpx worker --plan {plan} --index ${TASK} | awk '{ print $1 }' a{1..3} b{c,d}",
        ] {
            assert_eq!(submit_fault(text), None, "{text}");
        }
        assert_eq!(cancel_fault("hq job cancel $(list | grep {name})"), None);
        let fault = cancel_fault("scancel {job}").unwrap();
        assert!(fault.what.contains("`{job}`"), "{fault:?}");
    }

    #[test]
    fn values_are_not_read_for_words() {
        let values = [("plan", "/odd {index} place"), ("index", "3")];
        assert_eq!(
            fill("run {plan} ${index} {index}{} {other} {", &values),
            "run /odd {index} place ${index} 3{} {other} {"
        );
        assert!(holds("a {index}", "index") && !holds("a ${index}", "index"));
    }
}
