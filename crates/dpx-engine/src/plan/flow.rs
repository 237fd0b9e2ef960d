//! What each artifact may reveal, decided before anything runs.

use dpx_schema::params::NoiseMode;
use dpx_schema::{Kind, ReleaseLabel};
use serde_json::Value;

/// The label of a stage's artifact, given the labels of what it reads.
///
/// A private mechanism turns private texts into `dp`, or into `seeded` where its noise can be computed again, or leaves
/// them private at epsilon inf; at epsilon 0 it learns nothing from them. All else that a stage reads joins in.
pub(super) fn flow(kind: Kind, params: &Value, inputs: &[(Kind, ReleaseLabel)]) -> ReleaseLabel {
    let join = |skipped: Option<Kind>| {
        inputs
            .iter()
            .filter(|(kind, _)| Some(*kind) != skipped)
            .fold(ReleaseLabel::Public, |all, (_, flow)| all.join(*flow))
    };
    match kind {
        Kind::Pretrain => ReleaseLabel::Public,
        Kind::Train | Kind::Teacher | Kind::Counts | Kind::Select => {
            mechanism(params).join(join(Some(Kind::Preprocess)))
        }
        Kind::Sample => join(None),
        // Figures on real texts, and the texts themselves.
        Kind::Preprocess | Kind::Classify | Kind::Score | Kind::Audit => ReleaseLabel::Private,
    }
}

fn mechanism(params: &Value) -> ReleaseLabel {
    let seeded = serde_json::to_value(NoiseMode::Seeded).is_ok_and(|word| params["noise"] == word);
    match params["epsilon"].as_f64() {
        // The word `inf`.
        None => ReleaseLabel::Private,
        Some(0.0) => ReleaseLabel::Public,
        Some(_) if seeded => ReleaseLabel::Seeded,
        Some(_) => ReleaseLabel::Dp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_mechanism_and_noise_has_its_label() {
        let private = [(Kind::Preprocess, ReleaseLabel::Private)];
        let cases = [
            (
                json!({ "epsilon": 8.0, "noise": "secure" }),
                ReleaseLabel::Dp,
            ),
            (
                json!({ "epsilon": 8.0, "noise": "seeded" }),
                ReleaseLabel::Seeded,
            ),
            (
                json!({ "epsilon": "inf", "noise": "secure" }),
                ReleaseLabel::Private,
            ),
            (
                json!({ "epsilon": 0.0, "noise": "secure" }),
                ReleaseLabel::Public,
            ),
        ];
        for kind in Kind::ALL.into_iter().filter(|kind| kind.spends()) {
            for (params, expected) in &cases {
                assert_eq!(flow(kind, params, &private), *expected, "{kind} {params}");
            }
        }
    }

    #[test]
    fn labels_join() {
        let params = json!({ "epsilon": 8.0, "noise": "secure" });
        let inputs = [
            (Kind::Preprocess, ReleaseLabel::Private),
            (Kind::Counts, ReleaseLabel::Seeded),
        ];
        assert_eq!(flow(Kind::Train, &params, &inputs), ReleaseLabel::Seeded);
        let model = [
            (Kind::Train, ReleaseLabel::Dp),
            (Kind::Teacher, ReleaseLabel::Seeded),
        ];
        assert_eq!(flow(Kind::Sample, &json!({}), &model), ReleaseLabel::Seeded);
        assert_eq!(
            flow(
                Kind::Sample,
                &json!({}),
                &[(Kind::Pretrain, ReleaseLabel::Public)]
            ),
            ReleaseLabel::Public
        );
        assert_eq!(
            flow(
                Kind::Classify,
                &json!({}),
                &[(Kind::Sample, ReleaseLabel::Dp)]
            ),
            ReleaseLabel::Private
        );
    }

    /// Random graphs of what each kind may read: what may leave has no path from private texts but through a mechanism
    /// with secret noise and a finite budget.
    #[test]
    fn nothing_private_leaves_but_through_a_mechanism() {
        let mut state = 42_u64;
        let mut next = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let (mut leave, mut stay) = (0, 0);
        for _ in 0..500 {
            let mut nodes: Vec<(Kind, ReleaseLabel, bool)> = Vec::new();
            for _ in 0..12 {
                let kind = Kind::ALL[next(Kind::ALL.len())];
                let epsilon = [json!("inf"), json!(8.0), json!(0.0)][next(3)].clone();
                let noise = ["secure", "seeded"][next(2)];
                let inputs: Vec<(Kind, ReleaseLabel, bool)> = nodes
                    .iter()
                    .filter(|(other, ..)| kind.reads().contains(other))
                    .copied()
                    .collect();
                let inputs: Vec<_> = inputs.into_iter().filter(|_| next(2) == 0).collect();
                let through = kind.spends();
                let covered = epsilon == json!(0.0) || epsilon == json!(8.0) && noise == "secure";
                let exposed = match kind {
                    Kind::Pretrain => false,
                    Kind::Preprocess | Kind::Classify | Kind::Score | Kind::Audit => true,
                    Kind::Train | Kind::Teacher | Kind::Counts | Kind::Select | Kind::Sample => {
                        through && !covered
                            || inputs.iter().any(|(other, _, exposed)| {
                                *exposed && !(through && *other == Kind::Preprocess)
                            })
                    }
                };
                let labels: Vec<_> = inputs
                    .iter()
                    .map(|(kind, flow, _)| (*kind, *flow))
                    .collect();
                let params = json!({ "epsilon": epsilon, "noise": noise });
                let label = flow(kind, &params, &labels);
                assert_eq!(label.releasable(), !exposed, "{kind} {params} {inputs:?}");
                if exposed {
                    stay += 1;
                } else {
                    leave += 1;
                }
                nodes.push((kind, label, exposed));
            }
        }
        assert!(leave > 500 && stay > 500, "{leave} {stay}");
    }
}
