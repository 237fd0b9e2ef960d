//! Whether the texts of a row are fit for use, in words and numbers: against the majority label, bags of words at the same
//! budget, the base model, and real texts.

use super::study::{GuaranteeKind, Row, Study};
use super::table::{difference, number, spread_or_interval};
use dpx_stages::metric::{Classification, Spread};

/// What the accuracy of a row amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fitness {
    /// Above everything that costs less.
    Fit,
    /// Not clearly above the most frequent label.
    Majority,
    /// Not clearly above bags of words at the same budget.
    Floor,
    /// Not clearly above the base model, which costs no privacy.
    Base,
}

/// Whether the texts of a row are fit to train a classifier on, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The verdict as a word.
    pub fitness: Fitness,
    /// For a table: `unfit: below word bags`.
    pub short: String,
    /// A sentence with the numbers behind it.
    pub sentence: String,
}

/// How the accuracy of a row stands to another figure.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Above,
    Equal,
    Below,
}

/// Variance of a mean: from replicates, else that of a share over the test texts, or the people whose they are.
fn variance(found: &Spread, tested: Option<&Classification>) -> f64 {
    match (found.sd, tested) {
        (Some(sd), _) => sd * sd / found.n as f64,
        (None, Some(tested)) => tested.variance_of_accuracy(),
        (None, None) => found.mean * (1.0 - found.mean),
    }
}

/// Two standard errors decide.
fn stands(own: f64, other: f64, variance: f64) -> Standing {
    let error = 2.0 * variance.max(0.0).sqrt();
    if own - other > error {
        Standing::Above
    } else if own < other {
        Standing::Below
    } else {
        Standing::Equal
    }
}

/// The verdict on a row; nothing where no classifier was tested.
pub fn verdict(study: &Study, row: &Row) -> Option<Verdict> {
    if row.is_benchmark() {
        return None;
    }
    // The better of the two sets of labels is what a user takes; a teacher alone says nothing of the texts.
    let (id, own) = ["accuracy", "accuracy_with_teacher"]
        .into_iter()
        .filter_map(|id| Some((id, *row.figures.get(id)?)))
        .max_by(|a, b| a.1.mean.total_cmp(&b.1.mean))?;
    let labels = match id {
        "accuracy_with_teacher" => " with labels by the private teacher",
        _ => "",
    };
    let tested = row.main_classification().map(|found| &found.figures);
    let texts = tested.map_or(0, |figures| figures.n / row.replicates_finished.max(1));
    let shown = spread_or_interval(row, id);
    let of_own = variance(&own, tested);
    let mut compared = Vec::new();
    let mut fitness = Fitness::Fit;
    let mut short = String::new();
    let mut compare = |name: &str, brief: &str, other: f64, more: f64, unfit: Fitness| {
        let standing = stands(own.mean, other, of_own + more);
        let (words, little) = match standing {
            Standing::Above => (format!("{} above", difference(own.mean, other, 3)), ""),
            Standing::Equal => ("not clearly above".to_owned(), "no better than"),
            Standing::Below => (format!("{} below", difference(other, own.mean, 3)), "below"),
        };
        compared.push(format!("{words} {name} ({})", number(other, 3)));
        if standing != Standing::Above && fitness == Fitness::Fit {
            fitness = unfit;
            short = format!("unfit: {little} {brief}");
        }
    };
    if let Some(majority) = &study.majority {
        compare(
            "the most frequent label",
            "majority",
            majority.accuracy,
            0.0,
            Fitness::Majority,
        );
    }
    if let Some(floor) = &row.floor {
        // On the same texts, of the same people.
        let effect = tested.map_or(1.0, Classification::design_effect);
        let more = effect * floor.accuracy * (1.0 - floor.accuracy) / texts.max(1) as f64;
        compare(
            "bags of words at the same budget",
            "word bags",
            floor.accuracy,
            more,
            Fitness::Floor,
        );
    }
    let untouched = row.guarantee.kind == GuaranteeKind::Untouched;
    let base = study.rows.iter().find(|base| {
        let others = |row: &Row| {
            let mut axes = row.axes.clone();
            axes.remove("epsilon");
            axes
        };
        base.guarantee.kind == GuaranteeKind::Untouched && others(base) == others(row)
    });
    if !untouched
        && let Some(base) = base
        && let Some(found) = base
            .figures
            .get(id)
            .or_else(|| base.figures.get("accuracy"))
    {
        let of_base = base.main_classification().map(|found| &found.figures);
        compare(
            "the base model, not fine-tuned",
            "the base model",
            found.mean,
            variance(found, of_base),
            Fitness::Base,
        );
    }
    let benchmark = study.benchmark.as_ref().and_then(Row::main_accuracy);
    let mut near = String::new();
    let real = study.real();
    if let Some((_, benchmark)) = benchmark {
        let gap = difference(benchmark.mean, own.mean, 3);
        let side = if benchmark.mean >= own.mean {
            "below"
        } else {
            "above"
        };
        let gap = gap.trim_start_matches('-');
        compared.push(format!(
            "{gap} {side} training on the {real} texts ({})",
            number(benchmark.mean, 3)
        ));
        near = format!("{gap} {side} {real} texts");
    }
    if fitness == Fitness::Fit {
        short = match (untouched, near.is_empty()) {
            (true, _) => "base model".into(),
            (false, true) => "fit".into(),
            (false, false) => format!("fit: {near}"),
        };
    }
    let word = match fitness {
        Fitness::Fit => "fit for use",
        Fitness::Majority | Fitness::Floor => "not fit for use",
        Fitness::Base => "no gain over the base model, which costs no privacy",
    };
    if compared.is_empty() {
        return None;
    }
    Some(Verdict {
        fitness,
        short,
        sentence: format!(
            "Row {} is {word}: accuracy {shown}{labels} is {}.",
            row.name,
            compared.join(", ")
        ),
    })
}

/// The row to release first: the smallest epsilon among those that are fit, or that nothing is known against. Nothing where
/// each is worse than what costs less.
pub fn offered(study: &Study) -> Option<&Row> {
    let epsilon = |row: &Row| {
        row.guarantee
            .epsilon
            .map_or(f64::INFINITY, dpx_accounting::EpsilonBound::value)
    };
    study
        .rows
        .iter()
        .filter(|row| row.guarantee.kind == GuaranteeKind::Dp && !row.samples.is_empty())
        .filter(|row| verdict(study, row).is_none_or(|verdict| verdict.fitness == Fitness::Fit))
        .min_by(|a, b| epsilon(a).total_cmp(&epsilon(b)))
}
