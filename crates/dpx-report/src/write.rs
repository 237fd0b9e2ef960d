//! Filling `results/NAME/`.

use super::assemble::assemble;
use super::picture::pictures;
use super::sources::Sources;
use super::study::{Row, SampleRef, Study};
use super::{export, html, real_texts, rows, texts};
use dpx_engine::plan::Plan;
use std::fs;
use std::io;
use std::path::Path;

/// Folder of the charts in a results folder, each as svg and pdf.
pub const FIGURES: &str = "figures";

/// What a results folder holds beside what each has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Every chart as svg and pdf, in [`FIGURES`].
    pub figures: bool,
    /// Real texts on the page, which is then as private as the data.
    pub real_texts: bool,
}

/// Files that every study has, by path in its results folder.
const ALWAYS: [&str; 6] = [
    "results.json",
    "results.csv",
    "summary.md",
    "experiment.toml",
    "report.html",
    "synthetic/README.md",
];

/// Every path that [`write_results`] gives a file once the plan has run, but for charts: what has one of these names in a results
/// folder is replaced, so whose it is must be known before anything runs.
pub fn result_paths(plan: &Plan) -> Vec<String> {
    let rows = rows::rows(plan);
    let texts = rows.iter().flat_map(|row| {
        rows::samples(plan, row).flat_map(move |id| {
            let file = rows::sample_file(plan, row, id);
            texts::ENDINGS.map(|ending| format!("synthetic/{file}.{ending}"))
        })
    });
    ALWAYS.map(str::to_owned).into_iter().chain(texts).collect()
}

/// Writes a study into an empty folder: `results.json`, `results.csv`, `summary.md`, `report.html`, the experiment file, and
/// `synthetic/` with the texts of every finished row and their dataset card. Returns the study.
///
/// # Errors
/// When a file cannot be written.
pub fn write_results(
    sources: &Sources<'_>,
    experiment_file: &str,
    extent: Extent,
    folder: &Path,
) -> io::Result<Study> {
    let study = assemble(sources).map_err(io::Error::other)?;
    fs::write(folder.join("results.json"), export::json(&study)?)?;
    fs::write(
        folder.join("results.csv"),
        export::csv(&study).map_err(io::Error::other)?,
    )?;
    fs::write(folder.join("summary.md"), export::markdown(&study))?;
    fs::write(folder.join("experiment.toml"), experiment_file)?;
    let real = if extent.real_texts {
        Some(real_texts(sources, &study).map_err(io::Error::other)?)
    } else {
        None
    };
    let page = html::render(
        &study,
        &html::Extras {
            experiment_file,
            real_texts: real.as_ref(),
        },
    )
    .map_err(io::Error::other)?;
    fs::write(folder.join("report.html"), page)?;
    if extent.figures {
        for (name, bytes) in figures(&study, FIGURES) {
            let path = folder.join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, bytes)?;
        }
    }
    write_texts(sources, &study, folder)?;
    Ok(study)
}

/// Every chart of a study as files below `place`: their paths, which begin with it, and what they hold.
pub fn figures(study: &Study, place: &str) -> Vec<(String, Vec<u8>)> {
    let files = pictures(study).into_iter().flat_map(|picture| {
        let path = |ending: &str| format!("{place}/{}.{ending}", picture.name);
        [
            (path("svg"), picture.svg.into_bytes()),
            (path("pdf"), picture.pdf),
        ]
    });
    files.collect()
}

fn write_texts(sources: &Sources<'_>, study: &Study, folder: &Path) -> io::Result<()> {
    let folder = folder.join("synthetic");
    fs::create_dir_all(&folder)?;
    let mut written: Vec<(&Row, &SampleRef, bool)> = Vec::new();
    for row in &study.rows {
        for sample in &row.samples {
            let content = match sources.plan.find(&sample.instance) {
                Some(id) => sources
                    .file(id, "synthetic.csv")
                    .map_err(io::Error::other)?,
                None => None,
            };
            if let Some(content) = content {
                let conversations = texts::write(&folder, &sample.file, &content, &[])?;
                written.push((row, sample, conversations));
            }
        }
    }
    fs::write(folder.join("README.md"), texts::card(study, &written))
}
