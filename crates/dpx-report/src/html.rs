//! `report.html`: one self-contained file.

use super::chart::svg::visible;
use super::metric::{METRICS, Metric};
use super::page::{self, Matrices, TextsOfLabel, Tile};
use super::real_texts::RealTexts;
use super::study::Study;
use super::table::Table;
use super::{claim, table};
use askama::Template;
use dpx_schema::Unit;
use sha2::{Digest, Sha256};

/// What the page shows beside the study.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extras<'a> {
    /// The experiment file as it was written.
    pub experiment_file: &'a str,
    /// Real texts, shown only where they were asked for.
    pub real_texts: Option<&'a RealTexts>,
}

/// Filters texts and rows; the page is complete without it. Its digest stands in the page's policy, so that no other script runs.
const SCRIPT: &str = include_str!("../templates/report.js");

const CSS: &str = include_str!("../templates/report.css");

type Charts = Vec<(String, String)>;

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    study: &'a Study,
    css: &'static str,
    script: &'static str,
    script_digest: String,
    picker_css: String,
    sections: Vec<(&'static str, &'static str)>,
    warnings: Vec<String>,
    claim: String,
    fitness: Option<String>,
    facts: String,
    written: Table,
    interval_note: Option<&'static str>,
    floor_note: Option<&'static str>,
    mauve_note: Option<String>,
    tiles: Vec<Tile>,
    summary_sentence: String,
    summary: Table,
    joint: Option<String>,
    joint_rows: Vec<String>,
    joint_subsets: Vec<(usize, String)>,
    tradeoff: Charts,
    tradeoff_sentence: String,
    reference_source: Option<&'a str>,
    privacy_sentence: String,
    audit_sentence: Option<String>,
    privacy_chart: Option<String>,
    mechanisms: Table,
    epsilon_sentence: String,
    epsilon_charts: Charts,
    groups: Table,
    groups_note: &'static str,
    beyond_unit: &'static str,
    fidelity_sentence: String,
    measured_with: Option<String>,
    fidelity_charts: Charts,
    fidelity: Table,
    made_up_facts: Table,
    labels_sentence: String,
    matrices: Charts,
    other_matrices: Charts,
    matrices_left_out: usize,
    confusions: Table,
    label_changes: Table,
    texts: Vec<TextsOfLabel<'a>>,
    texts_shown: usize,
    labels_left_out: usize,
    many_labels: bool,
    leakage_sentence: String,
    leakage_charts: Charts,
    leakage: Table,
    copies: Table,
    replay: Table,
    scrubbing_sentence: String,
    scrubbing: Table,
    run_sentence: String,
    run_charts: Charts,
    instances: Table,
    statements: Vec<(String, String)>,
    devices: String,
    experiment_file: &'a str,
    keys: Table,
    metrics: &'static [Metric],
}

/// The page of a study.
///
/// # Errors
/// When the template cannot be filled, which does not happen.
pub fn render(study: &Study, extras: &Extras<'_>) -> Result<String, askama::Error> {
    let nothing = RealTexts::default();
    let texts = page::texts(study, extras.real_texts.unwrap_or(&nothing));
    let (joint_rows, joint_subsets) = page::joint_subsets(study);
    let Matrices {
        shown: matrices,
        others: other_matrices,
        left_out: matrices_left_out,
    } = page::matrices(study);
    let mut picker_css = page::picker_css(texts.len());
    picker_css.push_str(&page::joint_css(joint_rows.len()));
    let mut view = Page {
        study,
        css: CSS,
        script: SCRIPT,
        script_digest: base64(&Sha256::digest(SCRIPT.as_bytes())),
        picker_css,
        sections: Vec::new(),
        warnings: claim::warnings(study),
        claim: claim::claim(study),
        fitness: claim::fitness(study),
        facts: study.facts.sentence(&study.dpx_version),
        written: super::facts::table(&study.rows),
        interval_note: table::interval_note(study),
        floor_note: study
            .rows
            .iter()
            .any(|row| row.floor.is_some())
            .then_some(super::terminal::FLOOR_NOTE),
        mauve_note: claim::few_texts(study),
        tiles: page::tiles(study),
        summary_sentence: page::summary_sentence(study),
        summary: table::summary(study).without(&table::IN_OTHER_SECTIONS),
        joint: claim::joint(study),
        joint_rows,
        joint_subsets,
        tradeoff: page::tradeoff(study),
        tradeoff_sentence: page::tradeoff_sentence(study),
        reference_source: study
            .reference
            .as_ref()
            .and_then(|reference| reference.source.as_deref()),
        privacy_sentence: page::privacy_sentence(study),
        audit_sentence: page::audit_sentence(study),
        privacy_chart: super::chart::budget::draw(study),
        mechanisms: page::mechanisms(study),
        epsilon_sentence: page::epsilon_sentence(study),
        epsilon_charts: page::epsilon_charts(study),
        groups: page::groups(study),
        groups_note: match study.unit() {
            Unit::Example => {
                "One person with several texts is a group: the guarantee for that person is the group's epsilon."
            }
            Unit::User => {
                "Several people together, such as a family, are a group: what the guarantee says of all of them at once is the group's epsilon."
            }
        },
        beyond_unit: match study.unit() {
            Unit::Example => "a person with several texts, beyond the group epsilon above",
            Unit::User => {
                "several people together, beyond the group epsilon above; somebody who appears in the data under several names"
            }
        },
        fidelity_sentence: page::fidelity_sentence(study),
        measured_with: claim::measured_with(study),
        fidelity_charts: page::fidelity_charts(study),
        made_up_facts: page::facts(study),
        fidelity: table::group(
            study,
            super::metric::Group::Fidelity,
            "Fidelity of every row; internal",
        ),
        labels_sentence: page::labels_sentence(study),
        matrices,
        other_matrices,
        matrices_left_out,
        confusions: page::confusions(study),
        label_changes: page::label_changes(study),
        texts_shown: page::texts_each(study),
        labels_left_out: study.labels.len().saturating_sub(page::MOST_LABELS),
        many_labels: texts.len() > 24,
        texts,
        leakage_sentence: page::leakage_sentence(study),
        leakage_charts: page::leakage_charts(study),
        leakage: table::group(
            study,
            super::metric::Group::Leakage,
            "Copies and distances of every row; internal diagnostics",
        ),
        copies: page::copies(study),
        replay: page::replay(study),
        scrubbing_sentence: page::scrubbing_sentence(study),
        scrubbing: page::scrubbing(study),
        run_sentence: page::run_sentence(study),
        run_charts: page::run_charts(study),
        instances: page::instances(study),
        statements: page::statements(study),
        devices: page::devices(study),
        experiment_file: extras.experiment_file,
        keys: page::keys(study),
        metrics: METRICS,
    };
    view.sections = sections(&view);
    view.render()
}

/// Base 64 with padding, as a policy writes digests.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for part in 0..4 {
            if part <= chunk.len() {
                let letter = group >> (18 - 6 * part) & 63;
                text.push(char::from(LETTERS[letter as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// The sections that the page has, for its navigation.
fn sections(view: &Page<'_>) -> Vec<(&'static str, &'static str)> {
    [
        ("status", "Status", true),
        ("claim", "Claim", true),
        ("summary", "Summary", true),
        ("tradeoff", "Trade-off", !view.tradeoff.is_empty()),
        ("privacy", "Privacy", true),
        ("epsilon", "Epsilon", true),
        ("fidelity", "Fidelity", !view.fidelity.rows.is_empty()),
        (
            "labels",
            "Labels",
            !view.matrices.is_empty() || !view.confusions.rows.is_empty(),
        ),
        ("texts", "Texts", !view.texts.is_empty()),
        ("leakage", "Leakage", !view.leakage.rows.is_empty()),
        ("scrubbing", "Scrubbing", !view.scrubbing.rows.is_empty()),
        ("data", "Data", !view.study.findings.is_empty()),
        ("run", "Run", true),
        ("statement", "Statement", true),
        ("reproduce", "Reproduce", true),
        ("glossary", "Glossary", true),
    ]
    .into_iter()
    .filter(|(_, _, shown)| *shown)
    .map(|(anchor, name, _)| (anchor, name))
    .collect()
}

#[expect(
    clippy::inline_always,
    clippy::trivially_copy_pass_by_ref,
    clippy::unnecessary_wraps,
    clippy::unused_self,
    unreachable_pub,
    reason = "the macro writes the filter's type, and the signature is askama's"
)]
mod filters {
    use std::fmt::Display;

    /// Makes control and directional characters visible; escaping follows.
    #[askama::filter_fn]
    pub(super) fn shown(text: impl Display, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(text.to_string().chars().map(super::visible).collect())
    }

    /// A number with two decimals.
    #[askama::filter_fn]
    pub(super) fn two(number: &f64, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(format!("{number:.2}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_64_is_that_of_rfc_4648() {
        let shown =
            ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| base64(text.as_bytes()));
        assert_eq!(
            shown,
            [
                "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"
            ]
        );
    }
}
