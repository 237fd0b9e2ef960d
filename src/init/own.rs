//! An experiment for somebody's own data, with settings that fit its size.

use crate::model_memory::context;
use dpx_data::own_data::{Asked, Look, RARE};
use dpx_engine::experiment::{quoted, relative};
use dpx_report::advice::{Settings, settings};
use std::fmt::Write;
use std::path::Path;

/// Labels on a line of the list.
const ON_A_LINE: usize = 6;

/// Records of one person that are used, at most.
const MAX_PER_UNIT: u64 = 16;
/// The same where records are sampled, since noise grows with it then.
const MAX_PER_UNIT_OF_RECORDS: u64 = 4;
/// The model of the experiment: it is in dpx, and small.
const MODEL: &str = "builtin:base";

/// The text of an experiment file in `folder`.
pub(super) fn experiment(look: &Look, data: &str, asked: Asked<'_>, folder: &Path) -> String {
    let train = look
        .description
        .splits
        .iter()
        .find(|split| split.split == "train");
    let figures = train.and_then(|train| train.figures.as_ref());
    let rows = figures.map_or(0, |figures| figures.texts) as u64;
    // Without a test split a tenth of the rows goes there, and another tenth for validation.
    let made = look.description.splits.len();
    // Batches and epochs are of people where these are what is protected.
    let people = train.and_then(|train| train.people.as_ref());
    let shared = people.is_some_and(|people| people.several_owners > 0);
    let unit = asked.unit;
    let units = match people {
        Some(people) if !shared => people.people as u64,
        _ => rows,
    };
    let examples = match made {
        1 => units * 8 / 10,
        2 => units * 9 / 10,
        _ => units,
    };
    let words = figures.map_or(30, |figures| figures.words.most_95) as u64;
    let Settings {
        batch_size,
        epochs,
        learning_rate,
        max_length,
        count,
        why,
    } = settings(examples, words);
    let max_length = context(MODEL).map_or(max_length, |context| max_length.min(context));
    let name: String = Path::new(data)
        .file_stem()
        .map(|stem| stem.to_string_lossy().to_lowercase())
        .unwrap_or_default()
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '-'
            }
        })
        .collect();
    let name = match name.trim_matches('-') {
        "" => "my-study",
        name => name,
    };
    let names = look.description.label_names().unwrap_or_default();
    let quoted_names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    let labels = if names.len() <= ON_A_LINE {
        format!("[{}]", quoted_names.join(", "))
    } else {
        let lines: Vec<String> = quoted_names
            .chunks(ON_A_LINE)
            .map(|chunk| format!("    {},", chunk.join(", ")))
            .collect();
        format!("[\n{}\n]", lines.join("\n"))
    };
    let counts = match (people, figures) {
        (Some(people), _) => Some(&people.by_label),
        (None, figures) => figures.map(|figures| &figures.labels),
    };
    let counts = counts.into_iter().flat_map(|counts| counts.values());
    let rare = counts.filter(|count| **count < RARE).count();
    let labelled = !look.label_column.is_empty();
    let mut text = format!(
        "# Written by `dpx init --data`: an experiment for texts of your own. `dpx check FILE --data` looks at the data again, `dpx plan FILE`\n# says what would run and what to expect, `dpx rehearse FILE` runs the same study on public texts first, `dpx run FILE` runs it.\n\n[experiment]\nname = {}\nseed = 42\n\n[sweep]\nepsilon = [\"inf\", 8, 3, 0]         # inf: no privacy, the most that the model can do; 0: no private data, what it can do for nothing\n# replicate = [1, 2, 3]            # error bars, at three times the cost\n\n[privacy]\ndelta = \"auto\"                     # number of training {} to the power of -1.1\nnoise = \"secure\"\n",
        quoted(name),
        if unit.is_some() { "people" } else { "texts" }
    );
    if unit.is_some() {
        text.push_str("unit = \"user\"                      # a person with all of their records: docs/units.md\n");
    }
    let _ = write!(
        text,
        "\n[stage.preprocess]\nkind = \"preprocess\"\ndataset = {}\n{} = {}\nlabel_column = {}\n",
        quoted(&relative(folder, Path::new(data))),
        if asked.messages.is_some() {
            "messages"
        } else {
            "text_column"
        },
        quoted(&look.text_column),
        quoted(&look.label_column),
    );
    if let Some(unit) = unit {
        let _ = writeln!(text, "unit_column = {}", quoted(unit));
        let _ = writeln!(
            text,
            "max_per_unit = {}                  # a public bound: choose it without a look at how many people have",
            if shared {
                MAX_PER_UNIT_OF_RECORDS
            } else {
                MAX_PER_UNIT
            }
        );
    }
    if labelled {
        text.push_str("# Labels are public: they stand in prompts, models and releases. They were read from the data: look at each.\n");
        if rare > 0 {
            let _ = writeln!(
                text,
                "# {rare} of them have fewer than {RARE} {}: join them with others in the data, or expect little of them.",
                if people.is_some() { "people" } else { "texts" }
            );
        }
        let _ = writeln!(text, "labels = {labels}");
    }
    let _ = write!(
        text,
        "scrub = \"rules\"                    # emails, addresses, phone numbers, handles, long numbers; names need a model\nprompt = \"{{label}}:{}{{text}}\"\n\n[stage.train]\nkind = \"train\"\nneeds = [\"preprocess\"]\nmodel = \"{MODEL}\"             # small, for a first look; \"hf:HuggingFaceTB/SmolLM2-135M\" or larger for texts of use\nepsilon = \"$epsilon\"\n",
        if asked.messages.is_some() { "\\n" } else { " " }
    );
    if shared {
        text.push_str("unit_sampling = \"examples\"         # records of several people cannot be sampled by person: docs/units.md\n");
    }
    let _ = write!(
        text,
        "clipping = \"automatic\"\n# {why}\nbatch_size = {batch_size}\nepochs = {epochs}\nlearning_rate = {learning_rate}\n# From the lengths in the data, and public from now on: choose a number that you would have chosen without them.\nmax_length = {max_length}\n\n[stage.sample]\nkind = \"sample\"\nneeds = [\"train\"]                  # the model is all it may see\ncount = {count}\ntemperature = 0.9\ntop_p = 0.95\nmax_new_tokens = {max_length}\n"
    );
    text.push_str(if labelled { CLASSIFIED } else { UNLABELLED });
    text
}

const CLASSIFIED: &str = r#"
[stage.classify]                   # utility: learns from synthetic texts, is tested on real ones
kind = "classify"
needs = ["sample", "preprocess"]
model = "bag-of-words"             # seconds

[stage.benchmark]                  # its ceiling: learns from the real texts
kind = "classify"
needs = ["preprocess"]
model = "bag-of-words"

[stage.score]                      # fidelity: how near the synthetic texts come to the real ones, and whether they copy
kind = "score"
needs = ["sample", "preprocess", "classify", "train"]
max_texts = 1200
"#;

const UNLABELLED: &str = r#"
[stage.score]                      # fidelity: how near the synthetic texts come to the real ones, and whether they copy
kind = "score"
needs = ["sample", "preprocess", "train"]
student_epochs = 3                 # utility: what a model learns of real texts from the synthetic ones
max_texts = 1200
"#;
