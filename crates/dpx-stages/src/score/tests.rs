//! The whole stage on small folders, with a stand-in encoder.

use super::read::LabelledTexts;
use super::{Embedder, LmScorer, Models, SCORES_FILE, Scores, Texts, compute, read};
use crate::metric::Embeddings;
use crate::metric::perplexity::TextLoss;
use dpx_schema::context::NoProgress;
use dpx_schema::params::ScoreParams;
use dpx_schema::{Input, Kind, ReleaseLabel, StageContext, StageError};
use std::path::Path;

/// Counts letters: enough to tell words apart.
struct Letters;

impl Embedder for Letters {
    fn embed(&self, texts: &[String]) -> Result<Embeddings, StageError> {
        let mut values = Vec::new();
        for text in texts {
            let mut counts = [0.0_f32; 26];
            for letter in text.bytes().filter(u8::is_ascii_lowercase) {
                counts[usize::from(letter - b'a')] += 1.0;
            }
            values.extend(counts);
        }
        Embeddings::new(values, 26).ok_or_else(|| StageError::new("no embedding"))
    }

    fn needs_centring(&self) -> bool {
        true
    }
}

impl LmScorer for Letters {
    fn losses(&self, texts: &[(&str, &str)]) -> Result<Vec<TextLoss>, StageError> {
        let loss = |(_, text): &(&str, &str)| TextLoss {
            nats: text.len() as f64,
            tokens: text.len() as u64,
            bytes: text.len() as u64,
        };
        Ok(texts.iter().map(loss).collect())
    }
}

fn texts() -> Texts {
    let set = |offset: usize, n: usize| {
        let mut set = LabelledTexts::default();
        for row in 0..n {
            let label = row % 2;
            let mood = ["happy", "sad"][label];
            set.texts.push(format!(
                "i am {mood} about number {} today and that is all",
                row + offset
            ));
            set.labels.push(label);
        }
        set
    };
    Texts {
        labels: vec!["joy".into(), "sadness".into()],
        synthetic: set(0, 40),
        training: set(0, 60),
        held_out: set(1000, 30),
        planted: Vec::new(),
        facts: Vec::new(),
    }
}

fn params() -> ScoreParams {
    serde_json::from_str("{\"examples\": 3}").unwrap()
}

#[test]
fn copied_texts_show_in_every_leakage_figure_and_the_ceiling_is_high() {
    let models = Models {
        embedder: Some(&Letters),
        trained: Some(&Letters),
        base: Some(&Letters),
    };
    let scores = compute(&texts(), &params(), 1, &models, &NoProgress).unwrap();
    let copies = scores.copies.unwrap();
    assert_eq!(copies.training.exact.count, 40);
    assert_eq!(copies.held_out.exact.count, 0);
    let similarity = scores.similarity.clone().unwrap();
    assert!(similarity.synthetic.forward > 0.5);
    assert!((similarity.synthetic.forward - similarity.ceiling.unwrap().forward).abs() < 0.1);
    let mauve = scores.mauve.as_ref().unwrap();
    assert_eq!(
        (mauve.synthetic.n_first, mauve.synthetic.n_second),
        (30, 30)
    );
    let perplexity = scores.perplexity.unwrap().held_out_under_model.unwrap();
    assert!((perplexity.perplexity - std::f64::consts::E).abs() < 1e-9);
    assert_eq!(scores.examples[1].texts.len(), 3);
    assert!(
        scores.examples[1]
            .texts
            .iter()
            .all(|text| text.contains("sad"))
    );
    let again: Scores = serde_json::from_str(&serde_json::to_string(&scores).unwrap()).unwrap();
    assert_eq!(again, scores);
}

#[test]
fn models_in_folders_are_named_without_the_way_to_them() {
    let models = Models {
        embedder: Some(&Letters),
        trained: Some(&Letters),
        base: Some(&Letters),
    };
    for (source, name) in [
        ("/home/anna/models/MiniLM", "MiniLM"),
        ("/home/anna/models/MiniLM/", "MiniLM"),
        ("/home/anna/models/..", "folder"),
        ("hf:who/bert@main", "hf:who/bert@main"),
    ] {
        let params = ScoreParams {
            encoder: source.to_owned(),
            base: source.to_owned(),
            ..params()
        };
        let scores = compute(&texts(), &params, 1, &models, &NoProgress).unwrap();
        assert_eq!(scores.encoder, name);
        assert_eq!(scores.base.as_deref(), Some(name));
        let json = serde_json::to_string(&scores).unwrap();
        assert!(!json.contains("anna"), "{json}");
    }
}

#[test]
fn reads_what_the_other_stages_write_and_names_the_line_of_a_bad_row() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let labels = vec!["joy".to_owned(), "fear".to_owned()];
    let good = write("a.csv", "text,label\n\"one, two\",joy\n\"a\nb\",fear\n");
    let found = read::synthetic(&good, &labels).unwrap();
    assert_eq!(found.texts, ["one, two", "a\nb"]);
    assert_eq!(found.labels, [0, 1]);
    assert_eq!(found.probabilities, None);
    let soft = write(
        "s.csv",
        "text,label,p_fear,p_joy\nx,joy,0.25,0.75\ny,fear,1.000000,0.0\n",
    );
    let soft = read::synthetic(&soft, &labels).unwrap();
    assert_eq!(
        soft.probabilities,
        Some(vec![vec![0.75, 0.25], vec![0.0, 1.0]])
    );
    assert_eq!(soft.select(&[1]).probabilities, Some(vec![vec![0.0, 1.0]]));
    for row in ["x,joy,0.5,0.6", "x,joy,-0.5,1.5", "x,joy,secret,1"] {
        let bad = write("p.csv", &format!("text,label,p_fear,p_joy\n{row}\n"));
        let error = read::synthetic(&bad, &labels).unwrap_err().to_string();
        assert!(
            error.starts_with("p.csv:2: the columns `p_LABEL`"),
            "{error}"
        );
        assert!(!error.contains("secret"), "{error}");
    }
    let bad = write("b.csv", "text,label\nx,joy\nsecret,secret\n");
    let error = read::synthetic(&bad, &labels).unwrap_err().to_string();
    assert!(error.starts_with("b.csv:3: a label"), "{error}");
    assert!(!error.contains("secret"), "{error}");
    let bad = write(
        "c.jsonl",
        "{\"id\":1,\"text\":\"a\",\"label\":\"joy\"}\n{\"secret\":1}\n",
    );
    let error = read::split(&bad, &labels).unwrap_err().to_string();
    assert!(
        error.starts_with("c.jsonl:2:") && !error.contains("secret"),
        "{error}"
    );
}

#[test]
fn the_stage_without_any_model_still_writes_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let [data, sample, output] = ["data", "sample", "output"].map(|name| {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    });
    dpx_schema::PublicSchema::new(
        vec!["joy".into()],
        "{label}: {text}",
        dpx_schema::LabelIntegration::Prefix,
        2,
    )
    .save(data.join("schema.json"))
    .unwrap();
    let row = "{\"id\":0,\"text\":\"so happy\",\"label\":\"joy\"}\n";
    for split in ["train.jsonl", "test.jsonl"] {
        std::fs::write(data.join(split), row).unwrap();
    }
    std::fs::write(
        sample.join("synthetic.csv"),
        "text,label\nso happy,joy\nfine,joy\n",
    )
    .unwrap();
    let input = |kind, path: &Path| Input {
        kind,
        path: path.to_owned(),
        digest: String::new(),
        flow: ReleaseLabel::Private,
    };
    let context = StageContext {
        instance: "score".into(),
        kind: Kind::Score,
        params: serde_json::json!({ "encoder": "none", "perplexity": false }),
        performance: serde_json::json!({}),
        inputs: [
            ("preprocess".to_owned(), input(Kind::Preprocess, &data)),
            ("sample".to_owned(), input(Kind::Sample, &sample)),
        ]
        .into(),
        output: output.clone(),
        state: folder.path().join("state"),
        secrets: folder.path().join("secrets"),
        ledger: folder.path().join("ledger").into(),
        key: String::new(),
        seed: 1,
        device: dpx_schema::Device::Cpu,
        others: Vec::new(),
        progress: &NoProgress,
    };
    std::fs::write(data.join("planted.json"), "[[\"name\", \"Happy\"]]").unwrap();
    let params = context.params().unwrap();
    super::run::with_models(&context, &params, &Models::default(), None).unwrap();
    let bytes = std::fs::read(output.join(SCORES_FILE)).unwrap();
    let scores: Scores = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(scores.copies.unwrap().training.exact.count, 1);
    assert_eq!(scores.similarity, None);
    assert_eq!(scores.replay[0].occurrences, 1);
}
