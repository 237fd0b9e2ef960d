//! Bars: the time of each stage.

use super::svg::{Svg, WIDTH, cut};
use crate::study::{InstanceState, InstanceView};
use dpx_engine::clock::duration;
use dpx_stages::metric::Spread;

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
