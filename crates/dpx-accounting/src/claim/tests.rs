//! Claims: one composition, whatever the order, and nothing that can be talked down.

use super::*;
use crate::sampling::quantized_rate;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const DELTA: f64 = 1e-5;

fn run(sampling_rate: f64, noise_multiplier: f64, steps: u64) -> DpEvent {
    DpEvent::poisson_sampled_gaussian(sampling_rate, noise_multiplier, steps).unwrap()
}

fn part(instance: &str, event: DpEvent) -> ClaimPart {
    ClaimPart {
        instance: instance.to_owned(),
        event,
        adjacency: Adjacency::ZeroOut,
        unit: "example".to_owned(),
    }
}

fn compose(parts: &[ClaimPart]) -> Result<Claim, ClaimError> {
    Claim::compose(parts, DELTA, Adjacency::ZeroOut, "example")
}

#[test]
fn it_prints_rounded_up_and_survives_json() {
    let parts = [
        part("train@epsilon=8", run(0.016, 0.8, 188)),
        part("counts", DpEvent::gaussian(12.0).unwrap()),
    ];
    let claim = Claim::compose(&parts, 4.134e-5, Adjacency::ZeroOut, "example").unwrap();
    let printed = claim.to_string();
    let epsilon: f64 = printed[1..].split(',').next().unwrap().parse().unwrap();
    assert!(epsilon >= claim.epsilon().value() && epsilon < claim.epsilon().value() + 0.01);
    assert!(printed.ends_with(", 4.2e-5)-DP"), "{printed}");
    assert!(format!("{claim:.4}").len() == printed.len() + 2);
    let json = serde_json::to_string(&claim).unwrap();
    let read: Claim = serde_json::from_str(&json).unwrap();
    assert_eq!(read, claim);
    read.recheck().unwrap();
    assert!(
        json.contains(r#""unit":"example","adjacency":"zero-out""#),
        "{json}"
    );
}

#[test]
fn nothing_private_costs_nothing() {
    let claim = compose(&[]).unwrap();
    assert_eq!(claim.epsilon(), 0.0);
    assert_eq!(claim.to_string(), "no private data used (epsilon 0)");
    claim.recheck().unwrap();
}

#[test]
fn without_a_guarantee_it_says_so() {
    let claim = compose(&[
        part("train@epsilon=inf", DpEvent::NonPrivate),
        part("counts", DpEvent::gaussian(12.0).unwrap()),
    ])
    .unwrap();
    assert_eq!(claim.to_string(), "(inf, 1.0e-5)-DP");
    let json = serde_json::to_string(&claim).unwrap();
    assert_eq!(serde_json::from_str::<Claim>(&json).unwrap(), claim);
}

#[test]
fn what_does_not_compose_is_refused() {
    let event = run(0.016, 1.0, 10);
    let mut other = part("teacher", event.clone());
    other.adjacency = Adjacency::AddRemove;
    let found = compose(&[part("train", event.clone()), other]);
    assert!(
        matches!(found, Err(ClaimError::MixedAdjacency { instance, .. }) if instance == "teacher")
    );
    let mut other = part("teacher", event.clone());
    other.unit = "user".to_owned();
    let found = compose(&[part("train", event.clone()), other]);
    assert!(matches!(found, Err(ClaimError::MixedUnit { instance, .. }) if instance == "teacher"));
    let found = compose(&[
        part("train", event.clone()),
        part("train", run(0.016, 1.0, 11)),
    ]);
    assert!(matches!(found, Err(ClaimError::Conflict { instance }) if instance == "train"));
    for delta in [0.0, 1.0, -1e-5, f64::NAN] {
        let parts = [part("train", event.clone())];
        assert!(Claim::compose(&parts, delta, Adjacency::ZeroOut, "example").is_err());
        assert!(Claim::compose(&[], delta, Adjacency::ZeroOut, "example").is_err());
    }
    assert_eq!(
        Claim::compose(&[], DELTA, Adjacency::ZeroOut, " "),
        Err(ClaimError::NoUnit)
    );
}

#[test]
fn an_understated_claim_is_found() {
    let claim = compose(&[part("train", run(0.016, 0.8, 188))]).unwrap();
    let honest = serde_json::to_value(&claim).unwrap();
    let tampered = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut json = honest.clone();
        change(&mut json);
        serde_json::from_value::<Claim>(json).map(|claim| claim.recheck())
    };
    let epsilon = claim.epsilon().value();
    let bound = |found| match found {
        Ok(Err(ClaimError::Understated { bound, .. })) => bound,
        other => panic!("{other:?}"),
    };
    let lower = epsilon - 1e-4;
    assert_eq!(
        bound(tampered(&|json| json["certified"]["epsilon"] = lower.into())),
        "epsilon"
    );
    assert_eq!(
        bound(tampered(&|json| json["certified"]["rdp"] = 1.0.into())),
        "the RDP epsilon"
    );
    for change in [
        |json: &mut serde_json::Value| json["certified"]["prv"]["upper"] = 0.1.into(),
        |json: &mut serde_json::Value| json["certified"]["connect_the_dots"] = 0.1.into(),
        |json: &mut serde_json::Value| json["delta"] = 1e-7.into(),
        |json: &mut serde_json::Value| json["events"]["train"]["steps"] = 400.into(),
        |json: &mut serde_json::Value| json["events"]["train"]["noise_multiplier"] = 0.7.into(),
        |json: &mut serde_json::Value| {
            json["events"]["again"] = json["events"]["train"].clone();
        },
        |json: &mut serde_json::Value| {
            json["events"]["raw"] = serde_json::json!({"type": "non-private"});
        },
    ] {
        bound(tampered(&change));
    }
    // More than the events cost may be stated.
    assert_eq!(
        tampered(&|json| json["certified"]["epsilon"] = 99.0.into()).unwrap(),
        Ok(())
    );
    assert_eq!(
        tampered(&|json| json["certified"]["epsilon"] = "inf".into()).unwrap(),
        Ok(())
    );
    for change in [
        |json: &mut serde_json::Value| json["delta"] = 0.0.into(),
        |json: &mut serde_json::Value| json["delta"] = 1.0.into(),
        |json: &mut serde_json::Value| json["unit"] = "".into(),
        |json: &mut serde_json::Value| json["certified"]["epsilon"] = (-1.0).into(),
        |json: &mut serde_json::Value| json["note"] = "trust me".into(),
        |json: &mut serde_json::Value| json["adjacency"] = "none".into(),
    ] {
        assert!(tampered(&change).is_err());
    }
}

#[test]
fn what_cannot_hold_is_found_without_the_numerical_accountants() {
    let claim = compose(&[
        part("train", run(0.016, 0.8, 188)),
        part("counts", DpEvent::gaussian(12.0).unwrap()),
    ])
    .unwrap();
    assert_eq!(claim.recheck_quickly(), Ok(()));
    let honest = serde_json::to_value(&claim).unwrap();
    let found = |place: &str, value: f64| {
        let mut json = honest.clone();
        *json.pointer_mut(place).unwrap() = value.into();
        let claim: Claim = serde_json::from_value(json).unwrap();
        claim.recheck_quickly()
    };
    for place in [
        "/certified/epsilon",
        "/certified/prv/upper",
        "/certified/connect_the_dots",
    ] {
        let told = found(place, 0.01);
        assert!(
            matches!(told, Err(ClaimError::Impossible { least, .. }) if least > 0.01),
            "{told:?}"
        );
    }
    let rdp = claim.certified().rdp.value();
    let told = found("/certified/rdp", rdp - 1e-3);
    assert!(
        matches!(told, Err(ClaimError::Understated { .. })),
        "{told:?}"
    );
    // What is a little too low takes an accountant that is nearer to the truth.
    let lower = claim.epsilon().value() - 1e-3;
    assert_eq!(found("/certified/epsilon", lower), Ok(()));
}

fn event() -> impl Strategy<Value = DpEvent> {
    let leaf = prop_oneof![
        3 => ((-6.0..-0.5f64).prop_map(f64::exp), 0.6..3.0f64, 1u64..300)
            .prop_map(|(rate, sigma, steps)| run(quantized_rate(rate), sigma, steps)),
        2 => (2.0..40.0f64).prop_map(|sigma| DpEvent::gaussian(sigma).unwrap()),
    ];
    leaf.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            (inner.clone(), 0u64..3).prop_map(|(event, count)| event.self_composed(count)),
            prop::collection::vec(inner, 0..3).prop_map(DpEvent::composed),
        ]
    })
}

/// The leaves of an event, each with how often it happens.
fn leaves(event: &DpEvent, times: u64, found: &mut Vec<DpEvent>) {
    match event {
        DpEvent::SelfComposed { event, count } => leaves(event, times * count, found),
        DpEvent::Composed { events } => events.iter().for_each(|one| leaves(one, times, found)),
        leaf => found.extend(std::iter::repeat_n(leaf.clone(), times as usize)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, rng_seed: RngSeed::Fixed(25), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_claim_is_the_composition_of_its_events(events in prop::collection::vec(event(), 1..4), more in event()) {
        let mut parts: Vec<ClaimPart> =
            events.iter().enumerate().map(|(at, event)| part(&format!("train@replicate={at}"), event.clone())).collect();
        let claim = compose(&parts).unwrap();

        let mut flat = Vec::new();
        for event in &events {
            leaves(event, 1, &mut flat);
        }
        prop_assert_eq!(claim.certified(), &DpEvent::composed(flat).certified(DELTA).unwrap());

        parts.reverse();
        let repeated = parts[0].clone();
        parts.push(repeated);
        prop_assert_eq!(&compose(&parts).unwrap(), &claim);
        prop_assert!(claim.recheck().is_ok());

        parts.push(part("another", more));
        let beside = compose(&parts).unwrap();
        let slack = 1e-9 + 1e-3 * claim.epsilon().value();
        prop_assert!(beside.epsilon().value() >= claim.epsilon().value() - slack, "{beside} after {claim}");
        prop_assert!(beside.certified().prv.upper.value() >= claim.certified().prv.lower);
    }
}
