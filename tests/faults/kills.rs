//! Kills at random moments, interrupts, and processes that stand still.

use super::{Place, Random, expected, finished, recovers, rounds, told};
use rustix::process::{Pid, Signal, kill_process};
use std::process::Child;
use std::time::{Duration, Instant};

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).ok();
}

/// How long an undisturbed run takes here.
fn usual() -> Duration {
    expected();
    let place = Place::new("seeded");
    let begun = Instant::now();
    place.run("nothing");
    begun.elapsed()
}

/// Several kills of one run, anywhere in it, then a plain run: the bytes of the undisturbed one.
#[test]
fn kills_at_random_change_no_byte() {
    let mut random = Random::of("kills");
    let usual = usual();
    let mut kills = 0;
    for round in 0..rounds(2, 60) {
        let place = Place::new("seeded");
        for _ in 0..=random.below(4) {
            let mut child = place.command().spawn().unwrap();
            std::thread::sleep(usual.mul_f64(random.below(1000) as f64 / 1000.0));
            send(&child, Signal::KILL);
            child.wait().unwrap();
            kills += 1;
        }
        recovers(&place, &format!("the kills of round {round}"));
    }
    told("kills of seeded runs", &format!("{kills}"));
}

/// However often a secure run is killed, the ledger knows each private stage once, and no key is left.
#[test]
fn kills_of_a_secure_run_spend_nothing_twice() {
    let mut random = Random::of("secure kills");
    let usual = usual();
    let mut kills = 0;
    for round in 0..rounds(2, 40) {
        let place = Place::new("secure");
        for _ in 0..=random.below(5) {
            let mut child = place.command().spawn().unwrap();
            std::thread::sleep(usual.mul_f64(random.below(1000) as f64 / 1000.0));
            send(&child, Signal::KILL);
            child.wait().unwrap();
            kills += 1;
        }
        let after = format!("the kills of secure round {round}");
        place.run(&after);
        place.check(&after);
        assert_eq!(
            place.entries(),
            2,
            "{after}: `counts` and `train` once each"
        );
    }
    told("kills of secure runs", &format!("{kills}"));
}

/// Two runs of one cache, either of which stands still for a while and is perhaps killed: both end, neither harms the other.
#[test]
fn runs_at_once_with_stopped_processes() {
    let mut random = Random::of("at once");
    let usual = usual();
    let all = rounds(1, 50);
    for round in 0..all {
        let place = Place::new("secure");
        let mut children = [
            place.command().spawn().unwrap(),
            place.command().spawn().unwrap(),
        ];
        let chosen = random.below(2);
        std::thread::sleep(usual.mul_f64(random.below(1000) as f64 / 1000.0));
        send(&children[chosen], Signal::STOP);
        std::thread::sleep(Duration::from_millis(random.below(800) as u64));
        let killed = random.below(3) == 0;
        if killed {
            send(&children[chosen], Signal::KILL);
        }
        send(&children[chosen], Signal::CONT);
        for (number, child) in children.iter_mut().enumerate() {
            let stderr = child.stderr.take();
            drop(stderr);
            let begun = Instant::now();
            let status = loop {
                if let Some(status) = child.try_wait().unwrap() {
                    break status;
                }
                assert!(
                    begun.elapsed() < super::PATIENCE,
                    "round {round}: a run hangs"
                );
                std::thread::sleep(Duration::from_millis(5));
            };
            assert!(
                status.success() || (killed && number == chosen),
                "round {round}, run {number}: {status}"
            );
        }
        let after = format!("round {round} of runs at once");
        place.run(&after);
        place.check(&after);
        assert_eq!(place.entries(), 2, "{after}");
    }
    told(
        "runs at once with a stopped process",
        &format!("{}", 2 * all),
    );
}

/// SIGTERM ends a run at any moment, with the exit code of an interrupt.
#[test]
fn a_request_to_end_is_heard_at_any_moment() {
    let mut random = Random::of("terminate");
    let usual = usual();
    for round in 0..rounds(1, 30) {
        let place = Place::new("seeded");
        let child = place.command().spawn().unwrap();
        std::thread::sleep(usual.mul_f64(random.below(1000) as f64 / 1000.0));
        send(&child, Signal::TERM);
        let begun = Instant::now();
        let (status, said) = finished(child, "a run that was asked to end");
        assert!(begun.elapsed() < Duration::from_mins(1), "{said}");
        // Asked before it listens, the system ends it; after the last stage it is done.
        let fine = matches!(status.code(), Some(0 | 130) | None);
        assert!(fine, "round {round}: {status}\n{said}");
        recovers(&place, &format!("SIGTERM in round {round}"));
    }
}
