//! k-means (Lloyd 1982) with k-means++ starts (Arthur and Vassilvitskii 2007): one matrix product per iteration.

use super::Embeddings;
use super::choose::Stream;

/// A quantisation: for each row the number of its cluster, below `clusters`.
#[derive(Debug, Clone, PartialEq)]
pub struct Clustering {
    /// Cluster of each row.
    pub assignment: Vec<usize>,
    /// Number of clusters asked for; some may be empty.
    pub clusters: usize,
    /// Sum of squared distances to the centres.
    pub inertia: f64,
}

/// The best of `redos` runs of k-means with at most `max_iterations` iterations each. Reproducible for a seed.
pub fn kmeans(
    data: &Embeddings,
    clusters: usize,
    redos: usize,
    max_iterations: usize,
    seed: u64,
) -> Clustering {
    let clusters = clusters.clamp(1, data.len().max(1));
    let squares: Vec<f64> = data
        .rows()
        .map(|row| row.iter().map(|&x| f64::from(x).powi(2)).sum())
        .collect();
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
        let mut best = (0, f32::INFINITY);
        for (cluster, (dot, square)) in dots.iter().zip(&centre_squares).enumerate() {
            let distance = square - 2.0 * dot;
            if distance < best.1 {
                best = (cluster, distance);
            }
        }
        (best.0, (squares[row] + f64::from(best.1)).max(0.0))
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
    fn fewer_rows_than_clusters_and_equal_rows_are_no_trouble() {
        let same = Embeddings::new(vec![1.0; 12], 2).unwrap();
        let found = kmeans(&same, 4, 2, 10, 1);
        assert_eq!(found.assignment.len(), 6);
        assert!(found.inertia < 1e-9);
        assert_eq!(kmeans(&same, 100, 1, 10, 1).clusters, 6);
    }
}
