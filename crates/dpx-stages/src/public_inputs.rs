//! What a record says of the public inputs of its stage: what the experiment file declares of them, how built-in ones were
//! made, and what was said of the public models among its needs.

use crate::fault::fault;
use dpx_data::{Role, Source, builtin};
use dpx_schema::{
    Kind, MODEL_SCHEMA_FILE, PrivacyRecord, PublicInputs, PublicSchema, StageContext, StageError,
};

/// Parameters that may name a built-in model.
const MODELS: [&str; 2] = ["model", "encoder"];

/// Gathers it. Nothing private is looked at.
pub(crate) fn public_inputs(context: &StageContext<'_>) -> Result<PublicInputs, StageError> {
    let mut inputs = PublicInputs::default();
    for input in context.inputs.values() {
        if input.kind == Kind::Pretrain && !fault!(ProvenanceForgotten) {
            inputs.join(&PrivacyRecord::load(&input.path)?.public_inputs());
        }
    }
    let named = MODELS.iter().filter(|key| reads(context, key));
    for name in named.filter_map(|key| context.params[*key].as_str()) {
        inputs.join(&of_folder(name));
    }
    let declared = context.params["declared_overlap"].as_array();
    inputs.join(&PublicInputs {
        declared_overlap: declared
            .into_iter()
            .flatten()
            .filter_map(|key| key.as_str())
            .map(|key| format!("`{key}` of `{}`", context.stage()))
            .collect(),
        provenance: MODELS
            .iter()
            .filter(|key| reads(context, key))
            .filter_map(|key| builtin::provenance(context.params[*key].as_str()?))
            .map(str::to_owned)
            .collect(),
    });
    Ok(inputs)
}

/// What a model folder that dpx made says of its own public inputs.
fn of_folder(name: &str) -> PublicInputs {
    let source = match Source::parse(name) {
        source @ (Source::Path(_) | Source::Hub(_)) if !name.starts_with("stage:") => source,
        _ => return PublicInputs::default(),
    };
    // A model that is not there is told of by whoever reads it.
    let schema = source
        .resolve(Role::Model)
        .ok()
        .and_then(|found| PublicSchema::load(found.path.join(MODEL_SCHEMA_FILE)).ok());
    schema
        .map(|schema| schema.public_inputs)
        .unwrap_or_default()
}

/// Whether the parameter has a part in what the stage computes.
fn reads(context: &StageContext<'_>, key: &str) -> bool {
    // A teacher of words reads none.
    key != "encoder" || context.kind != Kind::Teacher || context.params["form"] == "head"
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use dpx_schema::{Device, Input, LabelIntegration, NoProgress, ReleaseLabel};
    use serde_json::{Value, json};
    use std::collections::BTreeMap;
    use std::path::Path;

    fn context(folder: &Path, kind: Kind, params: Value) -> StageContext<'_> {
        let input = Input {
            kind: Kind::Pretrain,
            path: folder.to_owned(),
            digest: "d".repeat(64),
            flow: ReleaseLabel::Public,
        };
        StageContext {
            instance: format!("{kind}@epsilon=3").into(),
            kind,
            params,
            performance: json!({}),
            inputs: BTreeMap::from([("base".to_owned(), input)]),
            output: folder.to_owned(),
            state: folder.to_owned(),
            secrets: folder.to_owned(),
            ledger: folder.to_owned().into(),
            key: "key".into(),
            seed: 1,
            device: Device::Cpu,
            others: Vec::new(),
            progress: &NoProgress,
        }
    }

    /// Rules 54 and 55: a model carries what is to be said of its corpus to whatever is trained from it.
    #[test]
    fn what_is_said_of_a_corpus_follows_its_model() {
        corpora_follow();
    }

    pub(crate) fn corpora_follow() {
        let folder = tempfile::tempdir().unwrap();
        let declared = PublicInputs {
            declared_overlap: vec!["`corpus` of `base`".into()],
            provenance: Vec::new(),
        };
        PrivacyRecord::Public {
            source: "texts.txt".into(),
            inputs: declared.clone(),
        }
        .save(folder.path())
        .unwrap();
        let of = |kind, params| public_inputs(&context(folder.path(), kind, params)).unwrap();
        assert_eq!(of(Kind::Train, json!({"model": "stage:base"})), declared);
        let own = of(
            Kind::Train,
            json!({"model": "builtin:base", "declared_overlap": ["keywords"]}),
        );
        assert_eq!(
            own.declared_overlap,
            ["`corpus` of `base`", "`keywords` of `train`"]
        );
        assert!(own.provenance[0].contains("133"), "{own:?}");
        // A folder that was exported and is named by its path says it too.
        let exported = tempfile::tempdir().unwrap();
        PublicSchema {
            public_inputs: PublicInputs {
                declared_overlap: vec!["`corpus` of `other`".into()],
                provenance: Vec::new(),
            },
            ..PublicSchema::new(Vec::new(), "{label}: {text}", LabelIntegration::Prefix, 0)
        }
        .save(exported.path().join(MODEL_SCHEMA_FILE))
        .unwrap();
        let named = of(Kind::Train, json!({"model": exported.path()}));
        assert!(
            named
                .declared_overlap
                .contains(&"`corpus` of `other`".to_owned()),
            "{named:?}"
        );
        let votes = of(Kind::Select, json!({"encoder": "builtin:base"}));
        assert_eq!(votes.provenance.len(), 1);
        for (form, said) in [("head", 1), ("linear", 0)] {
            let params = json!({"encoder": "builtin:base", "form": form});
            assert_eq!(of(Kind::Teacher, params).provenance.len(), said);
        }
    }
}
