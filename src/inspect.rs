//! `dpx inspect`: what a model, a dataset or a built-in asset is, and what a model computes.

mod builtin;
mod dataset;
mod describe;

use super::{Error, ExitCode, OrError, download, output};
use dpx_data::{self, Resolved, Role, Source, hub};
use dpx_nn::model::ModelConfig;
use dpx_nn::text::{TextError, Tokenizer};
use dpx_schema::params::RoleOf;
use dpx_stages::{Inputs, model_outputs};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Show what a model, a dataset or a built-in asset is, and what a model computes
///
/// NAME is a model (a folder, `hf:OWNER/NAME[@REVISION]`, `builtin:base`), a dataset (a csv, tsv, jsonl or parquet file, a
/// folder of splits, with `--dataset` also `hf:OWNER/NAME[/CONFIG][@REVISION]`), or a built-in asset: `builtin:emotions`,
/// `builtin:dialogue`, `builtin:words`, `builtin:feelings`.
///
/// Of a dataset it shows columns, splits, labels and lengths, with `--unit COLUMN` how many records each person has; texts only
/// with `--examples`, since they may be private.
///
/// With `--ids` or `--text` the model is run: a language model gives the losses, logits, gradient norms and greedy
/// continuations of each row, a classifier logits (with labels also loss and gradient norm), a token classifier the
/// likeliest class of each token, an encoder mean-pooled embeddings. With this a user checks that a model was understood.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// A file, a folder, `hf:OWNER/NAME[@REVISION]`, or `builtin:NAME`
    name: String,
    /// Run the model on a JSON object with `input_ids`, `attention_mask` and perhaps `labels`
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    ids: Option<PathBuf>,
    /// Run the model on a text
    #[arg(long)]
    text: Option<String>,
    /// The name is a dataset's: where the Hub may have a model of that name
    #[arg(long, conflicts_with_all = ["ids", "text"])]
    dataset: bool,
    /// Show so many texts of each label, private as they may be [default: 0; 1 of `builtin:emotions`, which is public]
    #[arg(long, value_name = "N", conflicts_with_all = ["ids", "text"])]
    examples: Option<usize>,
    /// Column that holds the text
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_column: String,
    /// Column that holds conversations, instead of texts
    #[arg(long, value_name = "NAME", conflicts_with_all = ["ids", "text", "text_column"])]
    messages: Option<String>,
    /// Whose turns those of other roles are: `system`, `user`, `assistant`, or `ignore`, as in `customer=user,note=ignore`
    #[arg(long, value_name = "ROLE=WHOSE", value_delimiter = ',', value_parser = role, requires = "messages")]
    roles: Vec<(String, RoleOf)>,
    /// Column that holds the label; empty: there is none [default: label; of conversations only where there is one]
    #[arg(long, value_name = "NAME")]
    label_column: Option<String>,
    /// Column of the people whose records these are: show how many each has
    #[arg(long, value_name = "COLUMN", conflicts_with_all = ["ids", "text"])]
    unit: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let no_model = || {
        if args.ids.is_some() || args.text.is_some() {
            return Err(Error::usage(format!(
                "`{}` is no model: `--ids` and `--text` run models",
                args.name
            )));
        }
        Ok(())
    };
    if args.unit.is_some() && args.name.starts_with("builtin:") {
        return Err(Error::usage(format!(
            "`{}` does not say whose its records are: `--unit` is for data sets of your own",
            args.name
        )));
    }
    if let Some(description) = builtin::describe(&args.name, args.examples.unwrap_or(1), args.json)
    {
        no_model()?;
        output::print(&description)?;
        return Ok(ExitCode::Done);
    }
    if args.dataset || dpx_data::looks_like_dataset(Path::new(&args.name)) {
        no_model()?;
        return describe_dataset(args);
    }
    describe_model(args)
}

fn describe_dataset(args: &Args) -> Result<ExitCode, Error> {
    let source = find(&args.name, Role::Dataset)?;
    let unit = args.unit.as_deref();
    let roles = args.roles.iter().cloned().collect();
    let described = |label: &str| {
        dpx_data::describe_resolved(
            &source,
            &args.text_column,
            args.messages.as_deref(),
            &roles,
            label,
            unit,
        )
        .or_usage()
    };
    let mut description = described(args.label_column.as_deref().unwrap_or("label"))?;
    if args.label_column.is_none() && args.messages.is_some() {
        let mut splits = description.splits.iter();
        if splits.all(|split| !split.columns.iter().any(|column| column == "label")) {
            description = described("")?;
        }
    }
    let view = dataset::View {
        name: &args.name,
        description: &description,
        examples: args.examples.unwrap_or(0),
        public: false,
    };
    if args.json {
        output::print(&format!("{:#}", view.json()))?;
    } else {
        output::print(&dpx_schema::printable_lines(&view.text()))?;
    }
    // Whoever checks data in a script sees a problem without reading the words.
    let problem = description.splits.iter().any(|split| {
        let nobodys = split
            .people
            .as_ref()
            .is_some_and(|people| people.without > 0);
        split.problem.is_some() || nobodys
    });
    Ok(if problem {
        ExitCode::Failed
    } else {
        ExitCode::Done
    })
}

/// A role and whose turns its are, as `--roles` has them.
fn role(text: &str) -> Result<(String, RoleOf), String> {
    let (role, whose) = text
        .split_once('=')
        .ok_or("expected ROLE=WHOSE, such as `customer=user`")?;
    let whose = RoleOf::deserialize(whose.trim().into_deserializer())
        .map_err(|error: serde::de::value::Error| error.to_string())?;
    Ok((role.trim().to_owned(), whose))
}

/// The files of a model or dataset; what the Hub has is downloaded with a bar.
fn find(name: &str, role: Role) -> Result<Resolved, Error> {
    let source = Source::parse(name);
    source.check(role).or_usage()?;
    match &source {
        Source::Hub(name) => Ok(download::one(&hub::Hub::from_env(), role, name)?.into()),
        _ => source.resolve(role).or_usage(),
    }
}

fn describe_model(args: &Args) -> Result<ExitCode, Error> {
    let source = find(&args.name, Role::Model)?;
    let folder = &source.path;
    let config = ModelConfig::read(folder)?;
    // A model may come without a tokenizer; then it is run on ids alone. One that cannot be read is a problem.
    let tokenizer = Tokenizer::load(folder);
    if let Err(error) = &tokenizer
        && folder.join("tokenizer.json").exists()
    {
        return Err(Error::failed(error.to_string()));
    }
    match &tokenizer {
        Err(error) if !matches!(error, TextError::NoTokenizer { .. }) => {
            output::note(&format!("without its tokenizer: {error}"));
        }
        _ => {}
    }
    let inputs = inputs(args, tokenizer.as_ref())?;
    let results = match &inputs {
        Some(inputs) => Some(model_outputs(folder, &config, inputs)?),
        None => None,
    };
    if args.json {
        let mut object = match results {
            Some(results) => results,
            None => describe::json(&args.name, &source, &config, tokenizer.as_ref().ok())?,
        };
        if let (Some(text), Some(inputs)) = (&args.text, &inputs) {
            object.insert("text".into(), text.as_str().into());
            object.insert("input_ids".into(), inputs.sequences.clone().into());
        }
        output::print(&format!("{:#}", Value::Object(object)))?;
        return Ok(ExitCode::Done);
    }
    output::print(&describe::text(
        &args.name,
        &source,
        &config,
        tokenizer.as_ref().ok(),
    )?)?;
    if let Some(results) = results {
        output::print(&figures(&results))?;
    }
    Ok(ExitCode::Done)
}

fn inputs(args: &Args, tokenizer: Result<&Tokenizer, &TextError>) -> Result<Option<Inputs>, Error> {
    if let Some(text) = &args.text {
        let tokenizer = tokenizer.map_err(|error| {
            let error = match error {
                TextError::NoTokenizer { .. } => "the model has no tokenizer".to_owned(),
                other => other.to_string(),
            };
            Error::usage(error).hint("`--text` needs a tokenizer; `--ids` runs the model without")
        })?;
        let ids = tokenizer.encode_with_special(text)?;
        return Ok(Some(Inputs {
            sequences: vec![ids],
            labels: None,
        }));
    }
    args.ids.as_deref().map(read_ids).transpose()
}

fn read_ids(path: &Path) -> Result<Inputs, Error> {
    #[derive(serde::Deserialize)]
    struct File {
        input_ids: Vec<Vec<u32>>,
        attention_mask: Option<Vec<Vec<u32>>>,
        labels: Option<Vec<u32>>,
    }
    let wrong = |problem: String| Error::usage(format!("`{}`: {problem}", path.display()));
    let text = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let file: File = serde_json::from_slice(&text).map_err(|error| {
        wrong(format!(
            "expected an object with `input_ids` and `attention_mask`, lists of lists of numbers: {error}"
        ))
    })?;
    let rows = file.input_ids.len();
    if let Some(labels) = file.labels.as_ref().filter(|labels| labels.len() != rows) {
        return Err(wrong(format!("{} `labels` for {rows} rows", labels.len())));
    }
    let masks = file.attention_mask.unwrap_or_else(|| {
        file.input_ids
            .iter()
            .map(|ids| vec![1; ids.len()])
            .collect()
    });
    let fits = masks.len() == rows
        && masks
            .iter()
            .zip(&file.input_ids)
            .all(|(mask, ids)| mask.len() == ids.len());
    if !fits {
        return Err(wrong(
            "`attention_mask` and `input_ids` differ in shape".into(),
        ));
    }
    let sequences = file
        .input_ids
        .into_iter()
        .zip(masks)
        .map(|(ids, mask)| {
            let kept = ids.into_iter().zip(mask).filter(|(_, kept)| *kept != 0);
            kept.map(|(id, _)| id).collect()
        })
        .collect();
    Ok(Inputs {
        sequences,
        labels: file.labels,
    })
}

/// Results for people: the first few numbers of each row.
fn figures(results: &Map<String, Value>) -> String {
    let mut lines = Vec::new();
    for (key, value) in results {
        for (row, value) in value.as_array().into_iter().flatten().enumerate() {
            let numbers: Vec<String> = match value {
                Value::Array(numbers) => numbers.iter().take(12).map(Value::to_string).collect(),
                number => vec![number.to_string()],
            };
            let more = value
                .as_array()
                .map_or(0, Vec::len)
                .saturating_sub(numbers.len());
            let more = if more > 0 {
                format!(" ... ({more} more)")
            } else {
                String::new()
            };
            lines.push(format!("{key}[{row}]  {}{more}", numbers.join(" ")));
        }
    }
    lines.join("\n")
}
