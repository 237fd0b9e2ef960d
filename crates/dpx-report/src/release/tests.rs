//! What a release says, in words and in JSON.

use super::fixture;
use super::*;
use dpx_accounting::{Adjacency, EpsilonBound};

fn statement() -> Statement {
    let (release, disclosure) = fixture::release();
    release
        .statement(&disclosure, &fixture::publication())
        .unwrap()
}

/// Both pages belong to the version of the format: `dpx verify` makes them again. A change here is a change of
/// [`Statement::VERSION`], or releases made before no longer hold.
#[test]
fn the_pages_belong_to_their_version() {
    let statement = statement();
    assert_eq!(Statement::VERSION, 3);
    insta::assert_snapshot!("officer", page(&statement));
    insta::assert_snapshot!("card", card(&statement));
    insta::assert_snapshot!("statement", statement.to_json().unwrap());
}

/// `dpx` and `dpx-accounting` of crates.io are other programs: a link there leads whoever reads a release to a stranger's.
#[test]
fn no_page_leads_to_a_registry() {
    let statement = statement();
    for text in [page(&statement), card(&statement)] {
        assert!(!text.contains("crates.io"), "{text}");
        assert!(text.contains("with dpx 0"), "{text}");
    }
}

/// What section 1 says agrees with the odds of section 4, whatever is protected.
#[test]
fn almost_the_same_is_said_of_small_epsilons_alone() {
    use dpx_accounting::{Claim, ClaimPart};
    use dpx_schema::Unit;
    let with = |noise: f64, unit: Unit, several_owners: bool| {
        let mut statement = statement();
        let part = ClaimPart {
            instance: "train@epsilon=3#0123456789abcdef".to_owned(),
            event: fixture::gaussian(noise),
            adjacency: Adjacency::ZeroOut,
            unit: unit.name().to_owned(),
        };
        let claim = Claim::compose(&[part], fixture::DELTA, Adjacency::ZeroOut, unit.name());
        let claim = claim.unwrap();
        statement.total = Some(claim.clone());
        for run in statement.runs.values_mut() {
            run.bounds = several_owners.then_some(dpx_schema::UnitBounds {
                max_per_unit: 4,
                examples_per_unit: None,
                unit_sampling: None,
                records: None,
                several_owners,
            });
        }
        let epsilon = claim.epsilon().value();
        statement.claim = Some(claim);
        let page = page(&statement);
        let text = page.split("## 2.").next().unwrap();
        (epsilon, text.to_owned())
    };
    for (unit, several_owners) in [
        (Unit::Example, false),
        (Unit::User, false),
        (Unit::User, true),
    ] {
        for noise in [6.0, 0.7, 0.1] {
            let (epsilon, text) = with(noise, unit, several_owners);
            let small = epsilon <= 1.0;
            assert_eq!(text.contains("almost the same"), small, "{epsilon}: {text}");
            let moderate = !small && epsilon <= 20.0;
            assert_eq!(
                text.contains("is bounded, and section 4 says by what"),
                moderate,
                "{epsilon}: {text}"
            );
            assert_eq!(
                text.contains("took part in one is not protected"),
                several_owners && epsilon <= 20.0,
                "{text}"
            );
        }
    }
}

/// How numbers were chosen is nothing that dpx sees.
#[test]
fn what_only_the_publisher_knows_is_said_to_be_their_word() {
    let page = page(&statement());
    assert!(
        page.contains(
            "The publisher states that these numbers were fixed without looking at the data"
        ),
        "{page}"
    );
    assert!(
        page.contains("What the publisher states to be public: the labels"),
        "{page}"
    );
}

#[test]
fn no_private_data_is_said_in_so_many_words() {
    let (mut release, _) = fixture::release();
    release.records.clear();
    for texts in &mut release.texts {
        texts.told.runs.clear();
    }
    release.about.models.clear();
    let disclosure = Disclosure {
        delta: 0.5,
        date: "2026-11-30".to_owned(),
        selection: Selection::None {
            unprotected: Vec::new(),
        },
        prior: Vec::new(),
        rebuilt_ledger: false,
        total: None,
    };
    let statement = release
        .statement(&disclosure, &fixture::publication())
        .unwrap();
    assert!(statement.claim.is_none() && statement.groups.is_empty());
    let page = page(&statement);
    assert!(
        page.contains("No private data were used. The 3 texts here come from"),
        "{page}"
    );
    assert!(!page.contains("-DP"), "{page}");
    let folder = tempfile::tempdir().unwrap();
    release.write(folder.path(), &statement).unwrap();
    let verification = crate::verify(folder.path()).unwrap();
    assert!(verification.holds(), "{:?}", verification.checks);
}

/// Under add/remove adjacency the number of records is as private as the records.
#[test]
fn the_number_of_records_is_told_only_where_it_is_public() {
    let (mut release, mut disclosure) = fixture::release();
    let mut parts = Vec::new();
    for (_, record) in &mut release.records {
        let PrivacyRecord::Private(run) = record else {
            unreachable!("every record of the fixture is private")
        };
        run.adjacency = Adjacency::AddRemove;
        run.examples = 76_543;
        parts.push(run.part());
    }
    let total =
        dpx_accounting::Claim::compose(&parts, disclosure.delta, Adjacency::AddRemove, "example");
    disclosure.selection = Selection::None {
        unprotected: Vec::new(),
    };
    disclosure.prior.clear();
    disclosure.total = Some(total.unwrap());
    release.about.models.clear();
    let statement = release
        .statement(&disclosure, &fixture::publication())
        .unwrap();
    for text in [
        statement.to_json().unwrap(),
        page(&statement),
        card(&statement),
    ] {
        assert!(
            !text.contains("76543") && !text.contains("76_543"),
            "{text}"
        );
    }
}

/// Every epsilon on the pages is at least the one in the statement, which no digit is missing from.
#[test]
fn nothing_is_printed_below_what_is_certified() {
    let statement = statement();
    let printed = |page: &str| -> Vec<f64> {
        page.split('(')
            .filter_map(|rest| rest.split_once(")-DP"))
            .filter_map(|(pair, _)| pair.split_once(", ")?.0.parse().ok())
            .collect()
    };
    let total = statement.total.as_ref().unwrap().epsilon();
    let own = statement.claim.as_ref().unwrap().epsilon();
    let up = |bound: EpsilonBound| format!("{bound}").parse::<f64>().unwrap();
    for page in [page(&statement), card(&statement)] {
        let printed = printed(&page);
        assert!(
            printed.contains(&up(total)) && printed.contains(&up(own)),
            "{printed:?}"
        );
        assert!(printed.iter().all(|&value| value > 0.0), "{printed:?}");
    }
    assert!(up(total) >= total.value() && total > own);
    let epsilons: Vec<EpsilonBound> = statement.groups.iter().map(|group| group.epsilon).collect();
    assert_eq!(epsilons[0], total);
    assert!(epsilons.is_sorted());
}

/// A model alone has pages of its own, which follow from the statement as those of texts do.
#[test]
fn a_model_alone_has_its_card_and_page() {
    use dpx_stages::export::{LabelPrompt, Prompts};
    let (mut release, mut disclosure) = fixture::release();
    release.texts.clear();
    release.records.truncate(1);
    let part = release.records[0].1.private().unwrap().part();
    let labels = release.about.labels.iter();
    let prompts = labels.map(|label| LabelPrompt {
        label: label.clone(),
        prompt: format!("{label}:"),
        input_ids: vec![1, 2],
    });
    release.about.export = Some(Export {
        form: ExportForm::Adapter,
        dtype: "float32".to_owned(),
        base_precision: dpx_schema::params::BasePrecision::Int8,
        base: Some("hf:who/base@0123456789abcdef0123456789abcdef01234567".to_owned()),
        base_license: Some("apache-2.0".to_owned()),
        prompts: Prompts {
            template: "{label}: {text}".to_owned(),
            labels: prompts.collect(),
            with_keyword: None,
            before_text: " ".to_owned(),
            end_tokens: vec![0],
            conversations: false,
        },
    });
    disclosure.selection = Selection::None {
        unprotected: Vec::new(),
    };
    disclosure.prior.clear();
    disclosure.total = Some(fixture::claim(&[part]));
    let statement = release
        .statement(&disclosure, &fixture::publication())
        .unwrap();
    let page = page(&statement);
    for part in [
        "The adapter of a language model here was made from 1000 private records under",
        "for it.",
        "Chance: what the model writes may coincide",
        "Records that the model was only scored on",
        "no other row of this study under a guarantee was scored",
        "never split.\n",
        "this page and the model card",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("Released texts"), "{page}");
    let made = card(&statement);
    for part in [
        "license: \"cc-by-4.0\"\nlibrary_name: peft\npipeline_tag: text-generation\nbase_model: \"who/base\"\nbase_model_relation: adapter\n",
        "- differential-privacy\n- dp-sgd\n- lora\n",
        "The LoRA adapter of `train@epsilon=3`, fine-tuned on private texts with DP-SGD",
        "at commit `0123456789abcdef0123456789abcdef01234567`",
        "| `fear: \"no\"` | `fear: \"no\":` |",
        "revision=\"0123456789abcdef0123456789abcdef01234567\"",
        "states the license `apache-2.0`",
        "frozen, matrices rounded to 8 bits, with a scale for each row. On the weights as they are published",
    ] {
        assert!(made.contains(part), "{part}: {made}");
    }
    let json = statement.to_json().unwrap();
    assert_eq!(serde_json::from_str::<Statement>(&json).unwrap(), statement);
    let files = statement.files();
    assert!(files.contains(&"config.json".to_owned()), "{files:?}");
    assert_eq!(statement.released(), ["train@epsilon=3"]);
    // What the license of a public model asks for.
    let mut of_llama = statement.clone();
    let export = of_llama.export.as_mut().unwrap();
    export.base_license = Some("llama3".to_owned());
    let made = card(&of_llama);
    for part in [
        "\n# Model: Llama 3 ",
        "\n**Built with Meta Llama 3.**\n",
        "a name that begins with \"Llama 3\"; the words \"Built with Meta Llama 3\"",
    ] {
        assert!(made.contains(part), "{part}: {made}");
    }
    // Whole, rounded, of a model that nobody knows.
    let mut statement = statement;
    let export = statement.export.as_mut().unwrap();
    export.form = ExportForm::Model;
    export.dtype = "bfloat16".to_owned();
    (export.base, export.base_license) = (Some("files of the publisher's own".to_owned()), None);
    let card = card(&statement);
    for part in [
        "library_name: transformers\n",
        "rounded to bfloat16",
        "The weights here are those rounded ones plus the adapter.",
        "is not known to dpx",
    ] {
        assert!(card.contains(part), "{part}: {card}");
    }
    assert!(!card.contains("base_model"), "{card}");
}
