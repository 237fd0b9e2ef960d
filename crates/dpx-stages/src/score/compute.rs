//! From texts to figures; models come in through two small traits.

use super::read::LabelledTexts;
use super::scores::{Compared, CopyFigures, Counts, Examples, Perplexities, Scores};
use crate::metric::choose::choose;
use crate::metric::copies::Corpus;
use crate::metric::discriminator::discriminator_auc;
use crate::metric::distribution::{label_shares, lengths};
use crate::metric::diversity::diversity;
use crate::metric::facts::fact_recall;
use crate::metric::mauve::{Mauve, MauveOptions, mauve};
use crate::metric::neighbours::neighbours;
use crate::metric::perplexity::{TextLoss, perplexity};
use crate::metric::planted::{Planted, replay};
use crate::metric::similarity::set_similarity;
use crate::metric::support::support;
use crate::metric::{Embeddings, words::words};
use dpx_data::Fact;
use dpx_schema::params::ScoreParams;
use dpx_schema::progress::ProgressUpdate;
use dpx_schema::{Progress, StageError};

/// Turns texts into embeddings.
pub trait Embedder {
    /// One embedding per text, `[texts, width]`, mean pooled.
    ///
    /// # Errors
    /// When a text cannot be encoded or the model fails.
    fn embed(&self, texts: &[String]) -> Result<Embeddings, StageError>;

    /// Whether the embeddings share a large common part, as those of causal language models do, so that the mean of the
    /// held-out texts is to be taken away from all.
    fn needs_centring(&self) -> bool;
}

/// A language model, by the losses that it gives texts.
pub trait LmScorer {
    /// The loss of each text, given as (label, text).
    ///
    /// # Errors
    /// When a text cannot be encoded or the model fails.
    fn losses(&self, texts: &[(&str, &str)]) -> Result<Vec<TextLoss>, StageError>;
}

/// Models that a score may use.
#[derive(Default)]
pub struct Models<'a> {
    /// What similarity and its like are measured with; none: those figures are left out.
    pub embedder: Option<&'a dyn Embedder>,
    /// The model that wrote the texts.
    pub trained: Option<&'a dyn LmScorer>,
    /// The public model that the generator started from.
    pub base: Option<&'a dyn LmScorer>,
}

/// The texts that figures compare.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "the names of the fields say what they are")]
pub struct Texts {
    /// In the declared order.
    pub labels: Vec<String>,
    pub synthetic: LabelledTexts,
    /// What the generator was trained on.
    pub training: LabelledTexts,
    /// Texts of the test split.
    pub held_out: LabelledTexts,
    /// Personal data known to stand in the training texts.
    pub planted: Vec<Planted>,
    /// Made-up facts that training texts state.
    pub facts: Vec<Fact>,
}

/// Computes every figure that the parameters ask for.
///
/// # Errors
/// When a model fails, or it was asked to stop.
pub fn compute(
    texts: &Texts,
    params: &ScoreParams,
    seed: u64,
    models: &Models<'_>,
    progress: &dyn Progress,
) -> Result<Scores, StageError> {
    const STEPS: u64 = 4;
    let most = params.max_texts as usize;
    let synthetic = pick(&texts.synthetic, most, seed, "synthetic");
    let held_out = pick(&texts.held_out, most, seed, "held out");
    let training = pick(&texts.training, held_out.len(), seed, "training");
    progress.update(&ProgressUpdate::steps(0, STEPS).doing("lengths, words and copies"));
    let word_counts = |set: &LabelledTexts| -> Vec<u64> {
        set.texts
            .iter()
            .map(|text| words(text).len() as u64)
            .collect()
    };
    let equal = pick(&texts.training, synthetic.len(), seed, "diversity");
    let mut scores = Scores {
        version: Scores::VERSION,
        encoder: model_name(&params.encoder),
        base: params
            .perplexity
            .then(|| model_name(&params.base))
            .filter(|name| !name.is_empty()),
        centred: false,
        labels: texts.labels.clone(),
        n: Counts {
            synthetic: texts.synthetic.len() as u64,
            training: texts.training.len() as u64,
            held_out: texts.held_out.len() as u64,
            embedded: synthetic.len().max(held_out.len()) as u64,
        },
        similarity: None,
        mauve: None,
        discriminator_auc: None,
        support: None,
        diversity: Compared {
            synthetic: diversity(&synthetic.texts),
            ceiling: Some(diversity(&equal.texts)),
        },
        lengths: lengths(
            &word_counts(&texts.synthetic),
            &word_counts(&texts.held_out),
        ),
        label_shares: label_shares(
            &texts.labels,
            texts.synthetic.label_counts(texts.labels.len()),
            texts.training.label_counts(texts.labels.len()),
        ),
        perplexity: None,
        copies: params.copies.then(|| copy_figures(texts, seed)),
        neighbours: None,
        replay: replay(&texts.planted, &texts.synthetic.texts),
        facts: fact_recall(&texts.facts, &texts.synthetic.texts),
        examples: examples(texts, params.examples as usize, seed),
        conversations: None,
        student: None,
    };
    stop_if_asked(progress)?;
    if let Some(embedder) = models.embedder {
        progress.update(&ProgressUpdate::steps(1, STEPS).doing("embedding"));
        let sides = [&synthetic, &held_out, &training];
        let mut embedded = Vec::with_capacity(sides.len());
        for side in sides {
            embedded.push(embedder.embed(&side.texts)?);
            stop_if_asked(progress)?;
        }
        let sides = [
            synthetic.labels.as_slice(),
            &held_out.labels,
            &training.labels,
        ];
        progress.update(&ProgressUpdate::steps(2, STEPS).doing("similarity"));
        scores.centred = embedder.needs_centring();
        if scores.centred {
            embedded = centred(&embedded);
        }
        compare_embeddings(&mut scores, embedded, sides, params, seed);
    }
    stop_if_asked(progress)?;
    if params.perplexity {
        progress.update(&ProgressUpdate::steps(3, STEPS).doing("perplexity"));
        let few = params.perplexity_texts as usize;
        let [synthetic, held_out, training] =
            [&synthetic, &held_out, &training].map(|set| pick(set, few, seed, "perplexity"));
        scores.perplexity = Some(perplexities(
            texts,
            [&synthetic, &held_out, &training],
            models,
        )?);
    }
    progress.update(&ProgressUpdate::steps(STEPS, STEPS));
    Ok(scores)
}

/// The name of a model; of a folder its last part, since where it lies says nothing of the figures, and a path is nobody's
/// business who reads them.
fn model_name(source: &str) -> String {
    let named = ["builtin:", "hf:", "stage:"];
    if named.iter().any(|prefix| source.starts_with(prefix)) {
        return source.to_owned();
    }
    let path = std::path::Path::new(source);
    match path.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None if source.is_empty() => String::new(),
        // `models/..` and `/` have no last part.
        None => "folder".to_owned(),
    }
}

fn stop_if_asked(progress: &dyn Progress) -> Result<(), StageError> {
    if progress.stop_requested() {
        return Err(StageError::interrupted());
    }
    Ok(())
}

fn pick(set: &LabelledTexts, most: usize, seed: u64, purpose: &str) -> LabelledTexts {
    set.select(&choose(set.len(), most, seed, purpose))
}

/// Subtracts the mean of the held-out embeddings (the second set) from all: without it every cosine is near 1, since the
/// embeddings of one model share a direction (Mu and Viswanath 2018).
pub(super) fn centred(sets: &[Embeddings]) -> Vec<Embeddings> {
    let reference = &sets[1];
    let width = reference.width();
    let mut mean = vec![0.0_f64; width];
    for row in reference.rows() {
        for (sum, &value) in mean.iter_mut().zip(row) {
            *sum += f64::from(value) / reference.len() as f64;
        }
    }
    sets.iter()
        .map(|set| {
            if set.width() != width {
                return set.clone();
            }
            let values = set
                .rows()
                .flat_map(|row| {
                    row.iter()
                        .zip(&mean)
                        .map(|(&v, m)| (f64::from(v) - m) as f32)
                })
                .collect();
            Embeddings::new(values, width).expect("as many values as before")
        })
        .collect()
}

/// Every figure that needs embeddings, given as synthetic, held out, training.
fn compare_embeddings(
    scores: &mut Scores,
    sets: Vec<Embeddings>,
    labels: [&[usize]; 3],
    params: &ScoreParams,
    seed: u64,
) {
    let [synthetic, held_out, training] =
        <[Embeddings; 3]>::try_from(sets).expect("three sets were embedded");
    let count = scores.labels.len();
    let similarity =
        |set: &Embeddings, own: &[usize]| set_similarity(set, own, &held_out, labels[1], count);
    scores.similarity = compared(
        similarity(&synthetic, labels[0]),
        similarity(&training, labels[2]),
    );
    let Scores {
        mauve,
        discriminator_auc: auc,
        support: supports,
        neighbours: near,
        ..
    } = scores;
    // What runs on one thread stands beside what fills all of them; no figure depends on it.
    rayon::scope(|scope| {
        if params.mauve {
            scope.spawn(|_| *mauve = mauves(&synthetic, &held_out, &training, params, seed));
        }
        scope.spawn(|_| {
            let (own, ceiling) = rayon::join(
                || discriminator_auc(&synthetic, &held_out, seed),
                || discriminator_auc(&training, &held_out, seed),
            );
            *auc = compared(own, ceiling);
        });
        scope.spawn(|_| {
            *supports = compared(
                support(&synthetic, &held_out, 3),
                support(&training, &held_out, 3),
            );
        });
        if params.copies {
            scope.spawn(|_| *near = neighbours(&synthetic, &training, &held_out));
        }
    });
}

/// MAUVE and its ceiling.
fn mauves(
    synthetic: &Embeddings,
    held_out: &Embeddings,
    training: &Embeddings,
    params: &ScoreParams,
    seed: u64,
) -> Option<Compared<Mauve>> {
    let options = MauveOptions {
        clusters: params.mauve_clusters as usize,
        ..MauveOptions::default()
    };
    // Equal numbers on both sides: the score depends on them.
    let size = synthetic.len().min(held_out.len());
    let rows = choose(synthetic.len(), size, seed, "mauve");
    let others = choose(held_out.len(), size, seed, "mauve");
    let reference = held_out.select(&others);
    let twin = training.select(&choose(training.len(), size, seed, "mauve"));
    let synthetic = synthetic.select(&rows);
    let (own, ceiling) = rayon::join(
        || mauve(&synthetic, &reference, &options),
        || mauve(&twin, &reference, &options),
    );
    compared(own, ceiling)
}

pub(super) fn compared<T>(synthetic: Option<T>, ceiling: Option<T>) -> Option<Compared<T>> {
    synthetic.map(|synthetic| Compared { synthetic, ceiling })
}

fn copy_figures(texts: &Texts, seed: u64) -> CopyFigures {
    let training = Corpus::new(&texts.training.texts);
    let held_out = Corpus::new(&texts.held_out.texts);
    let equal = pick(&texts.training, texts.held_out.len(), seed, "copies");
    let equal = Corpus::new(&equal.texts);
    CopyFigures {
        training: training.copies(&texts.synthetic.texts),
        training_equal: equal.copies(&texts.synthetic.texts),
        held_out: held_out.copies(&texts.synthetic.texts),
        natural: training.copies(&texts.held_out.texts),
        natural_equal: Some(equal.copies(&texts.held_out.texts)),
    }
}

fn perplexities(
    texts: &Texts,
    [synthetic, held_out, training]: [&LabelledTexts; 3],
    models: &Models<'_>,
) -> Result<Perplexities, StageError> {
    let of = |model: Option<&dyn LmScorer>, set: &LabelledTexts| {
        let Some(model) = model else { return Ok(None) };
        let pairs: Vec<(&str, &str)> = set
            .labels
            .iter()
            .zip(&set.texts)
            .map(|(&label, text)| (texts.labels[label].as_str(), text.as_str()))
            .collect();
        Ok::<_, StageError>(perplexity(&model.losses(&pairs)?))
    };
    Ok(Perplexities {
        held_out_under_model: of(models.trained, held_out)?,
        training_under_model: of(models.trained, training)?,
        synthetic_under_base: of(models.base, synthetic)?,
        held_out_under_base: of(models.base, held_out)?,
    })
}

fn examples(texts: &Texts, most: usize, seed: u64) -> Vec<Examples> {
    texts
        .labels
        .iter()
        .enumerate()
        .map(|(index, label)| {
            let own: Vec<usize> = (0..texts.synthetic.len())
                .filter(|&row| texts.synthetic.labels[row] == index)
                .collect();
            Examples {
                label: label.clone(),
                texts: choose(own.len(), most, seed, "examples")
                    .into_iter()
                    .map(|at| texts.synthetic.texts[own[at]].clone())
                    .collect(),
            }
        })
        .collect()
}
