//! `preprocess`: reads a dataset, scrubs personal data, declares labels and prompt, writes train, validation and test.
//!
//! Every transform works on one row at a time: a row changed in the dataset changes that row of the artifact and nothing
//! else. The files depend on what was found alone, so that another way of scrubbing that finds the same gives the same bytes.

use crate::people;
use crate::scrub::{Ner, Placeholders, Rules, Scrubber, Span, Tally, apply};
use dpx_data::{Dataset, Role, Row, Rows, Source};
use dpx_ledger::Ledger;
use dpx_schema::conversation::Conversation;
use dpx_schema::params::PreprocessParams;
use dpx_schema::progress::ProgressUpdate;
use dpx_schema::{Context, StageContext, StageError};
use dpx_schema::{Prompt, PublicSchema, SCHEMA_FILE};

/// What was found in the dataset ([`dpx_data::DatasetFindings`]): internal, like the rows.
pub const FINDINGS_FILE: &str = "findings.json";
pub use dpx_data::DatasetFindings;

/// The made-up facts that training texts state, where any were planted; public.
pub(crate) const FACTS_FILE: &str = "facts.json";

/// Texts scrubbed between two reports of progress.
const CHUNK: usize = 256;

/// Runs the stage.
///
/// # Errors
/// When the dataset cannot be read or does not fit its declaration. Names files and lines, never the content of a row.
pub fn run(context: &StageContext<'_>) -> Result<(), StageError> {
    let params: PreprocessParams = context.params()?;
    // A prompt that cannot work is an error here, before anything is trained.
    let attributes = params.labels.attributes();
    Prompt::parse_with(&params.prompt, params.label_integration, &attributes)?;
    let request = dpx_data::Request::from(&params);
    let mut dataset = dpx_data::load(&request)?;
    let findings = std::mem::take(&mut dataset.findings);
    for line in findings.messages() {
        context.progress.log(&line);
    }
    let population = dataset.population();
    params.check_examples(population).map_err(StageError::new)?;
    // Before scrubbing: people are known by what they wrote, and a ledger that is damaged is told of before hours of work.
    let ledger = Ledger::at(&context.ledger.folder);
    let units = people::units(&ledger, &dataset, params.unit_column.as_deref())?;
    let scrubbers = params
        .scrub
        .0
        .iter()
        .map(|name| scrubber(name, context))
        .collect::<Result<Vec<_>, _>>()?;
    let planted: Vec<(&str, String)> = planted(&dataset.train);
    let tally = scrub(&mut dataset, &scrubbers, params.messages.is_some(), context)?;
    if !planted.is_empty() {
        let text = serde_json::to_string(&planted)?;
        std::fs::write(context.output_path("planted.json"), text + "\n")?;
    }
    if !request.facts.is_empty() {
        let text = serde_json::to_string(&request.facts)?;
        std::fs::write(context.output_path(FACTS_FILE), text + "\n")?;
    }
    for (name, rows) in dataset.splits() {
        Rows::write(context.output_path(format!("{name}.jsonl")), rows)?;
    }
    ledger.note_people(
        &people::texts(&context.output)?,
        &units,
        &people::source(&params)?,
    )?;
    let schema = PublicSchema {
        attributes,
        conversations: params.messages.is_some(),
        people: population.people,
        records: population.people.and(population.records),
        ..PublicSchema::new(
            dataset.labels,
            params.prompt,
            params.label_integration,
            population.units,
        )
    };
    schema.save(context.output_path(SCHEMA_FILE))?;
    let mut text = serde_json::to_string_pretty(&findings)?;
    text.push('\n');
    std::fs::write(context.internal_path(FINDINGS_FILE)?, text)?;
    let mut text = serde_json::to_string_pretty(&tally)?;
    text.push('\n');
    std::fs::write(context.output_path("scrub.json"), text)?;
    Ok(())
}

/// Kind and text of every piece of personal data that is known to stand in rows, before scrubbing; private, like the rows.
fn planted(rows: &[Row]) -> Vec<(&'static str, String)> {
    rows.iter()
        .flat_map(|row| {
            let pieces = row.planted.iter();
            pieces.filter_map(|piece| {
                Some((piece.kind, row.text.get(piece.start..piece.end)?.to_owned()))
            })
        })
        .collect()
}

fn scrubber(name: &str, context: &StageContext<'_>) -> Result<Box<dyn Scrubber>, StageError> {
    if name == "rules" {
        return Ok(Box::new(Rules::new()));
    }
    context.progress.log(&format!("reads the model `{name}`"));
    let model = Source::parse(name).resolve(Role::Model)?;
    let ner = Ner::load(&model.path, context.device).context("`scrub`")?;
    Ok(Box::new(ner))
}

/// Scrubs every split in place and counts.
fn scrub(
    dataset: &mut Dataset,
    scrubbers: &[Box<dyn Scrubber>],
    conversations: bool,
    context: &StageContext<'_>,
) -> Result<Tally, StageError> {
    let total: usize = dataset.splits().iter().map(|(_, rows)| rows.len()).sum();
    let mut tally = Tally::default();
    let mut done = 0;
    for (name, rows) in dataset.splits_mut() {
        for chunk in rows.chunks_mut(CHUNK) {
            if conversations {
                scrub_conversations(chunk, scrubbers, &mut tally)?;
            } else {
                scrub_texts(chunk, scrubbers, &mut tally)?;
            }
            done += chunk.len();
            let update = ProgressUpdate::texts(done as u64, total as u64).doing(name);
            context.progress.update(&update);
        }
    }
    tally.finish();
    Ok(tally)
}

fn find(
    scrubbers: &[Box<dyn Scrubber>],
    texts: &[&str],
) -> Result<Vec<Vec<Vec<Span>>>, StageError> {
    scrubbers
        .iter()
        .map(|scrubber| scrubber.find(texts))
        .collect()
}

/// What each scrubber found in the text at a place.
fn found_at(found: &[Vec<Vec<Span>>], place: usize) -> Vec<Vec<Span>> {
    found.iter().map(|lists| lists[place].clone()).collect()
}

fn scrub_texts(
    rows: &mut [Row],
    scrubbers: &[Box<dyn Scrubber>],
    tally: &mut Tally,
) -> Result<(), StageError> {
    let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
    let found = find(scrubbers, &texts)?;
    for (place, row) in rows.iter_mut().enumerate() {
        scrub_row(row, &found_at(&found, place), tally);
    }
    Ok(())
}

/// Scrubs each turn by itself, with one placeholder for each person of a conversation.
fn scrub_conversations(
    rows: &mut [Row],
    scrubbers: &[Box<dyn Scrubber>],
    tally: &mut Tally,
) -> Result<(), StageError> {
    let mut conversations = rows
        .iter()
        .map(|row| Conversation::parse(&row.text))
        .collect::<Result<Vec<_>, _>>()?;
    let texts: Vec<&str> = conversations.iter().flat_map(Conversation::said).collect();
    let found = find(scrubbers, &texts)?;
    let mut place = 0;
    for (row, conversation) in rows.iter_mut().zip(&mut conversations) {
        let mut placeholders = Placeholders::of(conversation.said());
        let mut spans = Vec::new();
        for turn in &mut conversation.turns {
            let scrubbed = placeholders.apply(&turn.content, &found_at(&found, place));
            place += 1;
            turn.content = scrubbed.text;
            spans.extend(scrubbed.spans);
        }
        tally.add(&spans, &[]);
        row.text = conversation.text();
    }
    Ok(())
}

fn scrub_row(row: &mut Row, found: &[Vec<Span>], tally: &mut Tally) {
    let scrubbed = apply(&row.text, found);
    let planted: Vec<_> = row
        .planted
        .drain(..)
        .map(|piece| (piece.kind.to_uppercase(), piece.start, piece.end))
        .collect();
    tally.add(&scrubbed.spans, &planted);
    row.text = scrubbed.text;
}

#[cfg(test)]
mod tests;
