//! Texts that another `sample` stage wrote, for a teacher or private votes to choose from or to label anew: the generator's own
//! labels and the teacher's are then measured on the same texts, which are written once.

use super::keywords::Keywords;
use super::report::{Asked, SAMPLE_FILE, SampleReport, TextForm};
use super::teacher::TeacherFilter;
use super::voted::Draw;
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
/// When there is nobody among the needs to choose, or the texts bear labels that they do not know.
pub(super) fn run(
    context: &StageContext<'_>,
    params: &SampleParams,
    path: &Path,
) -> Result<(), StageError> {
    let draw = Draw::load(context, params, path)?;
    // The texts name their labels one by one; which there are, and in which order, votes and teacher know.
    let labels = match (&draw, context.input_of(Kind::Teacher)) {
        (Some(draw), _) => draw.labels().to_vec(),
        (None, Some((_, teacher))) => Teacher::load(&teacher.path, context.device)?.labels,
        (None, None) => {
            return Err(StageError::new(
                "there is no `teacher` or `select` stage among the needs to choose from texts that are written already: add one",
            ));
        }
    };
    let (private, _) = released_counts(context, params)?;
    let counts = counts::by_label(&params.labels, params.count, &labels, private.as_ref())?;
    let mut written = Written {
        texts: texts(path, &labels, draw.is_some())?,
        ..Written::default()
    };
    let filter = TeacherFilter::load(context, params, &labels)?;
    let taught = filter.as_ref().is_some_and(TeacherFilter::chooses);
    let draw = draw.map(|draw| draw.ready(params, &written.texts, taught));
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
    finish(context, &asked, filter.as_ref(), draw.as_ref(), written)
}

/// The texts with their numbers among those of their label; with their places in the file where that is asked for.
fn texts(path: &Path, labels: &[String], places: bool) -> Result<Vec<Text>, StageError> {
    let found = read::synthetic(&path.join("synthetic.csv"), labels)?;
    let mut numbers = vec![0; labels.len()];
    let text = |(content, label): (String, usize)| {
        let counter = if places { 0 } else { label };
        let number = numbers[counter];
        numbers[counter] += 1;
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
