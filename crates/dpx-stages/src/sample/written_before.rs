//! Texts that another `sample` stage wrote, for a teacher to choose from or to label anew: the generator's own labels and the
//! teacher's are then measured on the same texts, which are written once.

use super::keywords::Keywords;
use super::report::{Asked, SAMPLE_FILE, SampleReport, TextForm};
use super::teacher::Chooser;
use super::write::{Text, Written, is_undecodable};
use super::{counts, finish, released_counts};
use crate::score::read;
use crate::teacher::Teacher;
use dpx_schema::params::SampleParams;
use dpx_schema::{Kind, StageContext, StageError};
use std::path::Path;

/// Chooses among the texts of the artifact at `path`.
///
/// # Errors
/// When there is no teacher among the needs, or the texts bear labels that it does not know.
pub(super) fn run(
    context: &StageContext<'_>,
    params: &SampleParams,
    path: &Path,
) -> Result<(), StageError> {
    // The texts name their labels one by one; which there are, and in which order, the teacher knows.
    let (_, teacher) = context.input_of(Kind::Teacher).ok_or_else(|| {
        StageError::new("there is no `teacher` stage among the needs to choose from texts that are written already: add one")
    })?;
    let labels = Teacher::load(&teacher.path, context.device)?.labels;
    let (private, _) = released_counts(context, params)?;
    let counts = counts::by_label(&params.labels, params.count, &labels, private.as_ref())?;
    let mut written = Written {
        texts: texts(path, &labels)?,
        ..Written::default()
    };
    let before = written.texts.len();
    written.texts.retain(|text| !is_undecodable(&text.content));
    written.undecodable_dropped = (before - written.texts.len()) as u64;
    let earlier: SampleReport = serde_json::from_slice(&std::fs::read(path.join(SAMPLE_FILE))?)?;
    let asked = Asked {
        params,
        labels: &labels,
        counts: &counts,
        keywords: &Keywords::none(),
        words: None,
        form: TextForm {
            attributes: earlier.attributes,
            conversations: earlier.conversations.is_some(),
        },
    };
    let chooser = Chooser::load(context, params, &labels)?;
    finish(context, &asked, chooser.as_ref(), written)
}

/// The texts with their numbers among those of their label.
fn texts(path: &Path, labels: &[String]) -> Result<Vec<Text>, StageError> {
    let found = read::synthetic(&path.join("synthetic.csv"), labels)?;
    let mut numbers = vec![0; labels.len()];
    let text = |(content, label): (String, usize)| {
        let number = numbers[label];
        numbers[label] += 1;
        Text {
            label,
            number,
            content,
            length: None,
            probabilities: None,
        }
    };
    Ok(found
        .texts
        .into_iter()
        .zip(found.labels)
        .map(text)
        .collect())
}
