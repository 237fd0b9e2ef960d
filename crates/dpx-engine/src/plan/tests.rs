//! Plans of whole files: names, order, seeds, budgets, and what an edit re-runs.

use super::fake::{FakeCache, faithful, in_state, names};
use super::{Plan, Reason, Seen, State, build, causes, decide, summary, times};
use crate::experiment;
use dpx_schema::{Kind, ReleaseLabel};
use std::collections::BTreeSet;
use std::path::Path;

const STUDY: &str = r#"
[experiment]
name = "study"

[sweep]
epsilon = ["inf", 8]

[stage.score]
kind = "score"
needs = ["sample", "preprocess", "classify", "train"]

[stage.preprocess]
kind = "preprocess"
dataset = "builtin:emotions"

[stage.train]
kind = "train"
needs = ["preprocess"]
model = "builtin:base"
epsilon = "$epsilon"

[stage.sample]
kind = "sample"
needs = ["train"]

[stage.classify]
kind = "classify"
needs = ["sample", "preprocess"]

[stage.benchmark]
kind = "classify"
needs = ["preprocess"]
"#;

fn load(text: &str, sets: &[&str]) -> experiment::Experiment {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("study.toml");
    std::fs::write(&file, text).unwrap();
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let loaded = experiment::load(&file, &sets);
    let shown = experiment::render(&loaded.diagnostics, &loaded.files);
    loaded.experiment.unwrap_or_else(|| panic!("{shown}"))
}

fn plan(text: &str, sets: &[&str]) -> Plan {
    build(&load(text, sets), &Seen).unwrap()
}

fn all_names(plan: &Plan) -> Vec<&str> {
    plan.instances.iter().map(|i| i.name.as_str()).collect()
}

fn nobody() -> BTreeSet<usize> {
    BTreeSet::new()
}

/// A cache in which a study ran to its end.
fn ran(plan: &Plan) -> FakeCache {
    let mut cache = FakeCache::default();
    let ran = cache.run(plan, faithful, &nobody());
    assert_eq!(ran.len(), plan.instances.len());
    cache
}

#[test]
fn a_row_is_finished_early_and_shared_stages_run_once() {
    let plan = plan(STUDY, &[]);
    assert_eq!(
        all_names(&plan),
        [
            "preprocess",
            "train@epsilon=inf",
            "sample@epsilon=inf",
            "classify@epsilon=inf",
            "score@epsilon=inf",
            "benchmark",
            "train@epsilon=8",
            "sample@epsilon=8",
            "classify@epsilon=8",
            "score@epsilon=8",
        ]
    );
    for (id, instance) in plan.instances.iter().enumerate() {
        for need in &instance.needs {
            assert!(need.instance < id);
            let other = &plan.instances[need.instance];
            assert!(
                other
                    .axes
                    .iter()
                    .all(|(axis, value)| instance.axes.get(axis) == Some(value))
            );
        }
    }
}

#[test]
fn edits_rerun_what_they_change_and_nothing_else() {
    let first = plan(STUDY, &[]);
    let cache = ran(&first);
    let after = |text: &str, sets: &[&str]| {
        let plan = plan(text, sets);
        let decisions = decide(&plan, &cache, &nobody());
        (
            in_state(&plan, &decisions, "run"),
            in_state(&plan, &decisions, "only if"),
        )
    };
    let nothing: (Vec<String>, Vec<String>) = (vec![], vec![]);
    assert_eq!(after(STUDY, &[]), nothing);
    let comment = STUDY.replace("[sweep]", "# a comment\n\n[sweep]   # another");
    assert_eq!(after(&comment, &[]), nothing);
    let respelt = STUDY.replace("\"inf\", 8", "inf, 8.0");
    assert_eq!(after(&respelt, &["stage.train.epochs=3.0"]), nothing);
    assert_eq!(
        after(STUDY, &["stage.train.micro_batch_size=7", "run.jobs=3"]),
        nothing
    );
    assert_eq!(after(STUDY, &["experiment.name=other"]), nothing);

    let (run, only_if) = after(STUDY, &["stage.score.max_texts=7"]);
    assert_eq!(run, ["score@epsilon=inf", "score@epsilon=8"]);
    assert!(only_if.is_empty());

    let (run, only_if) = after(STUDY, &["sweep.epsilon=[\"inf\", 8, 3]"]);
    assert_eq!(
        run,
        [
            "train@epsilon=3",
            "sample@epsilon=3",
            "classify@epsilon=3",
            "score@epsilon=3"
        ]
    );
    assert!(only_if.is_empty());

    let (run, only_if) = after(STUDY, &["stage.preprocess.scrub=none"]);
    assert_eq!(run, ["preprocess"]);
    assert_eq!(only_if.len(), 9);

    let (run, only_if) = after(STUDY, &["experiment.seed=1"]);
    assert_eq!((run.len(), only_if.len()), (10, 0));
}

#[test]
fn a_score_takes_the_model_that_its_train_started_from() {
    let from_binary = plan(STUDY, &[]);
    let score = &from_binary.instances[from_binary.find("score@epsilon=8").unwrap()];
    assert_eq!(score.params["base"], "builtin:base");
    assert_eq!(score.sources["base"], "seen");
    let made =
        format!("{STUDY}\n[stage.base]\nkind = \"pretrain\"\ncorpus = [\"builtin:dialogue\"]\n")
            .replace(
                "needs = [\"preprocess\"]\nmodel = \"builtin:base\"",
                "needs = [\"preprocess\", \"base\"]\nmodel = \"stage:base\"",
            );
    let made = plan(&made, &[]);
    let score = &made.instances[made.find("score@epsilon=8").unwrap()];
    assert_eq!(score.params["base"], "stage:base");
    assert!(
        score.needs.iter().any(|need| need.stage == "base"),
        "{:?}",
        score.needs
    );
    let without = plan(STUDY, &["stage.score.perplexity=false"]);
    let score = &without.instances[without.find("score@epsilon=8").unwrap()];
    assert_eq!(score.params["base"], "");
}

#[test]
fn reasons_name_old_and_new_and_are_grouped_by_cause() {
    let cache = ran(&plan(STUDY, &[]));
    let plan = plan(STUDY, &["stage.train.epochs=4"]);
    let decisions = decide(&plan, &cache, &nobody());
    let causes = causes(&plan, &decisions);
    assert_eq!(causes.len(), 1);
    assert_eq!(causes[0].reason.to_string(), "parameter `epochs` 3 -> 4");
    assert_eq!(
        names(&plan, &causes[0].instances),
        ["train@epsilon=inf", "train@epsilon=8"]
    );
    assert_eq!(causes[0].dragged.len(), 6);
    let sample = &decisions[plan.find("sample@epsilon=8").unwrap()];
    let train = plan.find("train@epsilon=8").unwrap();
    assert_eq!(
        sample.state,
        State::OnlyIf {
            changed: vec![train]
        }
    );
    let summary = summary(&decisions);
    assert_eq!((summary.cached, summary.run, summary.only_if), (2, 2, 6));
    // Another number of epochs is another amount of work: no record tells how long it takes.
    assert_eq!(summary.seconds, 12.0);
    let times = times(&plan, &decisions);
    let told: Vec<(&str, usize, usize, f64)> = times
        .iter()
        .map(|time| (time.stage.as_str(), time.waiting, time.known, time.seconds))
        .collect();
    assert_eq!(
        told,
        [
            ("train", 2, 0, 0.0),
            ("sample", 2, 2, 4.0),
            ("classify", 2, 2, 4.0),
            ("score", 2, 2, 4.0)
        ]
    );
}

#[test]
fn the_wave_stops_where_the_bytes_are_the_same() {
    // Scrubbing finds nothing to scrub: the texts come out the same.
    let blind: super::fake::World = |params, seed, inputs| {
        let mut params = params.clone();
        if let Some(map) = params.as_object_mut() {
            map.remove("scrub");
        }
        faithful(&params, seed, inputs)
    };
    let mut cache = FakeCache::default();
    cache.run(&plan(STUDY, &[]), blind, &nobody());
    let edited = plan(STUDY, &["stage.preprocess.scrub=none"]);
    let ran = cache.run(&edited, blind, &nobody());
    assert_eq!(names(&edited, &ran), ["preprocess"]);
}

#[test]
fn forced_and_damaged_instances_run_and_say_so() {
    let plan = plan(STUDY, &[]);
    let mut cache = ran(&plan);
    let train = plan.find("train@epsilon=8").unwrap();
    let forced = BTreeSet::from([train]);
    let decisions = decide(&plan, &cache, &forced);
    assert_eq!(
        decisions[train].state,
        State::Run {
            reasons: vec![Reason::Forced]
        }
    );
    assert_eq!(in_state(&plan, &decisions, "only if").len(), 3);
    assert_eq!(cache.clone().run(&plan, faithful, &forced), [train]);

    let key = decide(&plan, &cache, &nobody())[train].key.unwrap();
    cache.damaged.insert(key);
    let decisions = decide(&plan, &cache, &nobody());
    let State::Run { reasons } = &decisions[train].state else {
        panic!("a damaged record is used")
    };
    assert!(matches!(reasons[0], Reason::Damaged { .. }));
    assert!(reasons[0].to_string().contains("counts once more"));
    assert_eq!(cache.run(&plan, faithful, &nobody()), [train]);
}

#[test]
fn replicates_change_the_seed_of_what_draws() {
    let text = STUDY.replace("[\"inf\", 8]", "[8]\nreplicate = [1, 2]");
    let plan = plan(&text, &[]);
    let seed = |name: &str| plan.instances[plan.find(name).expect(name)].seed;
    assert_eq!(seed("preprocess"), 42);
    assert_ne!(
        seed("train@epsilon=8,replicate=1"),
        seed("train@epsilon=8,replicate=2")
    );
    assert_ne!(seed("benchmark@replicate=1"), seed("benchmark@replicate=2"));
    assert!(plan.find("score@epsilon=8,replicate=2").is_some());

    let fixed = text.replace("kind = \"sample\"", "kind = \"sample\"\nseed = 5");
    let other = super::tests::plan(&fixed, &[]);
    let sample = other.find("sample@epsilon=8,replicate=1").unwrap();
    assert_ne!(
        other.instances[sample].seed,
        seed("sample@epsilon=8,replicate=1")
    );

    let axis = STUDY.replace("[sweep]", "[sweep]\nluck = [3, 4]").replace(
        "needs = [\"train\"]",
        "needs = [\"train\"]\nseed = \"$luck\"",
    );
    let plan = super::tests::plan(&axis, &[]);
    assert!(plan.find("sample@luck=4,epsilon=8").is_some());
    assert!(plan.find("train@epsilon=8").is_some());
}

#[test]
fn a_split_budget_is_filled_into_each_of_its_stages() {
    let text = STUDY
        .replace("[sweep]", "[privacy]\ndelta = 1e-5\nsplit = { train = 0.5, teacher = 0.45, counts = 0.05 }\n\n[sweep]\nbatch = [64, 128]")
        .replace("[stage.sample]", "batch_size = \"$batch\"\n\n[stage.teacher]\nkind = \"teacher\"\nneeds = [\"preprocess\"]\nepsilon = \"$epsilon\"\n\n[stage.counts]\nkind = \"counts\"\nneeds = [\"preprocess\"]\nepsilon = \"$epsilon\"\n\n[stage.sample]");
    let plan = plan(&text, &[]);
    // The teacher is calibrated together with the generator, so the generator's axes reach it.
    for name in ["train", "teacher", "counts"] {
        let id = plan
            .find(&format!("{name}@batch=128,epsilon=8"))
            .expect(name);
        let params = &plan.instances[id].params;
        assert_eq!(params, &plan.instances[id].key_params);
        let budget = &params["budget"];
        assert_eq!(budget["epsilon"], 8.0);
        assert_eq!(budget["delta"], 1e-5);
        let components = budget["components"].as_object().unwrap();
        assert_eq!(components.len(), 3);
        assert_eq!(components["teacher"]["share"], 0.45);
        assert_eq!(components["train"]["kind"], "train");
        assert_eq!(components["train"]["params"]["batch_size"], 128);
        assert!(components["train"]["params"].get("budget").is_none());
    }
    // A change to one mechanism recalibrates the others.
    let cache = ran(&plan);
    let edited = super::tests::plan(&text, &["stage.counts.keywords_per_text=1"]);
    let decisions = decide(&edited, &cache, &nobody());
    assert_eq!(in_state(&edited, &decisions, "run").len(), 3 * 4);
}

#[test]
fn privacy_defaults_reach_private_stages_and_labels_follow() {
    let flow_of = |text: &str, name: &str| {
        let plan = plan(text, &[]);
        plan.instances[plan.find(name).unwrap()].flow
    };
    assert_eq!(flow_of(STUDY, "sample@epsilon=8"), ReleaseLabel::Dp);
    assert_eq!(flow_of(STUDY, "sample@epsilon=inf"), ReleaseLabel::Private);
    let seeded = STUDY.replace("[sweep]", "[privacy]\nnoise = \"seeded\"\n\n[sweep]");
    assert_eq!(flow_of(&seeded, "sample@epsilon=8"), ReleaseLabel::Seeded);
    let own = seeded.replace("kind = \"train\"", "kind = \"train\"\nnoise = \"secure\"");
    assert_eq!(flow_of(&own, "sample@epsilon=8"), ReleaseLabel::Dp);
}

#[test]
fn content_counts_and_the_place_of_a_file_does_not() {
    let text = STUDY.replace(
        "builtin:emotions\"",
        "data.csv\"\nlabels = [\"joy\", \"fear\"]",
    );
    let key_of = |folder: &Path, data: &str| {
        std::fs::write(folder.join("data.csv"), data).unwrap();
        let file = folder.join("study.toml");
        std::fs::write(&file, &text).unwrap();
        let experiment = experiment::load(&file, &[]).experiment.unwrap();
        let plan = build(
            &experiment,
            &super::LocalSources::new(Path::new("no-such-folder")),
        )
        .unwrap();
        assert_eq!(
            plan.instances[0].params["dataset"],
            folder.join("data.csv").to_str().unwrap()
        );
        plan.instances[0].key(&std::collections::BTreeMap::new())
    };
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let key = key_of(here.path(), "text,label\na,joy\n");
    assert_eq!(key, key_of(there.path(), "text,label\na,joy\n"));
    assert_ne!(key, key_of(here.path(), "text,label\nb,joy\n"));
}

#[test]
fn every_kind_takes_its_defaults() {
    for kind in Kind::ALL {
        let table = experiment::KindTable::of(kind);
        assert!(
            table.keys().all(|key| table.property(key).is_some()),
            "{kind}"
        );
        let both: Vec<&str> = table
            .keys()
            .filter(|key| ["kind", "needs", "seed"].contains(key))
            .collect();
        assert!(
            both.is_empty(),
            "{kind} has {both:?}, which every stage has"
        );
    }
}

/// What ran on public stand-ins is no earlier record of the study: its data, columns and inputs are others.
#[test]
fn a_study_is_not_compared_with_its_rehearsal() {
    let sets = [
        "experiment.name=\"study-rehearsal\"",
        "stage.train.epochs=1",
    ];
    let rehearsed = plan(STUDY, &sets);
    let mut cache = ran(&rehearsed);
    let study = plan(STUDY, &["stage.preprocess.limit=50"]);
    let reasons = |cache: &FakeCache, plan: &Plan| {
        let decisions = decide(plan, cache, &nobody());
        let mut all: Vec<String> = Vec::new();
        for decision in &decisions {
            match &decision.state {
                State::Run { reasons } => all.extend(reasons.iter().map(ToString::to_string)),
                State::OnlyIf { .. } => all.push("only if".to_owned()),
                State::Cached { .. } => {}
            }
        }
        all
    };
    let found = reasons(&cache, &study);
    assert!(
        !found.is_empty() && found.iter().all(|reason| reason == "new"),
        "{found:?}"
    );
    // The rehearsal again, with another setting, is compared with the first.
    let again = plan(STUDY, &[sets[0], "stage.train.epochs=2"]);
    let found = reasons(&cache, &again);
    assert!(
        found.iter().any(|reason| reason.contains("epochs")),
        "{found:?}"
    );
    cache.run(&study, faithful, &nobody());
    let later = plan(STUDY, &["stage.preprocess.limit=60"]);
    let found = reasons(&cache, &later);
    assert!(
        found.iter().any(|reason| reason.contains("limit")),
        "{found:?}"
    );
}

#[test]
fn a_rehearsal_is_known_by_what_it_reads() {
    let mut plan = plan(STUDY, &["experiment.name=\"study-rehearsal\""]);
    assert!(!plan.is_rehearsal(), "a name alone does not tell");
    plan.instances[0].params["dataset"] = "/a/cache/rehearsal/study/preprocess".into();
    assert!(plan.is_rehearsal());
    plan.experiment = "study".into();
    assert!(!plan.is_rehearsal());
}

/// Models whose tokenizer is read by other rules than before; data stay what they are.
struct ReadOtherwise;

impl super::Sources for ReadOtherwise {
    fn identity(
        &self,
        role: dpx_data::Role,
        source: &dpx_data::Source,
    ) -> Result<String, super::SourceError> {
        Seen.identity(role, source)
    }

    fn reading(
        &self,
        role: dpx_data::Role,
        _source: &dpx_data::Source,
        _identity: &str,
    ) -> Result<Option<String>, super::SourceError> {
        Ok((role == dpx_data::Role::Model).then(|| "rules 1".to_owned()))
    }
}

/// What was computed with another reading of a tokenizer is not found again, of whatever stage the model is a source; without one nothing
/// changes, so that no private training runs a second time for it.
#[test]
fn a_reading_stands_in_the_keys_of_the_stages_that_tokenize() {
    let sets = ["stage.preprocess.limit=50"];
    let before = plan(STUDY, &sets);
    let after = build(&load(STUDY, &sets), &ReadOtherwise).unwrap();
    let mut cache = ran(&before);
    assert!(cache.run(&before, faithful, &nobody()).is_empty());
    for (old, new) in before.instances.iter().zip(&after.instances) {
        let names = |instance: &super::Instance| -> Vec<String> {
            let names = instance.sources.keys();
            names
                .filter(|name| name.ends_with(" (tokenizer)"))
                .cloned()
                .collect()
        };
        assert!(names(old).is_empty(), "{}", old.name);
        let wanted: &[&str] = match new.kind {
            Kind::Train => &["model (tokenizer)"],
            Kind::Score => &["base (tokenizer)", "encoder (tokenizer)"],
            _ => &[],
        };
        if new.kind != Kind::Classify {
            assert_eq!(names(new), wanted, "{}", new.name);
        }
    }
    let again = cache.run(&after, faithful, &nobody());
    let kinds: BTreeSet<Kind> = again.iter().map(|&id| after.instances[id].kind).collect();
    assert!(kinds.contains(&Kind::Train) && kinds.contains(&Kind::Score));
    assert!(!kinds.contains(&Kind::Preprocess));
}
