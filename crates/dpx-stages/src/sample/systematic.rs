//! Systematic sampling (Madow 1949): one random number for all draws, so that what is drawn differs from what is expected by less
//! than one for any run of neighbours.

/// How often each is drawn, given how often it is expected to be; the expectations add up to a whole number. `start` is in [0, 1).
pub(super) fn counts(expected: &[f64], start: f64) -> Vec<u64> {
    let total = expected.iter().sum::<f64>().round();
    let last = expected.iter().rposition(|one| *one > 0.0);
    let mut sum = 0.0;
    let mut before = 0.0;
    expected
        .iter()
        .enumerate()
        .map(|(place, one)| {
            sum += one;
            // Rounding must not lose the last draw, nor add one.
            let upto = if Some(place) >= last {
                total
            } else {
                sum.min(total)
            };
            let points = (upto - start).ceil().max(before);
            let times = points - before;
            before = points;
            times as u64
        })
        .collect()
}

/// The probability of each to be drawn where none may be drawn twice, in proportion to the weights as far as these allow; they add
/// up to `wanted`, or to the number of weights above 0 where these are fewer.
pub(super) fn chances(weights: &[f64], wanted: u64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..weights.len())
        .filter(|&place| weights[place] > 0.0)
        .collect();
    let mut chances = vec![0.0; weights.len()];
    if order.len() as u64 <= wanted {
        for place in order {
            chances[place] = 1.0;
        }
        return chances;
    }
    order.sort_by(|&one, &other| {
        weights[other]
            .total_cmp(&weights[one])
            .then(one.cmp(&other))
    });
    // What is left of the weights from each place on.
    let mut rest = vec![0.0; order.len() + 1];
    for at in (0..order.len()).rev() {
        rest[at] = rest[at + 1] + weights[order[at]];
    }
    let mut left = wanted as f64;
    for (at, &place) in order.iter().enumerate() {
        if left * weights[place] < rest[at] {
            for &place in &order[at..] {
                chances[place] = left * weights[place] / rest[at];
            }
            break;
        }
        chances[place] = 1.0;
        left -= 1.0;
    }
    chances
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_as_many_as_expected_and_near_each_expectation() {
        let expected = [0.5, 0.0, 1.25, 0.25, 3.0, 0.0];
        for start in 0..100 {
            let times = counts(&expected, f64::from(start) / 100.0);
            assert_eq!(times.iter().sum::<u64>(), 5);
            for (times, expected) in times.iter().zip(expected) {
                assert!((*times as f64 - expected).abs() < 1.0);
            }
        }
        let thirds = vec![1.0 / 3.0; 3000];
        for start in [0.0, 0.3, 0.999_999] {
            let times = counts(&thirds, start);
            assert_eq!(times.iter().sum::<u64>(), 1000);
            assert!(times.iter().all(|times| *times <= 1));
        }
        assert_eq!(counts(&[0.0, 0.0], 0.5), [0, 0]);
    }

    #[test]
    fn each_place_is_drawn_as_often_as_expected_over_all_starts() {
        let expected = [0.1, 0.7, 1.2];
        let mut sums = [0.0; 3];
        for start in 0..1000 {
            for (sum, times) in sums
                .iter_mut()
                .zip(counts(&expected, f64::from(start) / 1000.0))
            {
                *sum += times as f64 / 1000.0;
            }
        }
        for (sum, expected) in sums.iter().zip(expected) {
            assert!((sum - expected).abs() < 0.01, "{sums:?}");
        }
    }

    #[test]
    fn chances_follow_the_weights_up_to_one() {
        assert_eq!(chances(&[1.0, 1.0, 2.0, 0.0], 2), [0.5, 0.5, 1.0, 0.0]);
        assert_eq!(chances(&[1.0, 9.0, 1.0], 2), [0.5, 1.0, 0.5]);
        assert_eq!(chances(&[1.0, 0.0, 1.0], 5), [1.0, 0.0, 1.0]);
        assert_eq!(chances(&[1.0, 3.0], 0), [0.0, 0.0]);
        let weights: Vec<f64> = (1..=100).map(f64::from).collect();
        let found = chances(&weights, 70);
        assert!((found.iter().sum::<f64>() - 70.0).abs() < 1e-9);
        assert!(found.iter().all(|chance| *chance <= 1.0 + 1e-12));
        assert!(found.windows(2).all(|pair| pair[0] <= pair[1]));
    }
}
