//! Damaged, cut and deleted files of every kind that dpx writes, at rest and during runs.

use super::{Place, Random, files, finished, is_mended, recovers, rounds, told};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Turns one bit, whatever the permissions; `false` for an empty file.
fn flip(path: &Path, random: &mut Random) -> bool {
    let mut bytes = fs::read(path).unwrap();
    if bytes.is_empty() {
        return false;
    }
    let at = random.below(bytes.len());
    bytes[at] ^= 1 << random.below(8);
    overwrite(path, &bytes);
    true
}

/// Replaces the content in place, as a bad medium does.
fn overwrite(path: &Path, bytes: &[u8]) {
    let found = fs::metadata(path).unwrap();
    let permissions = found.permissions();
    let mut open = permissions.clone();
    std::os::unix::fs::PermissionsExt::set_mode(&mut open, 0o644);
    fs::set_permissions(path, open).unwrap();
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, permissions).unwrap();
}

/// A finished study, to be copied for each round.
fn finished_study() -> Place {
    let place = Place::new("seeded");
    place.run("nothing");
    place
}

fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp")
        .args(["-a", "--"])
        .args([from, to])
        .status()
        .unwrap();
    assert!(status.success());
}

fn copied(of: &Place) -> Place {
    let place = Place(tempfile::tempdir().unwrap());
    for name in ["cache", "results", "state", "texts.csv", "faults.toml"] {
        copy(&of.path(name), &place.path(name));
    }
    place
}

/// A bit of an object of a finished study: the next run shows whole results, rebuilt where need be.
#[test]
fn a_bit_of_any_object_is_mended() {
    let study = finished_study();
    let mut random = Random::of("objects");
    let objects = files(&study.path("cache/objects"));
    let mut chosen: Vec<PathBuf> = objects.clone();
    while chosen.len() > rounds(4, usize::MAX) {
        chosen.swap_remove(random.below(chosen.len()));
    }
    for object in &chosen {
        let place = copied(&study);
        let object = place
            .path("cache")
            .join(object.strip_prefix(study.path("cache")).unwrap());
        if flip(&object, &mut random) {
            is_mended(&place, &format!("a bit of {}", object.display()));
        }
    }
    told("bits of objects", &format!("{}", chosen.len()));
}

/// Any file of cache or results: a bit, a cut, an end of zeros, an empty file, no file.
#[test]
fn damage_to_any_file_is_mended() {
    let study = finished_study();
    let mut random = Random::of("damage");
    let all = rounds(4, 530);
    for round in 0..all {
        let place = copied(&study);
        let folder = *random.pick(&["cache", "cache", "cache/records", "results"]);
        let files: Vec<PathBuf> = files(&place.path(folder))
            .into_iter()
            // Whose cache it is, is checked on its own; damage there is refused.
            .filter(|path| !path.ends_with("identity"))
            .collect();
        let path = random.pick(&files).clone();
        let bytes = fs::read(&path).unwrap();
        let what = random.below(5);
        match what {
            0 => drop(flip(&path, &mut random)),
            1 => overwrite(&path, &bytes[..random.below(bytes.len())]),
            2 => overwrite(&path, &[&bytes[..], &[0; 100]].concat()),
            3 => overwrite(&path, b""),
            _ => fs::remove_file(&path).unwrap(),
        }
        let after = format!("damage {what} to {} (round {round})", path.display());
        if folder != "results" {
            is_mended(&place, &after);
            continue;
        }
        if what != 4 {
            // A file of the results that is not as dpx wrote it is the user's: the run says so and leaves it.
            let (status, said) = finished(place.command().spawn().unwrap(), &after);
            assert!(
                status.success() || said.contains("results"),
                "{after}: {said}"
            );
            fs::remove_file(&path).unwrap();
        }
        recovers(&place, &after);
    }
    told("damaged files", &format!("{all}"));
}

/// Checkpoints and keys of a run that was stopped: whatever became of them, it ends, and counts no less than it spent.
#[test]
fn damage_to_the_state_of_a_stopped_run() {
    let mut random = Random::of("state");
    let all = rounds(2, 120);
    for round in 0..all {
        let place = Place::new("seeded");
        let mut child = place.command().spawn().unwrap();
        let begun = std::time::Instant::now();
        let has_state = || {
            files(&place.path("cache/state"))
                .iter()
                .any(|path| path.ends_with("state.bin"))
        };
        while !has_state() && child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < super::PATIENCE);
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(random.below(300) as u64));
        child.kill().ok();
        child.wait().unwrap();
        std::thread::sleep(Duration::from_millis(200));
        let files = files(&place.path("cache/state"));
        if files.is_empty() {
            continue;
        }
        let path = random.pick(&files).clone();
        let bytes = fs::read(&path).unwrap();
        match random.below(4) {
            0 | 1 => drop(flip(&path, &mut random)),
            2 => overwrite(&path, &bytes[..random.below(bytes.len())]),
            _ => fs::remove_file(&path).unwrap(),
        }
        recovers(
            &place,
            &format!("damage to {} (round {round})", path.display()),
        );
    }
    told("damaged states", &format!("{all}"));
}

/// Files and folders that vanish while a run goes on.
#[test]
fn deletion_during_a_run() {
    let mut random = Random::of("deletion");
    let all = rounds(2, 80);
    for round in 0..all {
        let place = Place::new("seeded");
        let child = place.command().spawn().unwrap();
        std::thread::sleep(Duration::from_millis(50 + random.below(1500) as u64));
        let target = if random.below(3) == 0 {
            let folder = *random.pick(&[
                "cache/staging",
                "cache/state",
                "cache/temporary",
                "cache/runs",
                "cache",
            ]);
            drop(fs::remove_dir_all(place.path(folder)));
            folder.to_owned()
        } else {
            let files = files(&place.path("cache"));
            let Some(path) = (!files.is_empty()).then(|| random.pick(&files).clone()) else {
                drop(finished(child, "an undisturbed run"));
                continue;
            };
            drop(fs::remove_file(&path));
            path.display().to_string()
        };
        let after = format!("deletion of {target} (round {round})");
        drop(finished(child, &after));
        recovers(&place, &after);
    }
    told("deletions during runs", &format!("{all}"));
}
