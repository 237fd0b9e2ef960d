//! `counts`: noisy histograms over declared domains: labels, lengths, label x keyword.
//!
//! Where people are protected, the records of a person share one vote in each histogram, so that nobody moves it by more than
//! one record does where records are.
//!
//! All histograms together are one Gaussian mechanism of the stage's noise multiplier: a histogram with share `a` of the
//! stage's 1/sigma^2 gets noise of standard deviation `sigma / sqrt(a)` times its sensitivity. Cells are declared, never
//! found: a label that is absent from the data has a noisy count like any other.

mod combinations;
mod distributions;
mod histogram;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use combinations::Combinations;
pub(crate) use histogram::{Counted, Exact, Noisy, NoisyCounts, keywords_of};

use super::keyed_run::KeyedRun;
use super::members::shares;
use super::private::{self, Machine, PrivateStage, Spending};
use dpx_accounting::DpEvent;
use dpx_data::{Rows, builtin};
use dpx_schema::conversation::Conversation;
use dpx_schema::params::{AttributeCounts, BasePrecision, CountsParams};
use dpx_schema::{Context, Finish, PublicSchema, StageContext, StageError, StageResult};
use dpx_sgd::grid::f64_rounding_allowance;
use dpx_sgd::key::{Key, forbid_core_dumps};
use dpx_sgd::privatize::{NoiseSpec, privatize};
use dpx_sgd::sum::GradientSum;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Name of the file with the released counts.
const COUNTS_FILE: &str = "counts.json";

/// Counts, adds noise, writes `counts.json`, `privacy.json` and `statement.txt`.
///
/// # Errors
/// When an input does not fit, or the budget cannot be met.
pub(super) fn run(context: &StageContext<'_>) -> StageResult {
    let params: CountsParams = context.params()?;
    forbid_core_dumps();
    let stage = PrivateStage::open(context, params.noise)?;
    let (input, schema) = (stage.input, &stage.schema);
    let keywords = keyword_list(&params.keywords)?;
    let untouched = stage.plan.spending == Spending::Untouched;
    let run = (!untouched).then(|| stage.begin()).transpose()?;
    let exact = if untouched {
        histograms(&[], schema, &params, &keywords)
    } else {
        let rows = Rows::read(input.path.join("train.jsonl"))?;
        let said: Vec<Cow<'_, str>> = rows
            .iter()
            .map(|row| said(&row.text, schema.conversations))
            .collect();
        let texts: Vec<&str> = said.iter().map(AsRef::as_ref).collect();
        let labels = rows
            .iter()
            .map(|row| schema.label_index(&row.label))
            .collect::<Result<Vec<_>, _>>()?;
        let counted = Counted::of(&texts, &labels, shares(&rows, schema)?.as_deref());
        histograms(&counted, schema, &params, &keywords)
    };
    let people = schema.people.is_some();
    let mut key = run.as_ref().map_or_else(
        // Nothing is looked at, and no noise is drawn.
        || Key::seeded(context.seed, &context.instance),
        |run| run.key.clone(),
    );
    let (mut noisy, mut drawn, mut widest) = (Vec::new(), Vec::new(), 0.0_f64);
    for (histogram, share) in exact {
        let noise = (stage.plan.noise_multiplier() > 0.0)
            .then(|| stage.plan.noise_multiplier() / share.sqrt());
        if !histogram.cells.is_empty() {
            drawn.push(noise);
        }
        let allowance = if people {
            allowance(&histogram, schema)
        } else {
            // Counts are integers and lie on the grid.
            0.0
        };
        widest = widest.max(allowance);
        noisy.push(release(histogram, noise, allowance, &key)?);
        // Each histogram has streams of its own.
        key = key.ratchet();
    }
    let mut noisy = noisy.into_iter();
    let (label_counts, combinations) = of_labels(schema, &params, noisy.next().unwrap_or_default());
    let released = NoisyCounts {
        labels: schema.labels.clone(),
        label_counts,
        combinations,
        keyword_counts: noisy.next().unwrap_or_default(),
        keywords,
        keywords_per_text: params.keywords_per_text,
        length_counts: noisy.next().unwrap_or_default(),
        length_edges: params.length_edges.clone(),
        threshold: params.threshold,
    };
    // On one line: a histogram over all common words has more than 100,000 cells.
    let json = serde_json::to_string(&released)?;
    std::fs::write(context.output_path(COUNTS_FILE), json + "\n")?;
    let machine = Machine {
        max_grad_norm: 1.0,
        rounding_allowance: widest,
        max_length: None,
        clipping: None,
        base_precision: BasePrecision::F32,
    };
    let record = run.as_ref().map_or_else(
        || stage.untouched(),
        |run| stage.record(&run.id, Some(executed(&drawn)), machine),
    );
    private::save(context, &record)?;
    Ok(run.map_or_else(Finish::nothing, KeyedRun::finish))
}

/// Whether pairs of values are counted instead of combinations.
fn by_pairs(schema: &PublicSchema, params: &CountsParams) -> bool {
    params.attributes == AttributeCounts::Pairwise && schema.attributes.len() > 1
}

/// The counts of labels, and what follows of their combinations where there are several columns.
fn of_labels(
    schema: &PublicSchema,
    params: &CountsParams,
    counts: Noisy,
) -> (Noisy, Option<Combinations>) {
    let attributes = &schema.attributes;
    if attributes.is_empty() || counts.cells.is_empty() {
        return (counts, None);
    }
    if !by_pairs(schema, params) {
        let found = Combinations::joint(attributes, &counts);
        return (counts, Some(found));
    }
    let found = Combinations::pairwise(attributes, &counts);
    let total = found.total(&counts).max(0.0);
    let fitted = Noisy {
        cells: found.shares.iter().map(|share| share * total).collect(),
        noise_std: counts.noise_std,
    };
    (fitted, Some(found))
}

/// What the histograms amount to: one Gaussian mechanism, as the noise multipliers of parts of one vector compose by adding
/// their 1/sigma^2. A histogram without noise leaves no guarantee.
pub(crate) fn executed(drawn: &[Option<f64>]) -> DpEvent {
    let Some(drawn) = drawn.iter().copied().collect::<Option<Vec<f64>>>() else {
        return DpEvent::NonPrivate;
    };
    if drawn.is_empty() {
        return DpEvent::composed([]);
    }
    let precision: f64 = drawn.iter().map(|sigma| sigma.powi(-2)).sum();
    DpEvent::gaussian(precision.sqrt().recip()).unwrap_or(DpEvent::NonPrivate)
}

/// The counts that a `counts` stage released into a folder.
pub(super) fn load(folder: &Path) -> Result<NoisyCounts, StageError> {
    let path = folder.join(COUNTS_FILE);
    let bytes = std::fs::read(&path).context(path.display())?;
    serde_json::from_slice(&bytes).context(path.display())
}

/// A public list of keywords: none, `builtin:feelings`, `builtin:words`, or the lines of a file; each word once.
pub(super) fn keyword_list(name: &str) -> Result<Vec<String>, StageError> {
    let mut list: Vec<String> = match name {
        "" => Vec::new(),
        "builtin:feelings" => builtin::feelings()
            .iter()
            .map(|feeling| feeling.word.to_owned())
            .collect(),
        "builtin:words" => builtin::words().into_iter().map(|(word, _)| word).collect(),
        path => std::fs::read_to_string(path)
            .context(format_args!("`keywords`: cannot read `{path}`"))?
            .lines()
            .map(|line| line.trim().to_lowercase())
            .filter(|line| !line.is_empty())
            .collect(),
    };
    // A word that stood twice would have a cell that no text can reach.
    let mut seen = HashSet::new();
    list.retain(|word| seen.insert(word.clone()));
    Ok(list)
}

/// The histograms of labels, keywords and lengths, each with its share of the stage's 1/sigma^2. Domains that are not
/// declared have no cells and take no share.
fn histograms(
    counted: &[Counted<'_>],
    schema: &PublicSchema,
    params: &CountsParams,
    keywords: &[String],
) -> [(Exact, f64); 3] {
    let index: HashMap<String, usize> = keywords
        .iter()
        .enumerate()
        .map(|(at, word)| (word.clone(), at))
        .collect();
    let classes = schema.labels.len();
    let others = usize::from(!keywords.is_empty()) + usize::from(!params.length_edges.is_empty());
    let label_share = if others == 0 { 1.0 } else { params.label_share };
    let rest = 1.0 - label_share;
    let length_share = match params.length_share {
        Some(share) if others == 2 => share,
        _ => rest / others.max(1) as f64,
    };
    let keyword_share = if others == 2 {
        rest - length_share
    } else {
        rest
    };
    let none = Exact {
        cells: Vec::new(),
        sensitivity: 1.0,
    };
    let by_keyword = if keywords.is_empty() {
        none.clone()
    } else {
        histogram::keyword_histogram(counted, classes, &index, params.keywords_per_text as usize)
    };
    let by_length = if params.length_edges.is_empty() {
        none
    } else {
        histogram::length_histogram(counted, &params.length_edges)
    };
    let by_label = if by_pairs(schema, params) {
        combinations::pairwise_histogram(counted, &schema.attributes)
    } else {
        histogram::label_histogram(counted, classes)
    };
    [
        (by_label, label_share),
        (by_keyword, keyword_share),
        (by_length, length_share),
    ]
}

/// What a text says, which may be a conversation: the words of its turns, without the names of the roles that stand before them.
pub(crate) fn said(text: &str, conversations: bool) -> Cow<'_, str> {
    if !conversations {
        return Cow::Borrowed(text);
    }
    Conversation::parse(text).map_or(Cow::Borrowed(text), |found| {
        Cow::Owned(found.said().collect::<Vec<_>>().join("\n"))
    })
}

/// Noisy counts that are never released, for a comparison: `records` texts of one unit may move them, each text counting as
/// `shares` say.
///
/// # Errors
/// When the noise cannot be drawn.
pub(crate) fn simulated(
    counted: &[Counted<'_>],
    schema: &PublicSchema,
    params: &CountsParams,
    noise_multiplier: f64,
    records: u64,
    mut key: Key,
) -> Result<NoisyCounts, StageError> {
    let keywords = keyword_list(&params.keywords)?;
    let mut noisy = Vec::new();
    for (histogram, share) in histograms(counted, schema, params, &keywords) {
        let noise =
            (noise_multiplier > 0.0).then(|| noise_multiplier * records as f64 / share.sqrt());
        noisy.push(release(histogram, noise, 0.0, &key)?);
        key = key.ratchet();
    }
    let mut noisy = noisy.into_iter();
    Ok(NoisyCounts {
        labels: schema.labels.clone(),
        label_counts: noisy.next().unwrap_or_default(),
        combinations: None,
        keyword_counts: noisy.next().unwrap_or_default(),
        keywords,
        keywords_per_text: params.keywords_per_text,
        length_counts: noisy.next().unwrap_or_default(),
        length_edges: params.length_edges.clone(),
        threshold: params.threshold,
    })
}

/// Share by which rounding may exceed the sensitivity of a histogram of parts of votes.
pub(crate) fn allowance(exact: &Exact, schema: &PublicSchema) -> f64 {
    let most = schema.people.map_or(1, |people| people.max_per_unit);
    let records = schema.examples.saturating_mul(most);
    f64_rounding_allowance(exact.cells.len(), exact.sensitivity, records)
}

/// Noise on every cell of a histogram, those that nobody moved included.
pub(crate) fn release(
    exact: Exact,
    noise_multiplier: Option<f64>,
    rounding_allowance: f64,
    key: &Key,
) -> Result<Noisy, StageError> {
    if exact.cells.is_empty() {
        return Ok(Noisy::default());
    }
    let protection =
        noise_multiplier.map_or(NoiseSpec::None, |noise_multiplier| NoiseSpec::Gaussian {
            noise_multiplier,
            sensitivity: exact.sensitivity,
            rounding_allowance,
        });
    protection.check()?;
    let sum = GradientSum::of(vec![exact.cells]);
    let cells = privatize(&sum, &protection, key, 1.0)
        .to_vec(0)
        .into_iter()
        .map(f64::from)
        .collect();
    Ok(Noisy {
        cells,
        noise_std: noise_multiplier.unwrap_or(0.0) * exact.sensitivity,
    })
}
