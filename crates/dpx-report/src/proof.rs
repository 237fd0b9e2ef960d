//! The proof bench: random studies, finished or not, whose claims are compared with an accountant of its own over what their
//! instances executed, and with each other wherever they are shown.
//!
//! `DPX_PROOF_STUDIES=1000` tries more of them than a run of the tests does.

mod accountant;
mod fuzz;
mod random;

use super::assemble::assemble;
use super::html::{self, Extras};
use super::release::{Release, ReleaseError};
use super::sources::{Artifacts, Floors, Known, Sources};
use super::study::{GuaranteeKind, InstanceState, Row};
use super::table::bound;
use super::{export, terminal};
use accountant::Steps;
use dpx_accounting::DpEvent;
use dpx_engine::experiment;
use dpx_engine::plan::{Instance, InstanceId, Plan, Seen, build};
use dpx_schema::{Kind, NoiseSource, PrivacyRecord, PrivateRun, PublicInputs, Record, Unit};
use dpx_stages::floor::FloorRequest;
use dpx_stages::metric::Classification;
use dpx_stages::{PrivatePlan, Spending};
use random::Random;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// Studies of a run of the tests.
const STUDIES: u64 = 6;

fn studies() -> u64 {
    let asked = std::env::var("DPX_PROOF_STUDIES").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(STUDIES)
}

/// What an instance did, as the test knows it.
#[derive(Debug, Clone, PartialEq)]
enum Executed {
    Nothing,
    Unprotected,
    Noise(Steps),
}

/// A study that ran, as far as it came.
struct Ran {
    text: String,
    plan: Plan,
    known: Vec<Known>,
    files: BTreeMap<(String, String), Vec<u8>>,
    /// What each finished private instance did.
    executed: BTreeMap<InstanceId, Executed>,
    /// The least delta of those that drew noise.
    delta: Option<f64>,
    seeded: bool,
}

impl Artifacts for Ran {
    fn read(&self, record: &Record, path: &str) -> Result<Option<Vec<u8>>, String> {
        let name = (record.instance.to_string(), path.to_owned());
        Ok(self.files.get(&name).cloned())
    }
}

/// The plan of a file, or what is wrong with it.
fn loaded(text: &str) -> Result<Plan, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("random.toml");
    std::fs::write(&file, text).unwrap();
    let loaded = experiment::load(&file, &[]);
    let shown = experiment::render(&loaded.diagnostics, &loaded.files);
    let experiment = loaded.experiment.ok_or(shown)?;
    build(&experiment, &Seen).map_err(|diagnostics| format!("{diagnostics:?}"))
}

/// The plan of a private stage; calibrated once, however many studies and tests ask.
fn planned(instance: &Instance, examples: u64) -> Result<PrivatePlan, String> {
    static KNOWN: Mutex<BTreeMap<String, Result<PrivatePlan, String>>> =
        Mutex::new(BTreeMap::new());
    let key = format!(
        "{} {} {examples} {}",
        instance.kind, instance.stage, instance.params
    );
    let known = KNOWN.lock().unwrap().get(&key).cloned();
    known.unwrap_or_else(|| {
        let plan = dpx_stages::plan(instance.kind, &instance.stage, &instance.params, examples);
        let plan = plan.map_err(|error| error.to_string());
        KNOWN.lock().unwrap().insert(key, plan.clone());
        plan
    })
}

struct NoFloors;

impl Floors for NoFloors {
    fn floor(&self, _: &Record, _: &FloorRequest) -> Option<Classification> {
        None
    }
}

fn finished(instance: &Instance) -> Known {
    let record = Record {
        experiment: "random".into(),
        wall_seconds: 1.0,
        ..super::tests::record(instance)
    };
    Known {
        state: InstanceState::Cached,
        record: Some(Arc::new(record)),
    }
}

impl Ran {
    fn new(random: &mut Random) -> (random::Study, Self) {
        let study = random::Study::new(random);
        let text = study.file();
        let ran = Self::of(text.clone(), study.examples, random);
        let ran = ran.unwrap_or_else(|| panic!("{}\n{text}", loaded(&text).unwrap_err()));
        (study, ran)
    }

    /// Runs a file, as far as it comes; nothing where it is refused.
    fn of(text: String, examples: u64, random: &mut Random) -> Option<Self> {
        let plan = loaded(&text).ok()?;
        if plan.instances.len() > 60 {
            return None;
        }
        let interrupted = random.chance(50);
        let seeded = random.chance(15);
        let mut ran = Self {
            text,
            known: Vec::new(),
            files: BTreeMap::new(),
            executed: BTreeMap::new(),
            delta: None,
            seeded,
            plan,
        };
        for id in 0..ran.plan.instances.len() {
            let instance = ran.plan.instances[id].clone();
            let ready = instance
                .needs
                .iter()
                .all(|need| ran.known[need.instance].record.is_some());
            let refused = instance.kind.spends() && planned(&instance, examples).is_err();
            if !ready || refused || (interrupted && random.chance(12)) {
                ran.known.push(Known {
                    state: InstanceState::Missing,
                    record: None,
                });
                continue;
            }
            ran.known.push(finished(&instance));
            ran.run(id, &instance, examples, random);
        }
        Some(ran)
    }

    fn file(&mut self, instance: &Instance, path: &str, content: String) {
        let name = (instance.name.to_string(), path.to_owned());
        self.files.insert(name, content.into_bytes());
    }

    /// Does what the stage would do.
    fn run(&mut self, id: InstanceId, instance: &Instance, examples: u64, random: &mut Random) {
        match instance.kind {
            kind if kind.spends() => {
                let record = self.spend(id, instance, examples);
                self.file(
                    instance,
                    "privacy.json",
                    serde_json::to_string(&record).unwrap(),
                );
            }
            Kind::Pretrain => {
                let record = PrivacyRecord::Public {
                    source: "builtin:dialogue".into(),
                    inputs: PublicInputs::default(),
                };
                self.file(
                    instance,
                    "privacy.json",
                    serde_json::to_string(&record).unwrap(),
                );
            }
            Kind::Sample => {
                let none = json!({"policy": "keep", "retried": 0, "dropped": 0});
                let report =
                    json!({"texts": 12, "by_label": {}, "empty": none, "duplicates": none});
                self.file(instance, "sample.json", report.to_string());
                self.file(
                    instance,
                    "synthetic.csv",
                    "text,label\nso it is,joy\n".into(),
                );
            }
            // Some replicates have a score, others none.
            Kind::Classify if random.chance(60) => {
                let labels = ["anger".to_owned(), "joy".to_owned()];
                let matrix = vec![vec![30, 10], vec![5, 35]];
                let found = Classification::from_matrix(&labels, matrix).unwrap();
                self.file(
                    instance,
                    "metrics.json",
                    serde_json::to_string(&found).unwrap(),
                );
            }
            _ => {}
        }
    }

    fn spend(&mut self, id: InstanceId, instance: &Instance, examples: u64) -> PrivacyRecord {
        let plan = planned(instance, examples).expect("it was planned before");
        let sigma = match plan.spending {
            Spending::Untouched => {
                self.executed.insert(id, Executed::Nothing);
                return PrivacyRecord::Untouched(PublicInputs::default());
            }
            Spending::NotPrivate => {
                self.executed.insert(id, Executed::Unprotected);
                return PrivacyRecord::NotPrivate;
            }
            Spending::Noise {
                noise_multiplier, ..
            } => noise_multiplier,
        };
        let steps = match (plan.sampling, instance.kind) {
            (Some(sampling), _) => (sampling.sampling_rate, sigma, sampling.steps),
            (None, Kind::Teacher) => (1.0, sigma, instance.params["steps"].as_u64().unwrap()),
            (None, _) => (1.0, sigma, 1),
        };
        self.executed.insert(id, Executed::Noise(steps));
        self.delta = Some(self.delta.map_or(plan.delta, |least| least.min(plan.delta)));
        let event = DpEvent::poisson_sampled_gaussian(steps.0, steps.1, steps.2).unwrap();
        PrivacyRecord::Private(PrivateRun {
            version: PrivateRun::VERSION,
            instance: instance.name.clone(),
            run: format!("{:032x}", id as u128 + 1),
            event,
            adjacency: plan.adjacency,
            unit: Unit::Example,
            bounds: None,
            delta: plan.delta,
            examples: plan.examples,
            canaries: plan.canaries,
            noise: if self.seeded || instance.params["noise"] == "seeded" {
                NoiseSource::Seeded
            } else {
                NoiseSource::Secure
            },
            max_grad_norm: 1.0,
            rounding_allowance: 1e-4,
            max_length: None,
            clipping: None,
            base_precision: dpx_schema::params::BasePrecision::F32,
            expected_batch_size: None,
            target_epsilon: plan.target.value(),
            shared_with: Vec::new(),
            declared_overlap: Vec::new(),
            provenance: Vec::new(),
        })
    }

    fn sources(&self) -> Sources<'_> {
        Sources {
            plan: &self.plan,
            known: &self.known,
            floors: &NoFloors,
            artifacts: self,
            title: None,
            reference: None,
        }
    }

    /// The private instances behind one, found by the study's own graph.
    fn behind(&self, study: &random::Study, id: InstanceId) -> BTreeSet<InstanceId> {
        let instance = &self.plan.instances[id];
        let stage = study
            .stages
            .iter()
            .position(|stage| stage.name == instance.stage);
        let private = study.private_behind(stage.expect("every instance is of a stage"));
        private
            .into_iter()
            .map(|stage| {
                let name = &study.stages[stage].name;
                let fits = |other: &&Instance| {
                    other.stage == *name
                        && other
                            .axes
                            .iter()
                            .all(|(axis, value)| instance.axes.get(axis) == Some(value))
                };
                let found = self.plan.instances.iter().find(fits);
                let found = found.unwrap_or_else(|| panic!("{name} behind {}", instance.name));
                self.plan
                    .find(&found.name)
                    .expect("it was found in the plan")
            })
            .collect()
    }

    /// Whether an instance belongs to a row, by its axes alone.
    fn in_row(&self, id: InstanceId, row: &Row) -> bool {
        let axes = &self.plan.instances[id].axes;
        let mut own = axes
            .iter()
            .filter(|(name, _)| *name != "replicate")
            .peekable();
        let without_axes = row.axes.is_empty();
        if without_axes {
            return row.name == "study" || self.plan.instances[id].stage == row.name;
        }
        own.peek().is_some() && own.all(|(name, value)| row.axes.get(name) == Some(value))
    }

    /// Everything that a row spends: behind its samples and in its own private stages, all replicates or the first.
    fn spent(&self, study: &random::Study, row: &Row, all: bool) -> BTreeSet<InstanceId> {
        let shared = row.axes.is_empty() && row.name != "study";
        let own: Vec<InstanceId> = (0..self.plan.instances.len())
            .filter(|&id| self.in_row(id, row))
            .filter(|&id| {
                let kind = self.plan.instances[id].kind;
                kind == Kind::Sample || (!shared && kind.spends())
            })
            .collect();
        let replicate = |id: InstanceId| {
            let value = self.plan.instances[id].axes.get("replicate");
            value.and_then(serde_json::Value::as_i64)
        };
        own.iter()
            .flat_map(|&id| self.behind(study, id))
            .filter(|&id| all || replicate(id).is_none_or(|number| number == 1))
            .collect()
    }

    /// Epsilon by the test's own accountant; none where something ran without protection.
    fn cost(&self, instances: &BTreeSet<InstanceId>) -> Option<f64> {
        let mut steps = Vec::new();
        for id in instances {
            match self.executed.get(id)? {
                Executed::Nothing => {}
                Executed::Unprotected => return None,
                Executed::Noise(one) => steps.push(*one),
            }
        }
        Some(match self.delta {
            Some(delta) if !steps.is_empty() => accountant::epsilon(&steps, delta),
            _ => 0.0,
        })
    }

    /// What the row promises, by the test's own reckoning.
    fn expected(&self, study: &random::Study, row: &Row) -> (GuaranteeKind, Option<f64>) {
        let spent = self.spent(study, row, false);
        if !spent.iter().all(|id| self.executed.contains_key(id)) || self.waits(row) {
            return (GuaranteeKind::Unknown, None);
        }
        let noisy = spent
            .iter()
            .any(|id| matches!(self.executed[id], Executed::Noise(_)));
        match self.cost(&spent) {
            None => (GuaranteeKind::None, None),
            Some(_) if !noisy => (GuaranteeKind::Untouched, Some(0.0)),
            Some(epsilon) if self.seeded => (GuaranteeKind::Seeded, Some(epsilon)),
            Some(epsilon) => (GuaranteeKind::Dp, Some(epsilon)),
        }
    }

    /// Whether a public model behind a row's samples is not there yet.
    fn waits(&self, row: &Row) -> bool {
        let plan = &self.plan;
        let samples = (0..plan.instances.len())
            .filter(|&id| plan.instances[id].kind == Kind::Sample && self.in_row(id, row));
        samples
            .flat_map(|id| plan.ancestors(id))
            .any(|id| plan.instances[id].kind == Kind::Pretrain && self.known[id].record.is_none())
    }
}

fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 0.06 + 0.02 * expected
}

/// Rules 46 to 49 and 60: one study, shown everywhere.
fn examine(study: &random::Study, ran: &Ran) -> Result<(), String> {
    let sources = ran.sources();
    let shown = assemble(&sources).map_err(|error| error.to_string())?;
    let json: serde_json::Value = serde_json::from_str(&export::json(&shown).unwrap()).unwrap();
    let csv = export::csv(&shown).unwrap();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header = reader.headers().unwrap().clone();
    let lines: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let column = |name: &str| header.iter().position(|column| column == name).unwrap();
    let printed = terminal::render(&shown, 200);
    let markdown = export::markdown(&shown);
    let page = html::render(&shown, &Extras::default()).unwrap();
    for (at, row) in shown.rows.iter().enumerate() {
        let (kind, epsilon) = ran.expected(study, row);
        let found = &row.guarantee;
        if found.kind != kind {
            return Err(format!("{}: {:?}, expected {kind:?}", row.name, found.kind));
        }
        let certified = found.epsilon.map(dpx_accounting::EpsilonBound::value);
        match (certified, epsilon) {
            (None, None) => {}
            (Some(found), Some(expected)) if near(found, expected) => {}
            other => return Err(format!("{}: epsilon {other:?}", row.name)),
        }
        if kind == GuaranteeKind::Dp
            && found.delta.map(dpx_accounting::DeltaBound::value) != ran.delta
        {
            return Err(format!(
                "{}: delta {:?} of {:?}",
                row.name, found.delta, ran.delta
            ));
        }
        // The same number everywhere.
        let Some(certified) = found.epsilon else {
            continue;
        };
        let in_json = json["rows"][at]["guarantee"]["epsilon"].as_f64();
        let line = lines.iter().find(|line| line[0] == row.name);
        let in_csv = line.and_then(|line| line[column("epsilon_certified")].parse::<f64>().ok());
        if in_json != Some(certified.value()) || in_csv != Some(certified.value()) {
            return Err(format!("{}: json {in_json:?}, csv {in_csv:?}", row.name));
        }
        if kind == GuaranteeKind::Dp {
            let text = bound(certified);
            for (place, shown) in [
                ("terminal", &printed),
                ("markdown", &markdown),
                ("page", &page),
            ] {
                if !shown.contains(&text) {
                    return Err(format!("{}: {text} is not on the {place}", row.name));
                }
            }
        }
    }
    joint(study, ran, &shown, &[&markdown, &page])
}

/// The joint claim of all rows with a guarantee, and that of their release.
fn joint(
    study: &random::Study,
    ran: &Ran,
    shown: &super::Study,
    texts: &[&String],
) -> Result<(), String> {
    let holding: Vec<&Row> = shown
        .rows
        .iter()
        .filter(|row| row.guarantee.kind == GuaranteeKind::Dp)
        .collect();
    let Some(joint) = &shown.joint else {
        return if holding.is_empty() {
            Ok(())
        } else {
            Err("rows hold, but there is no joint claim".into())
        };
    };
    let spent: BTreeSet<InstanceId> = holding
        .iter()
        .flat_map(|row| ran.spent(study, row, true))
        .filter(|id| ran.executed.contains_key(id))
        .collect();
    let expected = ran
        .cost(&spent)
        .ok_or("a joint claim over unprotected runs")?;
    if !near(joint.epsilon.value(), expected) {
        return Err(format!("joint {}, expected {expected}", joint.epsilon));
    }
    let said = bound(joint.epsilon);
    if !texts.iter().all(|text| text.contains(&said)) {
        return Err(format!("joint {said} is not everywhere"));
    }
    let plan = &ran.plan;
    let samples: Vec<InstanceId> = (0..plan.instances.len())
        .filter(|&id| plan.instances[id].kind == Kind::Sample)
        .filter(|&id| holding.iter().any(|row| ran.in_row(id, row)))
        .collect();
    if samples.is_empty() || samples.iter().any(|&id| ran.known[id].record.is_none()) {
        return Ok(());
    }
    let names: Vec<String> = samples
        .iter()
        .map(|&id| plan.instances[id].name.to_string())
        .collect();
    let released =
        Release::gather(&ran.sources(), &names, false).map_err(|error| error.to_string())?;
    let released = released
        .claim()
        .map_or(0.0, |claim| claim.epsilon().value());
    let behind: BTreeSet<InstanceId> = samples
        .iter()
        .flat_map(|&id| ran.behind(study, id))
        .collect();
    let same = if behind == spent {
        released == joint.epsilon.value()
    } else {
        released <= joint.epsilon.value() && near(released, ran.cost(&behind).unwrap_or(-1.0))
    };
    if same {
        Ok(())
    } else {
        Err(format!("released {released}, joint {}", joint.epsilon))
    }
}

/// Nothing private reaches a release but through a mechanism with secret noise.
fn no_way_around(study: &random::Study, ran: &Ran) -> Result<(), String> {
    for (id, instance) in ran.plan.instances.iter().enumerate() {
        if instance.kind != Kind::Sample || ran.known[id].record.is_none() {
            continue;
        }
        let behind = ran.behind(study, id);
        let unprotected = behind
            .iter()
            .any(|id| ran.executed.get(id) == Some(&Executed::Unprotected));
        let noisy = behind
            .iter()
            .any(|id| matches!(ran.executed.get(id), Some(Executed::Noise(_))));
        let released = Release::gather(&ran.sources(), &[instance.name.to_string()], false);
        let refused = matches!(
            released,
            Err(ReleaseError::Refused(..) | ReleaseError::Missing(_))
        );
        if refused != (unprotected || (noisy && ran.seeded)) {
            return Err(format!("{}: refused {refused}", instance.name));
        }
    }
    Ok(())
}

/// Rules 46 to 49, 60: what random studies claim is what an accountant of the test's own makes of what ran, and one number
/// wherever it stands.
#[test]
fn random_studies_claim_what_ran_everywhere() {
    for seed in 0..studies() {
        let mut random = Random::new(seed + 1);
        let (study, ran) = Ran::new(&mut random);
        let found = examine(&study, &ran).and_then(|()| no_way_around(&study, &ran));
        if let Err(reason) = found {
            panic!("study {seed}: {reason}\n{}", ran.text);
        }
    }
}

/// Whether some random study notices.
fn noticed() -> bool {
    (0..studies()).any(|seed| {
        let mut random = Random::new(seed + 1);
        let (study, ran) = Ran::new(&mut random);
        examine(&study, &ran).is_err()
    })
}

/// The table of injected faults of claims: each is found by the random studies.
#[test]
fn every_fault_is_killed_by_its_test() {
    use crate::fault::{Fault, with};
    for fault in Fault::ALL {
        assert!(with(*fault, noticed), "no random study notices {fault:?}");
    }
}
