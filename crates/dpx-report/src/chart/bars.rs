//! Bars: paired shares of labels, and the time of each stage.

use super::svg::{Svg, WIDTH, cut};
use crate::study::{InstanceState, InstanceView, Row};
use dpx_engine::clock::duration;
use dpx_stages::metric::Spread;
use dpx_stages::metric::distribution::LabelShares;

/// Shares of labels, synthetic beside real.
pub(crate) fn labels(id: &str, row: &Row, shares: &LabelShares) -> String {
    let line = 32.0;
    let height = 24.0 + line * shares.labels.len() as f64;
    let (left, right) = (90.0, WIDTH - 90.0);
    let share = |counts: &[u64], index: usize| {
        counts[index] as f64 / counts.iter().sum::<u64>().max(1) as f64
    };
    let synthetic: Vec<Spread> = shares
        .labels
        .iter()
        .enumerate()
        .map(|(index, label)| {
            let own = row.figures.get(&format!("share.{label}")).copied();
            own.unwrap_or_else(|| Spread {
                mean: share(&shares.synthetic, index),
                sd: None,
                n: 1,
            })
        })
        .collect();
    let most = (0..shares.labels.len())
        .map(|index| synthetic[index].mean.max(share(&shares.real, index)))
        .fold(0.01, f64::max);
    let mut svg = Svg::new(
        height,
        &format!("Labels of {}", row.name),
        "Shares of labels among synthetic and real training texts.",
    );
    for (index, label) in shares.labels.iter().enumerate() {
        let y = 10.0 + line * index as f64;
        svg.text(left - 6.0, y + 14.0, "end", "tick", &cut(label, 12));
        let real = Spread {
            mean: share(&shares.real, index),
            sd: None,
            n: 1,
        };
        for (offset, found, class, name) in [
            (0.0, synthetic[index], "fill1", "synthetic"),
            (13.0, real, "fill2", "real"),
        ] {
            let value = found.mean;
            let spread = match found.sd {
                Some(sd) if sd > 0.0 => format!(" ±{:.0}", sd * 100.0),
                _ => String::new(),
            };
            let width = value / most * (right - left);
            svg.bar(
                left,
                y + offset,
                width,
                11.0,
                class,
                &format!("{label}, {name}: {:.1}%{spread}", value * 100.0),
            );
            svg.text(
                left + width + 4.0,
                y + offset + 10.0,
                "start",
                "tick",
                &format!("{name} {:.0}{spread}%", value * 100.0),
            );
        }
    }
    svg.finish(id)
}

/// Seconds of each stage: bars for all of its finished instances together, with the mean and spread of one.
pub(crate) fn times(instances: &[InstanceView]) -> Option<String> {
    let mut stages: Vec<(&str, Vec<f64>, bool)> = Vec::new();
    for instance in instances {
        let Some(seconds) = instance.seconds else {
            continue;
        };
        let ran = instance.state != InstanceState::Cached;
        match stages.iter_mut().find(|stage| stage.0 == instance.stage) {
            Some(stage) => {
                stage.1.push(seconds);
                stage.2 |= ran;
            }
            None => stages.push((&instance.stage, vec![seconds], ran)),
        }
    }
    if stages.is_empty() {
        return None;
    }
    let line = 34.0;
    let height = 10.0 + line * stages.len() as f64;
    let (left, right) = (104.0, WIDTH - 72.0);
    let total = |seconds: &[f64]| seconds.iter().sum::<f64>();
    let most = stages
        .iter()
        .map(|stage| total(&stage.1))
        .fold(0.001, f64::max);
    let all: f64 = stages.iter().map(|stage| total(&stage.1)).sum();
    let mut svg = Svg::new(
        height,
        "Time of every stage",
        &format!("{} stages took {} in all.", stages.len(), duration(all)),
    );
    for (index, (stage, seconds, ran)) in stages.iter().enumerate() {
        let y = 6.0 + line * index as f64;
        let class = if *ran { "fill1" } else { "fill-open" };
        let state = if *ran { "ran" } else { "cached" };
        let sum = total(seconds);
        let each = Spread::of(seconds.iter().copied()).and_then(|one| {
            let sd = one.sd?;
            let (mean, sd) = (duration(one.mean), duration(sd));
            Some(format!("{} × {mean} ± {sd}", one.n))
        });
        let width = sum / most * (right - left);
        svg.text(left - 6.0, y + 11.0, "end", "tick", &cut(stage, 16));
        let says = format!("{stage}: {} ({state})", duration(sum));
        svg.bar(left, y, width, 13.0, class, &says);
        svg.text(
            left + width + 5.0,
            y + 11.0,
            "start",
            "tick",
            &duration(sum),
        );
        if let Some(each) = each {
            svg.text(left, y + 25.0, "start", "tick", &each);
        }
    }
    Some(svg.finish("time-chart"))
}
