//! What each artifact may reveal, decided before anything runs.

use crate::stage::params::NoiseMode;
use crate::stage::{Flow, Kind};
use serde_json::Value;

/// The label of a stage's artifact, given the labels of what it reads.
///
/// A private mechanism turns private texts into `dp`, or into `seeded` where its noise can be computed again, or leaves
/// them private at epsilon inf; at epsilon 0 it learns nothing from them. All else that a stage reads joins in.
pub(super) fn flow(kind: Kind, params: &Value, inputs: &[(Kind, Flow)]) -> Flow {
    let join = |skipped: Option<Kind>| {
        inputs
            .iter()
            .filter(|(kind, _)| Some(*kind) != skipped)
            .fold(Flow::Public, |all, (_, flow)| all.join(*flow))
    };
    match kind {
        Kind::Pretrain => Flow::Public,
        Kind::Train | Kind::Teacher | Kind::Counts => {
            mechanism(params).join(join(Some(Kind::Preprocess)))
        }
        Kind::Sample => join(None),
        // Figures on real texts, and the texts themselves.
        Kind::Preprocess | Kind::Classify | Kind::Score | Kind::Audit => Flow::Private,
    }
}

fn mechanism(params: &Value) -> Flow {
    let seeded = serde_json::to_value(NoiseMode::Seeded).is_ok_and(|word| params["noise"] == word);
    match params["epsilon"].as_f64() {
        // The word `inf`.
        None => Flow::Private,
        Some(0.0) => Flow::Public,
        Some(_) if seeded => Flow::Seeded,
        Some(_) => Flow::Dp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_mechanism_and_noise_has_its_label() {
        let private = [(Kind::Preprocess, Flow::Private)];
        let cases = [
            (json!({ "epsilon": 8.0, "noise": "secure" }), Flow::Dp),
            (json!({ "epsilon": 8.0, "noise": "seeded" }), Flow::Seeded),
            (
                json!({ "epsilon": "inf", "noise": "secure" }),
                Flow::Private,
            ),
            (json!({ "epsilon": 0.0, "noise": "secure" }), Flow::Public),
        ];
        for kind in [Kind::Train, Kind::Teacher, Kind::Counts] {
            for (params, expected) in &cases {
                assert_eq!(flow(kind, params, &private), *expected, "{kind} {params}");
            }
        }
    }

    #[test]
    fn labels_join() {
        let params = json!({ "epsilon": 8.0, "noise": "secure" });
        let inputs = [
            (Kind::Preprocess, Flow::Private),
            (Kind::Counts, Flow::Seeded),
        ];
        assert_eq!(flow(Kind::Train, &params, &inputs), Flow::Seeded);
        let model = [(Kind::Train, Flow::Dp), (Kind::Teacher, Flow::Seeded)];
        assert_eq!(flow(Kind::Sample, &json!({}), &model), Flow::Seeded);
        assert_eq!(
            flow(Kind::Sample, &json!({}), &[(Kind::Pretrain, Flow::Public)]),
            Flow::Public
        );
        assert_eq!(
            flow(Kind::Classify, &json!({}), &[(Kind::Sample, Flow::Dp)]),
            Flow::Private
        );
    }
}
