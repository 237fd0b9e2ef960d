//! k-means (Lloyd 1982) with k-means++ starts (Arthur and Vassilvitskii 2007): one matrix product per iteration.

use super::Embeddings;
use super::choose::{Stream, choose};
use dpx_nn::Array;
use dpx_nn::kernel::{Side, matmul};
use rayon::prelude::*;

/// A quantisation: for each row the number of its cluster, below `clusters`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Clustering {
    pub assignment: Vec<usize>,
    /// Number of clusters asked for; some may be empty.
    pub clusters: usize,
    /// Sum of squared distances to the centres.
    pub inertia: f64,
}

/// The best of `redos` runs of k-means with at most `max_iterations` iterations each. Reproducible for a seed.
pub(crate) fn kmeans(
    data: &Embeddings,
    clusters: usize,
    redos: usize,
    max_iterations: usize,
    seed: u64,
) -> Clustering {
    let clusters = clusters.clamp(1, data.len().max(1));
    let squares = squares(data);
    (0..redos.max(1) as u64)
        .map(|redo| {
            run(
                data,
                &squares,
                clusters,
                max_iterations,
                seed ^ (redo << 32),
            )
        })
        .reduce(|best, next| {
            if next.inertia < best.inertia {
                next
            } else {
                best
            }
        })
        .expect("at least one run is made")
}

fn run(
    data: &Embeddings,
    squares: &[f64],
    clusters: usize,
    max_iterations: usize,
    seed: u64,
) -> Clustering {
    let mut stream = Stream::new(seed);
    let mut centres = start(data, squares, clusters, &mut stream);
    let mut assignment = Vec::new();
    let mut inertia = f64::INFINITY;
    for _ in 0..max_iterations.max(1) {
        let nearest = assign(data, squares, &centres);
        let next: Vec<usize> = nearest.iter().map(|&(cluster, _)| cluster).collect();
        inertia = nearest.iter().map(|&(_, distance)| distance).sum();
        if next == assignment {
            break;
        }
        assignment = next;
        centres = means(data, &assignment, &centres, &nearest);
    }
    Clustering {
        assignment,
        clusters,
        inertia,
    }
}

/// Rows for each centre among which k-means++ looks for starts, where centres are all that is asked for.
const START_ROWS: usize = 8;
/// Rows that are compared with all centres in one product.
const BLOCK: usize = 4096;

/// The centres of one run of k-means, `[clusters, width]`, for many rows and centres: starts from a choice of the rows, and
/// distances by products of matrices. Reproducible for a seed.
pub(crate) fn centres(
    data: &Embeddings,
    clusters: usize,
    iterations: usize,
    seed: u64,
) -> Embeddings {
    let clusters = clusters.clamp(1, data.len().max(1));
    let some = choose(data.len(), clusters * START_ROWS, seed, "k-means starts");
    let some = data.select(&some);
    let mut centres = start(&some, &squares(&some), clusters, &mut Stream::new(seed));
    let squares = squares(data);
    let mut assignment = Vec::new();
    for _ in 0..iterations {
        let nearest = assign_by_products(data, &squares, &centres);
        let next: Vec<usize> = nearest.iter().map(|&(cluster, _)| cluster).collect();
        if next == assignment {
            break;
        }
        assignment = next;
        centres = means(data, &assignment, &centres, &nearest);
    }
    centres
}

/// The nearest centre of each row, which no other row changes.
pub(crate) fn nearest(data: &Embeddings, centres: &Embeddings) -> Vec<usize> {
    let found = assign(data, &squares(data), centres).into_iter();
    found.map(|(cluster, _)| cluster).collect()
}

fn squares(data: &Embeddings) -> Vec<f64> {
    let square = |row: &[f32]| row.iter().map(|&x| f64::from(x).powi(2)).sum();
    data.rows().map(square).collect()
}

/// As [`assign`], faster; roundings of a row may change with the others.
fn assign_by_products(
    data: &Embeddings,
    squares: &[f64],
    centres: &Embeddings,
) -> Vec<(usize, f64)> {
    let width = data.width();
    let matrix = Array::from_vec(centres.values().to_vec(), &[centres.len(), width]);
    let of_centres: Vec<f32> = self::squares(centres).iter().map(|&x| x as f32).collect();
    let mut found = Vec::with_capacity(data.len());
    for (block, squares) in data
        .values()
        .chunks(BLOCK * width)
        .zip(squares.chunks(BLOCK))
    {
        let rows = Array::from_vec(block.to_vec(), &[squares.len(), width]);
        let dots = matmul(&rows, Side::Plain, &matrix, Side::Transposed);
        let rows = dots.host().par_chunks(centres.len()).zip(squares);
        found.par_extend(rows.map(|(dots, square)| {
            let (cluster, distance) = least(dots, &of_centres);
            (cluster, (square + f64::from(distance)).max(0.0))
        }));
    }
    found
}

/// The first of the nearest centres with its squared distance, but for the row's own square.
fn least(dots: &[f32], of_centres: &[f32]) -> (usize, f32) {
    let mut best = (0, f32::INFINITY);
    for (cluster, (dot, square)) in dots.iter().zip(of_centres).enumerate() {
        let distance = square - 2.0 * dot;
        if distance < best.1 {
            best = (cluster, distance);
        }
    }
    best
}

/// k-means++: each next centre is a row drawn in proportion to its squared distance to the nearest centre so far.
fn start(data: &Embeddings, squares: &[f64], clusters: usize, stream: &mut Stream) -> Embeddings {
    if data.is_empty() {
        return data.clone();
    }
    let mut chosen = vec![stream.below(data.len())];
    let mut distances = vec![f64::INFINITY; data.len()];
    while chosen.len() < clusters {
        let last = chosen[chosen.len() - 1];
        let centre = data.select(&[last]);
        let dots = data.fold_dots(&centre, |_, dots| f64::from(dots[0]));
        for ((distance, dot), square) in distances.iter_mut().zip(dots).zip(squares) {
            *distance = distance.min((square - 2.0 * dot + squares[last]).max(0.0));
        }
        let total: f64 = distances.iter().sum();
        let mut target = stream.unit() * total;
        let next = distances
            .iter()
            .position(|&distance| {
                target -= distance;
                distance > 0.0 && target <= 0.0
            })
            .unwrap_or_else(|| stream.below(data.len()));
        chosen.push(next);
    }
    data.select(&chosen)
}

/// For each row the nearest centre and the squared distance to it.
fn assign(data: &Embeddings, squares: &[f64], centres: &Embeddings) -> Vec<(usize, f64)> {
    let centre_squares: Vec<f32> = centres
        .rows()
        .map(|row| row.iter().map(|x| x * x).sum())
        .collect();
    data.fold_dots(centres, |row, dots| {
        let (cluster, distance) = least(dots, &centre_squares);
        (cluster, (squares[row] + f64::from(distance)).max(0.0))
    })
}

/// The mean of each cluster; an empty one moves to the row farthest from its centre.
fn means(
    data: &Embeddings,
    assignment: &[usize],
    old: &Embeddings,
    nearest: &[(usize, f64)],
) -> Embeddings {
    let width = data.width();
    let clusters = old.len();
    let mut sums = vec![0.0_f64; clusters * width];
    let mut counts = vec![0_u64; clusters];
    for (row, &cluster) in data.rows().zip(assignment) {
        counts[cluster] += 1;
        for (sum, &value) in sums[cluster * width..].iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
    let mut far: Vec<usize> = (0..data.len()).collect();
    far.sort_by(|&a, &b| nearest[b].1.total_cmp(&nearest[a].1).then(a.cmp(&b)));
    let mut far = far.into_iter();
    let mut values = Vec::with_capacity(clusters * width);
    for cluster in 0..clusters {
        let sum = &sums[cluster * width..(cluster + 1) * width];
        if counts[cluster] > 0 {
            values.extend(sum.iter().map(|sum| (sum / counts[cluster] as f64) as f32));
        } else if let Some(row) = far.next() {
            values.extend_from_slice(data.row(row));
        } else {
            values.extend_from_slice(old.row(cluster));
        }
    }
    Embeddings::new(values, width).expect("every cluster gives `width` numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separated_groups_are_found() {
        let values = (0..90)
            .flat_map(|i| {
                let centre = (i % 3) as f32 * 10.0;
                [centre + (i / 3) as f32 * 0.01, -centre]
            })
            .collect();
        let found = kmeans(&Embeddings::new(values, 2).unwrap(), 3, 3, 50, 7);
        for i in 0..90 {
            assert_eq!(found.assignment[i], found.assignment[i % 3]);
        }
        assert_ne!(found.assignment[0], found.assignment[1]);
        assert_ne!(found.assignment[1], found.assignment[2]);
    }

    #[test]
    fn centres_by_products_are_those_of_the_groups() {
        let values = (0..9_000)
            .flat_map(|i| {
                let centre = (i % 3) as f32 * 10.0;
                [centre + (i / 3) as f32 * 0.0001, -centre]
            })
            .collect();
        let data = Embeddings::new(values, 2).unwrap();
        let found = centres(&data, 3, 20, 7);
        let places = nearest(&data, &found);
        for (row, place) in places.iter().enumerate() {
            assert_eq!(*place, places[row % 3]);
            let apart = (data.row(row)[1] - found.row(*place)[1]).abs();
            assert!(apart < 1e-3, "{apart}");
        }
        let few = data.select(&[0, 1]);
        assert_eq!(centres(&few, 9, 5, 1).len(), 2);
    }

    #[test]
    fn fewer_rows_than_clusters_and_equal_rows_are_no_trouble() {
        let same = Embeddings::new(vec![1.0; 12], 2).unwrap();
        let found = kmeans(&same, 4, 2, 10, 1);
        assert_eq!(found.assignment.len(), 6);
        assert!(found.inertia < 1e-9);
        assert_eq!(kmeans(&same, 100, 1, 10, 1).clusters, 6);
    }
}
