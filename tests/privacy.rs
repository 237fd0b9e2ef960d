//! `dpx privacy` as a user sees it.

use assert_cmd::Command;

fn privacy(arguments: &str) -> Command {
    let mut command = Command::cargo_bin("dpx").unwrap();
    // Nobody's own ledger is looked into.
    command.env("DPX_STATE_DIR", env!("CARGO_TARGET_TMPDIR"));
    command.arg("privacy").args(arguments.split_whitespace());
    command
}

fn stdout(arguments: &str) -> String {
    let output = privacy(arguments).assert().success().get_output().clone();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn one_json_object_has_every_accountant() {
    let text = stdout(
        "--noise-multiplier 0.8 --sampling-rate 0.016 --steps 250 --delta 1e-5 --group 2 --json",
    );
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!((value["rdp"].as_f64().unwrap() - 3.518).abs() < 0.01);
    let prv = &value["prv"];
    assert!((prv["estimate"].as_f64().unwrap() - 2.889_877).abs() < 1e-3);
    assert!(prv["lower"].as_f64() < prv["estimate"].as_f64());
    assert!(prv["upper"].as_f64() > prv["estimate"].as_f64());
    assert_eq!(value["accountant"], "connect-the-dots");
    assert_eq!(value["adjacency"], "add-remove");
    assert!(value["group"]["epsilon"].as_f64() > value["epsilon"].as_f64());
}

#[test]
fn noise_for_a_budget_is_printed_with_what_it_costs() {
    let text = stdout("--epsilon 3 --delta 1e-5 --examples 16000 --batch-size 256 --epochs 3");
    for part in [
        "noise multiplier",
        "PRV",
        "RDP",
        "zero-out, data set size public",
        "steps               188",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // What is certified is an interval; its estimate is no claim.
    let prv = text
        .lines()
        .find(|line| line.trim_start().starts_with("PRV"));
    let (lower, upper) = prv
        .unwrap()
        .split_once("bounds ")
        .unwrap()
        .1
        .split_once(" to ")
        .unwrap();
    let bounds: [f64; 2] = [lower, upper].map(|bound| bound.parse().unwrap());
    assert!(bounds[0] < bounds[1] && bounds[1] < 3.1, "{text}");
    assert_eq!(
        text.matches("certified").count(),
        1,
        "one number is the claim: {text}"
    );
}

#[test]
fn curves_are_csv() {
    let text = stdout("--noise-multiplier 2 --sampling-rate 0.01 --steps 40 --delta 1e-5 --curve");
    assert!(text.starts_with("curve,x,y\n"));
    assert!(text.contains("epsilon_over_steps,40,") && text.contains("delta_over_epsilon,0,"));
}

#[test]
fn wrong_arguments_end_with_code_2() {
    for (arguments, part) in [
        ("--epsilon 3 --delta 1e-5", "sampling is not stated"),
        (
            "--epsilon -1 --delta 1e-5 --sampling-rate 0.1 --steps 3",
            "--epsilon",
        ),
        (
            "--noise-multiplier nan --delta 1e-5 --sampling-rate 0.1 --steps 3",
            "finite",
        ),
        (
            "--noise-multiplier 1 --delta 1e-5 --sampling-rate 1.5 --steps 3",
            "from 0 to 1",
        ),
        (
            "--noise-multiplier 1 --delta 2 --sampling-rate 0.5 --steps 3",
            "--delta",
        ),
        (
            "--noise-multiplier 1 --examples 10 --batch-size 20 --epochs 1",
            "--batch-size",
        ),
    ] {
        let output = privacy(arguments).assert().code(2).get_output().clone();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(part), "{arguments}: {text}");
    }
}

#[test]
fn a_plan_shows_what_each_row_would_spend() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("study.toml");
    std::fs::write(
        &file,
        r#"
[experiment]
name = "study"
[privacy]
split = { train = 0.5, counts = 0.5 }
[sweep]
epsilon = ["inf", 3]
[stage.preprocess]
kind = "preprocess"
dataset = "builtin:emotions"
[stage.counts]
kind = "counts"
needs = ["preprocess"]
epsilon = "$epsilon"
[stage.train]
kind = "train"
needs = ["preprocess"]
model = "builtin:base"
epsilon = "$epsilon"
epochs = 1
"#,
    )
    .unwrap();
    let file = file.display().to_string();
    let text = stdout(&format!("--plan {file}"));
    for part in [
        "epsilon=inf: no guarantee (counts, train)",
        "epsilon=3: (2.9",
        "9663 examples",
        "counts  share 0.5000  Gaussian mechanism, noise multiplier",
        "38 Poisson-sampled Gaussian steps",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&stdout(&format!("--plan {file} --json"))).unwrap();
    let row = &json["rows"][1];
    assert_eq!(row["mechanisms"].as_array().unwrap().len(), 2);
    assert!(row["epsilon_certified"].as_f64().unwrap() <= 3.0);
}
