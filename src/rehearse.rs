//! `dpx rehearse`: the same study on public texts, before the private ones are touched.
//!
//! The stand-in has as many texts in each split as the data, the declared labels in equal shares, and lengths up to those that the
//! study reads. Nothing else of the data is looked at: their number is public by declaration, their words are not. Its texts are
//! those of `builtin:emotions`, put together and cut; with more labels than emotions each has words of its own in them.

use super::experiment::{CacheArgs, ExperimentArgs, build};
use super::families::LocalModels;
use super::results::ResultsArgs;
use super::state::StateArgs;
use super::{Error, ExitCode, output, run};
use dpx_data::{Request, Row, builtin};
use dpx_engine::cache::REHEARSAL;
use dpx_engine::experiment::quoted;
use dpx_engine::plan::{Instance, rehearsal_of};
use dpx_nn::seed::Stream;
use dpx_report::account::{is_local, preprocess_params};
use dpx_schema::params::PreprocessParams;
use dpx_schema::{Kind, Unit};
use std::collections::BTreeMap;
use std::path::Path;

/// Words of its own that a label has where there are more labels than emotions.
const OWN_WORDS: usize = 12;

/// Tokens of a word, about.
const TOKENS_PER_WORD: u64 = 2;

/// Run the same study on public stand-in texts: what the settings do is seen before the private data are touched.
///
/// The stand-in has as many texts, the same labels and lengths up to those of the study; it is written to the cache, and its runs go
/// to a ledger of their own. Figures say what the settings do and how long they take, not what your data will give.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    experiment: ExperimentArgs,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    results: ResultsArgs,
    /// Training texts of the stand-in [default: as many as the data have, or of data on the Hub `examples` declares]
    #[arg(long, value_name = "N")]
    texts: Option<u64>,
    /// Words of a text at most [default: what `max_length` holds]
    #[arg(long, value_name = "N")]
    words: Option<u64>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let experiment = args.experiment.load()?;
    let plan = build(&experiment, &LocalModels)?;
    let name = rehearsal_of(&plan.experiment);
    let folder = args.cache.cache.join(REHEARSAL).join(&plan.experiment);
    let words = args.words.unwrap_or_else(|| {
        let lengths = plan.instances.iter().filter(|one| one.kind == Kind::Train);
        let longest = lengths
            .filter_map(|one| one.params["max_length"].as_u64())
            .max();
        (longest.unwrap_or(64) / TOKENS_PER_WORD).max(4)
    });
    let mut set = args.experiment.set.clone();
    set.push(format!("experiment.name={}", quoted(&name)));
    let mut stages: BTreeMap<&str, &Instance> = BTreeMap::new();
    for instance in plan
        .instances
        .iter()
        .filter(|one| one.kind == Kind::Preprocess)
    {
        stages.entry(&instance.stage).or_insert(instance);
    }
    for (stage, instance) in &stages {
        let params = preprocess_params(instance)?;
        let Size {
            texts: sizes,
            people,
        } = Size::of(&params, args.texts)?;
        if params.messages.is_some() || !params.labels.attributes().is_empty() {
            return Err(Error::usage(format!(
                "`{stage}` reads conversations, or several columns of labels: a rehearsal has texts with one label alone to stand in for them"
            ))
            .hint("take a few of your own records instead: `limit = 200` in the stage"));
        }
        let labels = if params.labels.is_empty() && params.label_column.is_empty() {
            vec![dpx_data::NO_LABEL.to_owned()]
        } else if params.labels.is_empty() {
            builtin::EMOTION_LABELS.map(str::to_owned).to_vec()
        } else {
            params.labels.labels()
        };
        let path = folder.join(stage);
        write(&path, sizes, &labels, words, plan.seed, people)?;
        let path = std::path::absolute(&path)?;
        for (key, value) in [
            ("dataset", path.display().to_string()),
            ("text_column", "text".to_owned()),
            ("label_column", "label".to_owned()),
        ] {
            set.push(format!("stage.{stage}.{key}={}", quoted(&value)));
        }
        if params.labels.is_empty() {
            let names: Vec<String> = labels.iter().map(|label| quoted(label)).collect();
            set.push(format!("stage.{stage}.labels=[{}]", names.join(", ")));
        }
        if params.unit_column.is_some() {
            set.push(format!("stage.{stage}.unit_column={}", quoted("person")));
        }
        if params.examples.is_some() {
            let units = people.map_or(sizes[0], |people| people.min(sizes[0]));
            set.push(format!("stage.{stage}.examples={units}"));
        }
        output::note(&format!(
            "rehearsal: {} training texts{} of {} labels with up to {words} words stand in for `{stage}`: {}",
            sizes[0],
            people.map_or_else(String::new, |people| format!(
                " by {}",
                Unit::User.counted(people)
            )),
            labels.len(),
            path.display()
        ));
    }
    let experiment = ExperimentArgs {
        file: args.experiment.file.clone(),
        set,
    };
    let state = StateArgs::at(folder.join("state"));
    run::study(experiment, args.cache.clone(), state, args.results.clone())
}

/// How large a stand-in is.
struct Size {
    /// Texts of train, validation and test.
    texts: [u64; 3],
    /// How many people the training texts are of, where people are protected: as many as the data have, so that each has as many
    /// texts on average.
    people: Option<u64>,
}

impl Size {
    /// That of the data, which are read once, or what is asked for or declared.
    fn of(params: &PreprocessParams, asked: Option<u64>) -> Result<Self, Error> {
        let of = |train: u64| [train, (train / 10).max(2), (train / 10).max(20)];
        let most = params.max_per_unit();
        let data = if is_local(params) && (asked.is_none() || most.is_some()) {
            let data = dpx_data::load(&Request::from(params));
            Some(data.map_err(|error| Error::usage(error.to_string()))?)
        } else {
            None
        };
        let texts = match (asked, &data) {
            (Some(train), _) => of(train.max(2)),
            (None, Some(data)) => {
                [&data.train, &data.validation, &data.test].map(|rows| rows.len() as u64)
            }
            (None, None) => of(declared(params)?),
        };
        let people = most.map(|most| {
            let found = match &data {
                Some(data) => {
                    let population = data.population();
                    let records = population.records.unwrap_or(population.units);
                    let each = records as f64 / population.units.max(1) as f64;
                    (texts[0] as f64 / each).round() as u64
                }
                None => params.examples.unwrap_or(texts[0]),
            };
            // Nobody has more texts than may stay.
            found.clamp(texts[0].div_ceil(most).max(2), texts[0].max(2))
        });
        Ok(Self { texts, people })
    }
}

/// The training texts that a study of data on the Hub declares.
fn declared(params: &PreprocessParams) -> Result<u64, Error> {
    let unknown =
        || Error::usage("the data are not on this machine, so that their number is not known");
    if params.unit_column.is_some() {
        return Err(unknown().hint(
            "give the number of texts with `--texts N`: `examples` declares that of people",
        ));
    }
    params
        .examples
        .ok_or_else(|| unknown().hint("give it with `--texts N`, or declare `examples`"))
}

/// Writes the stand-in as a folder of splits, its texts in turn those of so many people, where there are people.
fn write(
    folder: &Path,
    sizes: [u64; 3],
    labels: &[String],
    words: u64,
    seed: u64,
    people: Option<u64>,
) -> Result<(), Error> {
    let source = builtin::emotions();
    std::fs::create_dir_all(folder)?;
    for ((split, size), rows) in ["train", "validation", "test"].into_iter().zip(sizes).zip([
        &source.train,
        &source.validation,
        &source.test,
    ]) {
        let stand_in = StandIn::new(rows, labels, words, seed);
        let path = folder.join(format!("{split}.jsonl"));
        let mut text = String::new();
        for number in 0..size {
            let (line, label) = stand_in.text(split, number);
            let mut row = serde_json::json!({"text": line, "label": label});
            if let Some(people) = people {
                // Each has a text in turn, beginning elsewhere each time: with labels in turn, too, a person would have one label else.
                let mut stream = Stream::new(seed, "people of a rehearsal", &[number / people]);
                let person = (number + stream.below(people)) % people;
                row["person"] = format!("{split} {person}").into();
            }
            text.push_str(&row.to_string());
            text.push('\n');
        }
        std::fs::write(&path, text).map_err(|error| {
            Error::failed(format!("could not write `{}`: {error}", path.display()))
        })?;
    }
    Ok(())
}

/// Public texts put together anew.
struct StandIn<'a> {
    texts: Vec<Vec<&'a str>>,
    labels: &'a [String],
    /// Words of each label's own, where there are more labels than emotions.
    own: Vec<Vec<String>>,
    words: u64,
    seed: u64,
}

impl<'a> StandIn<'a> {
    fn new(rows: &'a [Row], labels: &'a [String], words: u64, seed: u64) -> Self {
        let mut by_emotion: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for row in rows {
            by_emotion.entry(&row.label).or_default().push(&row.text);
        }
        let texts: Vec<Vec<&str>> = by_emotion.into_values().collect();
        let own = if labels.len() > texts.len() {
            // Words that are neither the most frequent nor the rarest.
            let all: Vec<String> = builtin::words()
                .into_iter()
                .skip(500)
                .map(|(word, _)| word)
                .collect();
            (0..labels.len())
                .map(|label| {
                    (0..OWN_WORDS)
                        .map(|at| all[(label * OWN_WORDS + at) % all.len()].clone())
                        .collect()
                })
                .collect()
        } else {
            Vec::new()
        };
        Self {
            texts,
            labels,
            own,
            words,
            seed,
        }
    }

    /// A text with its label: a function of the seed, the split and the number.
    fn text(&self, split: &str, number: u64) -> (String, &'a str) {
        let mut stream = Stream::new(self.seed, &format!("rehearsal {split}"), &[number]);
        let label = (number % self.labels.len() as u64) as usize;
        let texts = &self.texts[label % self.texts.len()];
        let length = self.words / 2 + stream.below(self.words / 2 + 1);
        let mut words: Vec<&str> = Vec::new();
        while (words.len() as u64) < length {
            let text = texts[stream.below(texts.len() as u64) as usize];
            words.extend(text.split_whitespace());
        }
        words.truncate(length as usize);
        if let Some(own) = self.own.get(label) {
            for _ in 0..2 {
                let at = stream.below(words.len() as u64 + 1) as usize;
                words.insert(at, &own[stream.below(own.len() as u64) as usize]);
            }
        }
        (words.join(" "), &self.labels[label])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_in_has_the_labels_the_number_and_the_lengths() {
        let folder = tempfile::tempdir().unwrap();
        for count in [2, 9] {
            let labels: Vec<String> = (0..count).map(|label| format!("label {label}")).collect();
            write(folder.path(), [90, 9, 20], &labels, 12, 1, None).unwrap();
            let read = |split: &str| std::fs::read_to_string(folder.path().join(split)).unwrap();
            let train = read("train.jsonl");
            assert_eq!(
                (train.lines().count(), read("test.jsonl").lines().count()),
                (90, 20)
            );
            let mut seen: BTreeMap<String, usize> = BTreeMap::new();
            for line in train.lines() {
                let row: serde_json::Value = serde_json::from_str(line).unwrap();
                *seen
                    .entry(row["label"].as_str().unwrap().to_owned())
                    .or_default() += 1;
                let words = row["text"].as_str().unwrap().split(' ').count();
                assert!((6..=14).contains(&words), "{words}");
            }
            assert_eq!(seen.len(), count);
            assert!(
                seen.values().all(|number| *number == 90 / count),
                "{seen:?}"
            );
            write(folder.path(), [90, 9, 20], &labels, 12, 1, None).unwrap();
            assert_eq!(read("train.jsonl"), train, "the same each time");
        }
    }

    /// Whatever the numbers of people and of labels are.
    #[test]
    fn people_of_a_stand_in_have_several_labels_and_equal_shares() {
        let folder = tempfile::tempdir().unwrap();
        for (people, labels) in [(30, 2), (31, 2), (30, 3), (31, 3)] {
            let labels: Vec<String> = (0..labels).map(|label| format!("label {label}")).collect();
            write(folder.path(), [300, 9, 20], &labels, 12, 1, Some(people)).unwrap();
            let text = std::fs::read_to_string(folder.path().join("train.jsonl")).unwrap();
            let mut of: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for line in text.lines() {
                let row: serde_json::Value = serde_json::from_str(line).unwrap();
                let word = |key: &str| row[key].as_str().unwrap().to_owned();
                of.entry(word("person")).or_default().push(word("label"));
            }
            assert_eq!(of.len() as u64, people);
            let most = of.values().map(Vec::len).max();
            assert!(most <= Some(10), "{most:?}");
            let one_label = |own: &&Vec<String>| own.iter().all(|label| *label == own[0]);
            assert!(of.values().filter(one_label).count() < 5, "{people}");
        }
    }
}
