//! The stages as a graph: one box per stage, how many instances are done in words and by its outline.

use super::svg::{Svg, WIDTH, cut};
use crate::study::{InstanceState, InstanceView, Study};
use dpx_engine::clock::duration;
use std::collections::BTreeMap;

struct Node<'a> {
    stage: &'a str,
    depth: usize,
    instances: Vec<&'a InstanceView>,
}

/// Draws the stages, needs above their users.
pub(crate) fn draw(study: &Study) -> Option<String> {
    let mut nodes: Vec<Node<'_>> = Vec::new();
    let mut stage_of = BTreeMap::new();
    for instance in &study.instances {
        stage_of.insert(&*instance.name, instance.stage.as_str());
        match nodes.iter_mut().find(|node| node.stage == instance.stage) {
            Some(node) => node.instances.push(instance),
            None => nodes.push(Node {
                stage: &instance.stage,
                depth: 0,
                instances: vec![instance],
            }),
        }
    }
    if nodes.is_empty() {
        return None;
    }
    let mut edges: Vec<(usize, usize)> = Vec::new();
    for to in 0..nodes.len() {
        for need in nodes[to]
            .instances
            .iter()
            .flat_map(|instance| &instance.needs)
        {
            let from = stage_of
                .get(need.as_str())
                .and_then(|stage| nodes.iter().position(|node| node.stage == *stage));
            if let Some(from) = from.filter(|from| !edges.contains(&(*from, to))) {
                edges.push((from, to));
            }
        }
    }
    // Needs stand before their users in the plan, so one pass per stage settles the depths.
    for _ in 0..nodes.len() {
        for &(from, to) in &edges {
            nodes[to].depth = nodes[to].depth.max(nodes[from].depth + 1).min(edges.len());
        }
    }
    let edges = needed(&edges);
    let depths = nodes.iter().map(|node| node.depth).max().unwrap_or(0) + 1;
    let (line, box_height) = (66.0, 38.0);
    let mut places = vec![(0.0, 0.0, 0.0); nodes.len()];
    for depth in 0..depths {
        let here: Vec<usize> = (0..nodes.len())
            .filter(|&node| nodes[node].depth == depth)
            .collect();
        let step = WIDTH / here.len().max(1) as f64;
        for (at, &node) in here.iter().enumerate() {
            let width = (step - 6.0).min(116.0);
            places[node] = (step * (at as f64 + 0.5), 8.0 + line * depth as f64, width);
        }
    }
    let done = study.finished;
    let mut svg = Svg::new(
        line * depths as f64 + 4.0,
        "Stages and their states",
        &format!(
            "{} stages, {done} of {} instances finished. A dashed outline: something is missing.",
            nodes.len(),
            study.planned
        ),
    );
    for (from, to) in edges {
        svg.line(
            places[from].0,
            places[from].1 + box_height,
            places[to].0,
            places[to].1,
            "edge",
        );
    }
    for (node, (x, y, width)) in nodes.iter().zip(places) {
        let count = |state| {
            node.instances
                .iter()
                .filter(|instance| instance.state == state)
                .count()
        };
        let (cached, ran, failed, missing) = (
            count(InstanceState::Cached),
            count(InstanceState::Ran),
            count(InstanceState::Failed),
            count(InstanceState::Missing),
        );
        let seconds: f64 = node
            .instances
            .iter()
            .filter_map(|instance| instance.seconds)
            .sum();
        let words: Vec<String> = [
            (cached, "cached"),
            (ran, "ran"),
            (failed, "failed"),
            (missing, "not run"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
        let class = if failed > 0 {
            "box failed"
        } else if missing > 0 {
            "box missing"
        } else {
            "box"
        };
        svg.bar(
            x - width / 2.0,
            y,
            width,
            box_height,
            class,
            &format!(
                "{}: {}, {}",
                node.stage,
                words.join(", "),
                duration(seconds)
            ),
        );
        let inside = width - 8.0;
        svg.fitted(x, y + 16.0, inside, "name", &cut(node.stage, 20));
        svg.fitted(x, y + 30.0, inside, "tick", &cut(&words.join(", "), 24));
    }
    Some(svg.finish("dag-chart"))
}

/// The edges without those that longer ways imply: `preprocess` to `score` where it goes through `train` as well.
fn needed(edges: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let reaches = |from: usize, to: usize, without: (usize, usize)| {
        let mut open = vec![from];
        let mut seen = Vec::new();
        while let Some(node) = open.pop() {
            for &edge in edges
                .iter()
                .filter(|edge| edge.0 == node && **edge != without)
            {
                if edge.1 == to {
                    return true;
                }
                if !seen.contains(&edge.1) {
                    seen.push(edge.1);
                    open.push(edge.1);
                }
            }
        }
        false
    };
    let kept = edges.iter().filter(|edge| !reaches(edge.0, edge.1, **edge));
    kept.copied().collect()
}

#[cfg(test)]
mod tests {
    use super::needed;

    #[test]
    fn an_edge_that_a_longer_way_implies_is_not_drawn() {
        assert_eq!(
            needed(&[(0, 1), (1, 2), (0, 2), (0, 3)]),
            [(0, 1), (1, 2), (0, 3)]
        );
    }
}
