//! A cache on a file system whose kernel locks other machines do not see: claims instead, asked for by DPX_LOCKS here.

use super::{LONG_EPOCHS, Place, SHORT_EPOCHS, campaign, find, local, text, wait};
use std::process::{Child, Command, Stdio};

fn command(place: &Place, words: &[&str]) -> Command {
    let mut command = place.command(words);
    command
        .env("DPX_LOCKS", "claims")
        .env("DPX_LOCK_STALE_SECONDS", "4");
    command
}

fn spawn(place: &Place) -> Child {
    command(place, &["run", "away.toml", "--jobs", "2"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(
            std::fs::File::options()
                .create(true)
                .append(true)
                .open(place.path("stderr"))
                .unwrap(),
        )
        .spawn()
        .unwrap()
}

#[test]
fn runs_at_once_share_the_work_by_claims() {
    let place = Place::new(SHORT_EPOCHS);
    let mut runs: Vec<Child> = (0..3).map(|_| spawn(&place)).collect();
    for run in &mut runs {
        assert_eq!(wait(run, &place), 0, "{}", place.said());
    }
    assert_eq!(
        std::fs::read_to_string(place.path("cache/locking"))
            .unwrap()
            .trim(),
        "claims"
    );
    assert!(
        !find(&place.path("cache/locks"), "1").is_empty(),
        "claims were made"
    );
    let runs = std::fs::read_dir(place.path("cache/runs")).unwrap();
    let left = runs.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().ends_with(".claims")
    });
    assert_eq!(left.count(), 0, "claims of runs that are over go with them");
    assert_eq!(place.artifacts(), local(SHORT_EPOCHS));
    let collected = command(&place, &["cache", "gc", "away.toml", "--yes"])
        .output()
        .unwrap();
    assert_eq!(collected.status.code(), Some(0), "{}", text(&collected));
    place.is_done(SHORT_EPOCHS);
}

#[test]
fn the_claim_of_a_machine_that_died_is_taken_over() {
    campaign("claims: the machine that holds them dies", |_| {
        let place = Place::new(LONG_EPOCHS);
        let mut run = spawn(&place);
        super::until("a checkpoint", || {
            !find(&place.path("cache/state"), "state.bin").is_empty()
        });
        run.kill().unwrap();
        run.wait().unwrap();
        // As if the machine that made them were another one, and gone.
        for claim in find(&place.path("cache/locks"), "").iter().filter(|path| {
            path.parent()
                .unwrap()
                .to_string_lossy()
                .ends_with(".claims")
        }) {
            let text = std::fs::read_to_string(claim).unwrap();
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            let boot = value["boot"].as_str().unwrap();
            std::fs::write(claim, text.replace(boot, "another machine")).unwrap();
        }
        let mut next = spawn(&place);
        assert_eq!(wait(&mut next, &place), 0, "{}", place.said());
        assert_eq!(place.artifacts(), local(LONG_EPOCHS));
        place.is_done(LONG_EPOCHS);
    });
}
