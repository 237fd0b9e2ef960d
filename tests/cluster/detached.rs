//! Runs without a terminal: begun with `--detach`, looked at, followed and cancelled from elsewhere.

use super::{LONG_EPOCHS, Place, SHORT_EPOCHS, text, until};

const AWAY: &str = "command={worker} {index}";

fn out(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_run_that_was_detached_is_followed_to_its_end() {
    let place = Place::new(SHORT_EPOCHS);
    let begun = place.dpx(&["run", "away.toml", "--detach"]);
    assert_eq!(begun.status.code(), Some(0), "{}", text(&begun));
    let said = out(&begun);
    let run = said.split(' ').nth(1).unwrap().to_owned();
    let followed = place.dpx(&["attach", &run]);
    assert_eq!(followed.status.code(), Some(0), "{}", text(&followed));
    let told = out(&followed);
    assert!(
        told.contains("preprocess: done in") && told.contains("10 ran, 0 cached"),
        "{told}"
    );
    until("the results are written", || {
        place.path("results/away/results.json").exists()
    });
    assert!(place.path(&format!("cache/runs/{run}/output.log")).exists());
    place.is_done(SHORT_EPOCHS);
    let wrong = place.dpx(&["run", "none.toml", "--detach"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong));
    let unknown = place.dpx(&["attach", "nothing"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", text(&unknown));
}

#[test]
fn a_detached_run_is_cancelled_and_goes_on_later() {
    let place = Place::new(LONG_EPOCHS);
    let begun = place.dpx(&["run", "away.toml", "--detach", "--executor", AWAY]);
    assert_eq!(begun.status.code(), Some(0), "{}", text(&begun));
    place.training();
    let status = out(&place.dpx(&["status"]));
    assert!(status.contains("runs on "), "{status}");
    let told = place.dpx(&["cancel"]);
    assert_eq!(told.status.code(), Some(0), "{}", text(&told));
    assert_eq!(place.dpx(&["attach"]).status.code(), Some(130));
    until("workers end", || place.workers().is_empty());
    place.goes_on(LONG_EPOCHS);
}

#[test]
fn what_a_dead_runner_left_is_taken_back() {
    let place = Place::new(LONG_EPOCHS);
    let mut run = place.spawn(&["run", "away.toml", "--executor", AWAY]);
    place.training();
    run.kill().unwrap();
    run.wait().unwrap();
    let followed = place.dpx(&["attach"]);
    assert_eq!(followed.status.code(), Some(1));
    assert!(
        text(&followed).contains("ended without a word"),
        "{}",
        text(&followed)
    );
    let told = place.dpx(&["cancel"]);
    assert!(
        out(&told).contains("told to stop at their next checkpoint"),
        "{}",
        out(&told)
    );
    until("workers end", || place.workers().is_empty());
    let again = out(&place.dpx(&["cancel"]));
    assert!(again.contains("nothing of it is left"), "{again}");
    place.goes_on(LONG_EPOCHS);
}
