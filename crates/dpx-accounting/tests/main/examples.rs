//! Every example of this crate runs.

#[path = "../../examples/calibrate_noise.rs"]
mod calibrate_noise;
#[path = "../../examples/divide_budget.rs"]
mod divide_budget;
#[path = "../../examples/dp_sgd_epsilon.rs"]
mod dp_sgd_epsilon;
#[path = "../../examples/group_privacy.rs"]
mod group_privacy;

#[test]
fn every_example_runs() {
    calibrate_noise::main().unwrap();
    divide_budget::main().unwrap();
    dp_sgd_epsilon::main().unwrap();
    group_privacy::main().unwrap();
}

#[test]
fn no_example_is_forgotten() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let here = include_str!("examples.rs");
    let mut found = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(here.contains(&format!("/{name}\"]")), "{name}");
        found += 1;
    }
    assert_eq!(found, 4);
}
