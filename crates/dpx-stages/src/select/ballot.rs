//! What a private text votes for, and the sum of all votes before the noise.

use super::pool::Pool;
use crate::counts::{Counted, Exact};
use crate::fault::fault;
use crate::metric::Embeddings;
use crate::metric::kmeans::{centres, nearest};
use dpx_schema::params::{SelectParams, VoteFor};

/// Most iterations of k-means.
const ITERATIONS: usize = 12;

/// The cells of one text's vote, each with its part of it; the parts have a Euclidean norm of at most 1.
pub(super) type Ballot = Vec<(usize, f64)>;

/// The ways to vote, made of the pool and the parameters alone.
pub(super) enum Booth {
    /// Cells `[labels, clusters]`, row-major.
    Clusters {
        /// `[clusters, width]`.
        centres: Embeddings,
        /// The cluster of each text of the pool.
        of_pool: Vec<usize>,
    },
    /// A cell for each text of the pool.
    Nearest {
        /// Texts that a vote is divided among.
        votes: usize,
    },
}

impl Booth {
    /// Clusters the pool where votes are for clusters.
    pub(super) fn new(pool: &Pool, params: &SelectParams, seed: u64) -> Self {
        match params.by {
            VoteFor::Clusters => {
                let centres = centres(&pool.embeddings, params.clusters as usize, ITERATIONS, seed);
                let of_pool = nearest(&pool.embeddings, &centres);
                Self::Clusters { centres, of_pool }
            }
            VoteFor::Nearest => Self::Nearest {
                votes: params.votes_per_text as usize,
            },
        }
    }

    /// Number of clusters; 0 where votes are for single texts.
    pub(super) fn clusters(&self) -> usize {
        match self {
            Self::Clusters { centres, .. } => centres.len(),
            Self::Nearest { .. } => 0,
        }
    }

    /// The cluster of each text of the pool; none where votes are for single texts.
    pub(super) fn of_pool(self) -> Vec<usize> {
        match self {
            Self::Clusters { of_pool, .. } => of_pool,
            Self::Nearest { .. } => Vec::new(),
        }
    }

    pub(super) fn cells(&self, pool: &Pool, labels: usize) -> usize {
        match self {
            Self::Clusters { centres, .. } => labels * centres.len(),
            Self::Nearest { .. } => pool.labels.len(),
        }
    }

    /// The vote of each text, by its label and embedding alone.
    pub(super) fn ballots(
        &self,
        pool: &Pool,
        labels: &[usize],
        embeddings: &Embeddings,
    ) -> Vec<Ballot> {
        match self {
            Self::Clusters { centres, .. } => labels
                .iter()
                .zip(nearest(embeddings, centres))
                .map(|(label, cluster)| vec![(label * centres.len() + cluster, 1.0)])
                .collect(),
            Self::Nearest { votes } => {
                let mut ballots = vec![Ballot::new(); labels.len()];
                let most = labels
                    .iter()
                    .chain(&pool.labels)
                    .max()
                    .map_or(0, |most| most + 1);
                for label in 0..most {
                    let own = places(labels, label);
                    let candidates = places(&pool.labels, label);
                    let texts = pool.embeddings.select(&candidates);
                    let found = embeddings
                        .select(&own)
                        .fold_dots(&texts, |_, dots| nearest_of(dots, *votes));
                    for (text, found) in own.into_iter().zip(found) {
                        ballots[text] = found
                            .into_iter()
                            .map(|place| (candidates[place], part(*votes)))
                            .collect();
                    }
                }
                ballots
            }
        }
    }
}

/// What each of so many votes of one text counts: together they have norm 1.
fn part(votes: usize) -> f64 {
    if fault!(VotesCountInFull) {
        return 1.0;
    }
    (votes as f64).sqrt().recip()
}

fn places(labels: &[usize], label: usize) -> Vec<usize> {
    let all = 0..labels.len();
    all.filter(|&place| labels[place] == label).collect()
}

/// Places of the largest; of equals the first.
fn nearest_of(dots: &[f32], most: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..dots.len()).collect();
    let by_size = |a: &usize, b: &usize| dots[*b].total_cmp(&dots[*a]).then(a.cmp(b));
    if order.len() > most {
        order.select_nth_unstable_by(most, by_size);
        order.truncate(most);
    }
    order.sort_unstable_by(by_size);
    order
}

/// The sum of all votes, each with its text's part of its unit's vote.
pub(super) fn counted_votes(counted: &[Counted<'_>], ballots: &[Ballot], cells: usize) -> Exact {
    let mut sums = vec![0.0; cells];
    for (one, ballot) in counted.iter().zip(ballots) {
        for (cell, part) in ballot {
            sums[*cell] += one.weight * part;
        }
    }
    Exact {
        cells: sums,
        sensitivity: 1.0,
    }
}
