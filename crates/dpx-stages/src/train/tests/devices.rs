//! A training that is divided over several devices.

use super::*;

/// A place whose training is divided over so many devices of a kind.
fn divided(params: &Value, device: Device, count: usize) -> Place {
    let mut place = Place::new(params.clone());
    place.device = device;
    place.others = vec![device; count - 1];
    place
}

/// One, two and three processors leave the same bytes and the same record; what differs is the list of devices alone.
#[test]
fn several_devices_leave_the_bytes_and_the_record_of_one() {
    for params in [
        json!({"noise": "seeded", "canaries": 4, "averaging": "ema"}),
        json!({"noise": "seeded", "canaries": 4, "clipping": "automatic", "prompt_mismatch": 1.0, "parameters": "bias"}),
        json!({"noise": "seeded", "canaries": 4, "epsilon": "inf"}),
    ] {
        for device in [Device::Cpu, Device::under_test()] {
            let of = |count: usize| {
                let place = divided(&params, device, count);
                let watch = Watch::stopping_after(100);
                place.run("out", &watch).unwrap();
                let said = watch.said.into_inner().unwrap();
                let list = vec![device.to_string(); count].join(", ");
                let told = format!("divided over {list}");
                assert_eq!(said.contains(&told), count > 1, "{said}");
                let compared = said.matches("differ from the processor's by").count();
                let private = params["epsilon"].is_null() && device != Device::Cpu;
                assert_eq!(compared, if private { count } else { 0 }, "{said}");
                let mut record = PrivacyRecord::load(&place.path("out")).unwrap();
                if let PrivacyRecord::Private(run) = &mut record {
                    // Drawn at random, with seeded noise too.
                    run.run.clear();
                }
                (place.result(), record)
            };
            let one = of(1);
            for count in 2..4 {
                assert!(of(count) == one, "{count} times {device}, {params}");
            }
        }
    }
}

/// A run under a secret key that stopped on two devices goes on with one and with three: one key, one entry.
#[test]
fn a_stopped_run_goes_on_with_another_number_of_devices() {
    let mut place = divided(&json!({}), Device::Cpu, 2);
    for (stop, count) in [(2, 2), (5, 1)] {
        place.others = vec![Device::Cpu; count - 1];
        let stopped = place.run("out", &Watch::stopping_after(stop)).unwrap_err();
        assert!(stopped.interrupted);
        assert!(place.key_file().exists());
    }
    place.others = vec![Device::Cpu; 2];
    place.run("out", &NoProgress).unwrap();
    assert_eq!((place.spent(), place.steps()), (1, 8));
}

#[test]
fn devices_of_two_classes_are_refused_before_a_run_spends_anything() {
    let mut place = Place::new(json!({}));
    place.others = vec![Device::Flex];
    let refused = place.run("out", &NoProgress).unwrap_err().to_string();
    assert!(refused.contains("devices of one class"), "{refused}");
    assert_eq!(place.spent(), 0);
    assert!(!place.key_file().exists());
}
