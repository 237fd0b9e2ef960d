//! Tests of the bag-of-words classifier.

use super::*;

const TEXTS: [(&str, usize); 8] = [
    ("I feel so happy and glad today", 0),
    ("what a joyful, glad morning", 0),
    ("happy happy day with friends", 0),
    ("so glad you came", 0),
    ("I am sad and lonely tonight", 1),
    ("a gloomy, sad evening", 1),
    ("I feel lonely without you", 1),
    ("I was afraid of the dark", 2),
];

fn trained() -> BagOfWords {
    let (texts, labels): (Vec<&str>, Vec<usize>) = TEXTS.into_iter().unzip();
    BagOfWords::train(&texts, &labels, 4, &BagOfWordsOptions::default())
}

fn predicted(model: &BagOfWords, text: &str) -> usize {
    let probabilities = model.probabilities(text);
    let total: f32 = probabilities.iter().sum();
    assert!((total - 1.0).abs() < 1e-6);
    (0..probabilities.len())
        .max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]))
        .unwrap()
}

#[test]
fn learns_what_words_mean() {
    let model = trained();
    assert_eq!(model.classes(), 4);
    for (text, label) in TEXTS {
        assert_eq!(predicted(&model, text), label, "{text}");
    }
    assert_eq!(predicted(&model, "GLAD!"), 0);
    assert_eq!(predicted(&model, "lonely…"), 1);
    assert!(
        model.probabilities("")[3] < 0.2,
        "a label without texts is unlikely"
    );
}

#[test]
fn the_fit_is_a_minimum() {
    // At the minimum the penalty's pull equals the data's: nudging any weight does not lower the objective. Checked
    // through the stationarity condition of the unpenalized biases: weighted probabilities match weighted labels.
    let (texts, labels): (Vec<&str>, Vec<usize>) = TEXTS.into_iter().unzip();
    let options = BagOfWordsOptions {
        balanced: false,
        ..BagOfWordsOptions::default()
    };
    let model = BagOfWords::train(&texts, &labels, 3, &options);
    for class in 0..3 {
        let sum: f32 = texts
            .iter()
            .map(|text| model.probabilities(text)[class])
            .sum();
        let count = labels.iter().filter(|label| **label == class).count() as f32;
        assert!((sum - count).abs() < 0.01, "{sum} {count}");
    }
}

#[test]
fn soft_labels_count_as_texts_of_each_class_with_that_weight() {
    let texts = ["glad and calm", "sad and calm", "glad"];
    let soft = [0.75, 0.25, 0.25, 0.75, 1.0, 0.0];
    let options = BagOfWordsOptions {
        balanced: false,
        inverse_penalty: 4.0,
        ..BagOfWordsOptions::default()
    };
    let model = BagOfWords::train_soft(&texts, soft.to_vec(), 2, &options);
    // Each text four times, a quarter of the weight each.
    let (repeated, labels): (Vec<&str>, Vec<usize>) = texts
        .iter()
        .zip(soft.chunks_exact(2))
        .flat_map(|(text, row)| {
            (0..4).map(|part| (*text, usize::from(f64::from(part) >= row[0] * 4.0)))
        })
        .unzip();
    let quarter = BagOfWordsOptions {
        inverse_penalty: 1.0,
        ..options
    };
    let same = BagOfWords::train(&repeated, &labels, 2, &quarter);
    // Inverse document frequencies differ a little: (1 + 3) / (1 + 2) is not (1 + 12) / (1 + 8).
    for text in ["glad", "sad", "calm", "glad calm sad"] {
        let (one, other) = (model.probabilities(text), same.probabilities(text));
        assert!(
            (one[0] - other[0]).abs() < 0.02,
            "{text}: {one:?} {other:?}"
        );
    }
    let hard = BagOfWords::train(&texts, &[0, 1, 0], 2, &options);
    assert!(
        model.probabilities("sad")[1] < hard.probabilities("sad")[1] - 0.05,
        "doubt is learnt"
    );
}

#[test]
fn saving_and_loading_changes_nothing() {
    let model = trained();
    let dir = tempfile::tempdir().unwrap();
    let labels: Vec<String> = ["joy", "sadness", "fear", "love"].map(Into::into).into();
    model.save(dir.path(), &labels).unwrap();
    let (loaded, names) = BagOfWords::load(dir.path()).unwrap();
    assert_eq!(names, labels);
    for (text, _) in TEXTS {
        for (a, b) in model
            .probabilities(text)
            .iter()
            .zip(loaded.probabilities(text))
        {
            assert!((a - b).abs() < 1e-5);
        }
    }
    assert_eq!(model, trained(), "training is deterministic");
}

#[test]
fn words_are_split_like_people_write_them() {
    let words: Vec<String> = features::words("I don't KNOW, dont-ask: Zoë's 2nd a_b!").collect();
    assert_eq!(words, ["dont", "know", "dont", "ask", "zoës", "2nd", "a_b"]);
}
