//! `dpx export`: a trained model, or its adapter, as `transformers` and PEFT load it.

use super::experiment::{CacheArgs, ExperimentArgs};
use super::outgoing::{self, Outgoing, Stopped, checked};
use super::state::StateArgs;
use super::studies::Loaded;
use super::{Error, ExitCode, output};
use clap::ValueEnum;
use dpx_engine::run::new_folder;
use dpx_report::{License, Publication, Release, Wanted, write_internal};
use dpx_schema::publication::{NO_LICENSE, check_language, check_license, check_license_name};
use dpx_stages::export::Form;
use std::path::PathBuf;

/// Write the model of a row as a folder that `transformers` or PEFT load, with its guarantee.
///
/// A model that leaves is a release of what was trained: the same rows are refused as by `dpx release`, it is entered in the
/// ledger and counts beside earlier releases of the same people, and `dpx verify` checks it. The folder holds weights,
/// tokenizer, chat template and settings of the public model, the prompt of each label as training wrote it
/// (label_prompts.json), a model card, privacy.json, PRIVACY.md and checksums.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    experiment: ExperimentArgs,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    state: StateArgs,
    /// Row whose model is written, such as `epsilon=3` [default: the only one]
    #[arg(long, value_name = "ROW")]
    row: Option<String>,
    /// Stage that trains the model, of kind `train` or `pretrain` [default: the only one of kind `train`]
    #[arg(long, value_name = "STAGE")]
    stage: Option<String>,
    /// Folder to write to; must not exist yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Write the LoRA adapter alone, for PEFT; only for rows with `parameters = "lora"`
    #[arg(long)]
    adapter: bool,
    /// Format of the weights
    #[arg(long, value_enum, default_value_t = Dtype::F32, conflicts_with = "adapter")]
    dtype: Dtype,
    /// Write a model for internal use, marked as not for release: rows without a guarantee are refused without this
    #[arg(long, conflicts_with_all = ["license", "license_name", "language"])]
    internal: bool,
    /// License of the model as the Hugging Face Hub calls it [default: what the public model behind it states, or unknown]
    #[arg(long, value_name = "ID", value_parser = checked(check_license))]
    license: Option<String>,
    /// Name of a license that the Hub does not know
    #[arg(long, value_name = "NAME", value_parser = checked(check_license_name))]
    license_name: Option<String>,
    /// Language of the model, such as en; may be repeated [default: `[release]` in FILE, or none]
    #[arg(long, value_name = "CODE", value_parser = checked(check_language))]
    language: Vec<String>,
}

/// Format of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Dtype {
    /// 32 bits: exact
    F32,
    /// bfloat16: rounded, half the size
    Bf16,
}

impl Args {
    fn wanted(&self) -> Wanted {
        Wanted {
            row: self.row.clone(),
            stage: self.stage.clone(),
            form: if self.adapter {
                Form::Adapter
            } else {
                Form::Whole {
                    bf16: self.dtype == Dtype::Bf16,
                }
            },
        }
    }

    /// The license that the publisher names.
    fn license(&self) -> Result<Option<License>, Error> {
        let id = self.license.clone();
        if self.license_name.is_some() && id.as_deref().is_some_and(|id| id != NO_LICENSE) {
            return Err(Error::usage(
                "`--license-name` has a meaning beside `--license other` alone",
            )
            .hint("leave one of them out"));
        }
        Ok(
            (id.is_some() || self.license_name.is_some()).then(|| License {
                id: id.unwrap_or_else(|| NO_LICENSE.to_owned()),
                name: self.license_name.clone(),
            }),
        )
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    outgoing::is_new(&args.out, &args.cache.cache)?;
    let loaded = Loaded::new(&args.experiment, &args.cache.cache)?;
    if args.internal {
        return internal(args, &loaded);
    }
    let declared = args.license()?;
    let release = loaded
        .with(|sources| Release::of_model(sources, &args.wanted()))?
        .map_err(refused)?;
    let language = loaded.experiment.release.language.as_ref();
    let publication = Publication {
        license: declared
            .or_else(|| release.license().cloned())
            .unwrap_or_else(|| License {
                id: NO_LICENSE.to_owned(),
                name: None,
            }),
        language: if args.language.is_empty() {
            language.map_or_else(Vec::new, |list| list.0.clone())
        } else {
            args.language.clone()
        },
        dpx_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let gone = Outgoing {
        loaded: &loaded,
        file: &args.experiment.file,
        state: &args.state,
        release: &release,
        publication: &publication,
        out: &args.out,
    }
    .leave()?;
    if publication.license.id == "unknown" {
        output::note(
            "note: the public model behind this one states no license that dpx knows, so the card says `unknown`: name it with `--license`",
        );
    }
    let what = if args.adapter { "adapter" } else { "model" };
    output::print(&format!("{}: {what}, {gone}", args.out.display()))?;
    Ok(ExitCode::Done)
}

/// What would leave with `--internal`, and why not without.
fn refused(error: dpx_report::ReleaseError) -> Error {
    let may_stay = error.may_stay();
    let error = Error::from(error);
    if may_stay {
        error.hint(
            "`--internal` writes it for use within the organization, marked as not for release",
        )
    } else {
        error
    }
}

/// Writes a model that stays.
fn internal(args: &Args, loaded: &Loaded) -> Result<ExitCode, Error> {
    let mut why = "";
    let version = env!("CARGO_PKG_VERSION");
    loaded
        .with(|sources| {
            new_folder(&args.out, |fresh| {
                why = write_internal(sources, &args.wanted(), version, fresh)?;
                Ok::<(), Stopped>(())
            })
        })?
        .map_err(|Stopped(error)| error)?;
    output::note(&format!("warning: NOT FOR RELEASE: {why}"));
    output::print(&format!(
        "{}: internal, not for release, no guarantee stated",
        args.out.display()
    ))?;
    Ok(ExitCode::Done)
}
