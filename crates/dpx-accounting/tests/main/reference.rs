//! Compositions and groups against Google's dp_accounting 0.6.0; `crates/dpx-accounting/tests/data/dp_accounting.py` made the figures.

use dpx_accounting::{DpEvent, epsilon_rdp};

const REFERENCE: &str = include_str!("../data/dp_accounting.csv");

struct Row<'a> {
    name: &'a str,
    event: DpEvent,
    records: u32,
    delta: f64,
    /// Upper bound by connect-the-dots on their grid.
    pessimistic: f64,
    /// Lower bound by rounding down on their grid.
    optimistic: f64,
    rdp: Option<f64>,
}

fn rows() -> Vec<Row<'static>> {
    REFERENCE.lines().skip(1).map(row).collect()
}

fn row(line: &'static str) -> Row<'static> {
    let cells: Vec<&str> = line.split(',').collect();
    let [
        name,
        mechanisms,
        records,
        delta,
        pessimistic,
        optimistic,
        rdp,
    ] = cells[..]
    else {
        panic!("{line}");
    };
    Row {
        name,
        event: DpEvent::composed(mechanisms.split(' ').map(mechanism)),
        records: records.parse().unwrap(),
        delta: delta.parse().unwrap(),
        pessimistic: pessimistic.parse().unwrap(),
        optimistic: optimistic.parse().unwrap(),
        rdp: rdp.parse().ok(),
    }
}

/// `sampling rate:noise multiplier:count`.
fn mechanism(text: &str) -> DpEvent {
    let parts: Vec<&str> = text.split(':').collect();
    let (rate, sigma): (f64, f64) = (parts[0].parse().unwrap(), parts[1].parse().unwrap());
    let count: u64 = parts[2].parse().unwrap();
    if rate == 1.0 {
        DpEvent::gaussian(sigma).unwrap().self_composed(count)
    } else {
        DpEvent::poisson_sampled_gaussian(rate, sigma, count).unwrap()
    }
}

#[test]
fn every_composition_costs_what_dp_accounting_says() {
    let rows = rows();
    assert!(rows.len() >= 20);
    for row in rows {
        let Row {
            name,
            event,
            records,
            delta,
            ..
        } = &row;
        let found = event.group(*delta, *records).unwrap();
        let epsilon = found.epsilon.value();
        // Never below their lower bound; at most a little above their upper one, whose grid is finer or coarser than ours.
        assert!(
            epsilon >= row.optimistic,
            "{name}: {epsilon} < {}",
            row.optimistic
        );
        let slack = 1e-3 * row.pessimistic + 1e-3;
        assert!(
            epsilon <= row.pessimistic + slack,
            "{name}: {epsilon} > {}",
            row.pessimistic
        );
        assert!(found.prv.lower <= row.pessimistic, "{name}: {found:?}");
        if *records == 1 {
            assert!(
                (epsilon - row.pessimistic).abs() <= slack,
                "{name}: {epsilon}, not {}",
                row.pessimistic
            );
        }
        if let Some(rdp) = row.rdp {
            // Their orders are a subset of ours.
            let ours = epsilon_rdp(event, *delta).unwrap().value();
            assert!(
                ours <= rdp * (1.0 + 1e-6) && ours > 0.97 * rdp,
                "{name}: RDP {ours}, not {rdp}"
            );
        }
    }
}
