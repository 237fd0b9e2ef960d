//! What dpx made is replaced, all at once; what it did not make is never touched.

use super::leftovers::beside;
use super::*;
use crate::cache::manifest_of_folder;

type Fill = Result<(), Box<dyn std::error::Error>>;

struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.root.path().join(inside)
    }

    fn folder(&self) -> PathBuf {
        self.path("results/emotion")
    }

    fn write(&self, inside: &str, text: &str) -> PathBuf {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn read(&self, inside: &str) -> String {
        fs::read_to_string(self.path(inside)).unwrap_or_default()
    }

    fn results(&self, inputs: &[&Path]) -> ResultsFolder {
        let inputs = inputs.iter().map(|path| path.to_path_buf());
        ResultsFolder::new(self.folder(), inputs, [])
    }

    fn replace(&self, text: &str) -> Result<Replaced, String> {
        self.results(&[])
            .replace(None, fill(text))
            .map_err(|error: Box<dyn std::error::Error>| error.to_string())
    }

    /// Every file below the results folder but the manifest.
    fn files(&self) -> Vec<String> {
        let mut files: Vec<String> = manifest_of_folder(&self.folder())
            .unwrap()
            .files
            .into_iter()
            .map(|file| file.path)
            .filter(|path| path != MANIFEST)
            .collect();
        files.sort();
        files
    }
}

fn paths(paths: &[&str]) -> Vec<String> {
    paths.iter().map(ToString::to_string).collect()
}

fn fill(text: &str) -> impl FnOnce(&Path) -> Fill {
    move |path| {
        fs::create_dir(path.join("synthetic"))?;
        fs::write(path.join("report.html"), text)?;
        Ok(fs::write(path.join(format!("synthetic/{text}.csv")), text)?)
    }
}

#[test]
fn the_old_results_stay_until_the_new_ones_are_whole() {
    let place = Place::new();
    place.replace("one").unwrap();
    place.replace("two").unwrap();
    assert_eq!(place.files(), ["report.html", "synthetic/two.csv"]);
    let failed = place.results(&[]).replace(None, |path| -> Fill {
        fs::write(path.join("half"), "x")?;
        Err("disk full".into())
    });
    assert_eq!(failed.unwrap_err().to_string(), "disk full");
    assert_eq!(place.read("results/emotion/report.html"), "two");
    assert_eq!(beside(&place.folder()), Vec::<PathBuf>::new());
}

#[test]
fn what_dpx_did_not_make_stays_where_it_is() {
    let place = Place::new();
    place.write("results/emotion/data/texts.csv", "mine");
    place.write("results/emotion/synthetic/notes.txt", "mine too");
    fs::create_dir(place.path("results/emotion/empty")).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::os::unix::fs::symlink("nowhere", place.path("results/emotion/link")).unwrap();
        let mode = fs::Permissions::from_mode(0o700);
        fs::set_permissions(place.path("results/emotion/data"), mode).unwrap();
    }
    for text in ["one", "two"] {
        let replaced = place.replace(text).unwrap();
        assert!(replaced.kept.contains(&"data/texts.csv".to_owned()));
        assert!(replaced.kept.contains(&"synthetic/notes.txt".to_owned()));
        assert_eq!(place.read("results/emotion/data/texts.csv"), "mine");
        assert_eq!(
            place.read("results/emotion/synthetic/notes.txt"),
            "mine too"
        );
        assert!(place.path("results/emotion/empty").is_dir());
        assert!(!place.path("results/emotion/synthetic/one.csv").exists() || text == "one");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert!(place.path("results/emotion/link").is_symlink());
            let data = fs::metadata(place.path("results/emotion/data")).unwrap();
            assert_eq!(data.permissions().mode() & 0o777, 0o700);
        }
    }
}

#[test]
fn a_damaged_list_of_own_files_is_named() {
    let place = Place::new();
    place.replace("one").unwrap();
    place.write(&format!("results/emotion/{MANIFEST}"), "{bad");
    let refused = place.replace("two").unwrap_err();
    assert!(
        refused.contains(MANIFEST)
            && refused.contains("is damaged")
            && refused.contains("`report.html`"),
        "{refused}"
    );
    assert_eq!(place.read("results/emotion/report.html"), "one");
    let early = place.results(&[]).check(&paths(&["report.html"]));
    assert!(matches!(early, Err(ResultsError::Unlisted { .. })));
}

#[cfg(target_os = "linux")]
#[test]
fn mount_points_are_known() {
    assert!(is_mounted(Path::new("/proc"), Path::new("/")));
    let place = Place::new();
    place.replace("one").unwrap();
    assert!(!is_mounted(&place.folder(), place.root.path()));
}

#[test]
fn foreign_and_edited_files_are_not_overwritten() {
    let place = Place::new();
    place.write("results/emotion/report.html", "my own page");
    let refused = place.replace("one").unwrap_err();
    assert!(refused.contains("`report.html`"), "{refused}");
    let early = place
        .results(&[])
        .check(&paths(&["report.html", "results.csv"]));
    assert!(matches!(early, Err(ResultsError::Foreign { files, .. }) if files == ["report.html"]));
    assert_eq!(place.read("results/emotion/report.html"), "my own page");

    fs::remove_file(place.path("results/emotion/report.html")).unwrap();
    place.replace("one").unwrap();
    place.results(&[]).check(&paths(&["report.html"])).unwrap();
    place.write("results/emotion/report.html", "one, with notes");
    assert!(place.replace("two").unwrap_err().contains("`report.html`"));
    assert_eq!(place.read("results/emotion/report.html"), "one, with notes");

    // A file where a folder of results is to be is in the way too.
    let place = Place::new();
    place.write("results/emotion/synthetic", "a file");
    assert!(place.replace("one").unwrap_err().contains("`synthetic`"));
    assert_eq!(place.read("results/emotion/synthetic"), "a file");
}

/// Whatever the end would refuse, the start refuses: files of a subfolder, folders in the place of files, two files of one
/// name, names that the file system does not take, and files and folders that cannot be read or changed.
#[test]
fn what_the_end_would_refuse_is_refused_at_the_start() {
    let place = Place::new();
    let check = |of: &[&str]| place.results(&[]).check(&paths(of));
    let texts = ["report.html", "synthetic/one.csv"];
    place.replace("one").unwrap();
    place.write("results/emotion/synthetic/notes.txt", "mine");
    check(&texts).unwrap();
    place.write("results/emotion/synthetic/one.csv", "edited");
    let refused = check(&texts).unwrap_err();
    assert!(refused.is_usage());
    assert!(
        matches!(&refused, ResultsError::Foreign { files, .. } if *files == ["synthetic/one.csv"]),
        "{refused}"
    );
    place.write("results/emotion/synthetic/two.csv/mine.txt", "mine");
    let refused = check(&["synthetic/two.csv"]).unwrap_err().to_string();
    assert!(refused.contains("`synthetic/two.csv`"), "{refused}");

    let refused = check(&["synthetic/a.csv", "synthetic/a.csv"]).unwrap_err();
    assert!(
        matches!(refused, ResultsError::SameName { .. }),
        "{refused}"
    );
    let long = format!("synthetic/{}.csv", "a".repeat(300));
    assert!(matches!(check(&[&long]), Err(ResultsError::Io { .. })));
    assert_eq!(beside(&place.folder()), Vec::<PathBuf>::new());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let folder = place.path("results/emotion/synthetic");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
        // Whoever may write everywhere is refused nothing, at the end neither.
        let almighty = fs::write(folder.join("probe"), "").is_ok();
        let refused = check(&["report.html"]);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(refused.is_ok(), almighty, "{refused:?}");
    }
}

/// A run that was killed after the exchange left the old results beside; the next one clears them away even where its own
/// results are current, so that nothing is written.
#[test]
fn the_start_of_a_run_clears_away_what_killed_runs_left() {
    let place = Place::new();
    place.replace("one").unwrap();
    let left = place.path("results/.emotion-aaaaaa");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("report.html"), "old").unwrap();
    OwnFiles::of(&left).unwrap().write(&left).unwrap();
    place.results(&[]).check(&paths(&["report.html"])).unwrap();
    assert!(!left.exists());
    assert_eq!(place.read("results/emotion/report.html"), "one");
}

#[test]
fn a_folder_with_inputs_is_refused() {
    let place = Place::new();
    let data = place.write("results/emotion/texts.csv", "private");
    let refused = place.results(&[&data]).check(&[]);
    assert!(
        matches!(refused, Err(ResultsError::HoldsInput { .. })),
        "{refused:?}"
    );
    let refused = place.results(&[&data]).replace(None, fill("one"));
    assert!(refused.unwrap_err().to_string().contains("texts.csv"));
    assert_eq!(place.files(), ["texts.csv"]);
    let inside = place.results(&[&place.path("results")]).check(&[]);
    assert!(
        matches!(inside, Err(ResultsError::InsideInput { .. })),
        "{inside:?}"
    );

    let experiment = place.write("results/emotion/mine.toml", "");
    let folder = ResultsFolder::new(place.folder(), [], [experiment]);
    assert!(matches!(
        folder.check(&[]),
        Err(ResultsError::HoldsInput { .. })
    ));
    // The copy that dpx wrote may be run again.
    let place = Place::new();
    place.replace("one").unwrap();
    let copy = place.path("results/emotion/report.html");
    ResultsFolder::new(place.folder(), [], [copy])
        .check(&[])
        .unwrap();
}

#[test]
fn a_path_over_a_link_leads_to_the_folder_behind_it() {
    let place = Place::new();
    fs::create_dir_all(place.path("elsewhere/emotion")).unwrap();
    fs::create_dir_all(place.path("results")).unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(place.path("elsewhere/emotion"), place.folder()).unwrap();
        place.replace("one").unwrap();
        assert!(place.folder().is_symlink());
        assert_eq!(place.read("elsewhere/emotion/report.html"), "one");
        fs::remove_file(place.folder()).unwrap();
        std::os::unix::fs::symlink("nowhere", place.folder()).unwrap();
        assert!(place.replace("two").unwrap_err().contains("leads nowhere"));
    }
}

#[test]
fn what_cannot_be_written_is_found_before_anything_runs() {
    let place = Place::new();
    place.write("results", "a file");
    let refused = place.results(&[]).check(&[]);
    assert!(
        matches!(refused, Err(ResultsError::Io { .. })),
        "{refused:?}"
    );
    let place = Place::new();
    place.write("results/emotion", "a file");
    let refused = place.results(&[]).check(&[]);
    assert!(
        matches!(refused, Err(ResultsError::NoFolder { .. })),
        "{refused:?}"
    );
    let place = Place::new();
    place.results(&[]).check(&paths(&["report.html"])).unwrap();
    assert_eq!(beside(&place.folder()), Vec::<PathBuf>::new());
}

/// A kill at each point leaves the old results or all of the new ones, and the next run clears away the rest.
#[test]
fn leftovers_of_killed_runs_are_cleared_away() {
    let place = Place::new();
    place.replace("one").unwrap();
    place.write("results/emotion/mine.txt", "mine");
    let parent = place.path("results");
    let left = |name: &str, manifest: &OwnFiles| {
        let folder = parent.join(format!(".emotion-{name}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("report.html"), "two").unwrap();
        fs::hard_link(
            place.path("results/emotion/mine.txt"),
            folder.join("mine.txt"),
        )
        .unwrap();
        manifest.write(&folder).unwrap();
        folder
    };
    fs::create_dir(parent.join(".emotion-aaaaaa")).unwrap();
    left("bbbbbb", &OwnFiles::filling());
    let whole = left("cccccc", &OwnFiles::default());
    OwnFiles::of(&whole).unwrap().write(&whole).unwrap();
    // Whatever is not dpx's own: another's folder of such a name, and a file put into the old results at the last moment.
    place.write("results/.emotion-dddddd/thesis.tex", "mine");
    place.write("results/.emotion-cccccc/late.txt", "late");
    place.write("results/.emotion-x/short.txt", "mine");
    assert_eq!(collect_leftovers(&parent).unwrap(), 3);
    let left: Vec<_> = beside(&place.folder());
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(place.read("results/.emotion-dddddd/thesis.tex"), "mine");
    assert_eq!(place.read("results/emotion/late.txt"), "late");
    assert_eq!(place.read("results/emotion/mine.txt"), "mine");
    assert_eq!(place.read("results/emotion/report.html"), "one");
}

#[test]
fn results_of_an_older_dpx_are_its_own() {
    let place = Place::new();
    let study = r#"{"schema_version":3,"dpx_version":"0.1.0","experiment":"emotion"}"#;
    place.write("results/emotion/results.json", study);
    place.write("results/emotion/report.html", "old");
    place.write("results/emotion/synthetic/old.csv", "old");
    place.write("results/emotion/notes.txt", "mine");
    let replaced = place.replace("one").unwrap();
    assert_eq!(replaced.kept, ["notes.txt"]);
    assert_eq!(
        place.files(),
        ["notes.txt", "report.html", "synthetic/one.csv"]
    );
}

#[test]
fn a_new_folder_appears_whole_or_not_at_all() {
    let place = Place::new();
    let out = place.path("release");
    let failed = new_folder(&out, |path| -> Fill {
        fs::write(path.join("half"), "x")?;
        Err("disk full".into())
    });
    assert_eq!(failed.unwrap_err().to_string(), "disk full");
    assert!(!out.exists() && beside(&out).is_empty());
    // A release that was killed in the middle leaves this, and may be written again.
    place.write("release", "");
    fs::remove_file(&out).unwrap();
    let left = place.path(".release-abcdef");
    fs::create_dir(&left).unwrap();
    OwnFiles::filling().write(&left).unwrap();
    fs::write(left.join("texts.csv"), "half").unwrap();
    new_folder(&out, fill("one")).unwrap();
    assert!(beside(&out).is_empty());
    assert_eq!(
        fs::read_dir(&out).unwrap().count(),
        2,
        "no manifest is released"
    );
    assert!(
        new_folder(&out, fill("two"))
            .unwrap_err()
            .to_string()
            .contains("there already")
    );
    assert_eq!(place.read("release/report.html"), "one");
}

#[test]
fn whatever_moment_a_new_folders_maker_is_killed_at_the_next_one_clears_up() {
    let place = Place::new();
    let out = place.path("release");
    // Made; its manifest half written; filled in part; whole, with the folder renamed already.
    fs::create_dir(place.path(".release-aaaaaa")).unwrap();
    place.write(".release-bbbbbb/.dpx-4711-0", "{");
    place.write(".release-cccccc/content/texts.csv", "half");
    fs::create_dir(place.path(".release-dddddd")).unwrap();
    for random in ["cccccc", "dddddd"] {
        let left = place.path(&format!(".release-{random}"));
        OwnFiles::filling().write(&left).unwrap();
    }
    // Nobody's but the user's.
    place.write(".release-eeeeee/.dpx-4711-x", "mine");
    place.write(".release-ffffff/content/texts.csv", "mine");
    new_folder(&out, fill("one")).unwrap();
    let mut left: Vec<String> = beside(&out)
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    left.sort();
    assert_eq!(left, [".release-eeeeee", ".release-ffffff"]);
    assert_eq!(place.read("release/report.html"), "one");
}

const PARTIAL: &str = "report-partial.html";

/// Writes the page of an unfinished study, or with nothing removes it.
fn partial(place: &Place, files: &[(&str, &str)]) -> Result<(), ResultsError> {
    let files: Vec<(String, Vec<u8>)> = files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
        .collect();
    OwnFiles::write_set(&place.folder(), &files, |name| {
        name == PARTIAL || name.starts_with("figures-partial/")
    })
}

/// The page of an unfinished study stands beside that of the last whole one, and goes with the next.
#[test]
fn a_partial_page_leaves_the_whole_one_and_goes_with_the_next() {
    let place = Place::new();
    let path = "results/emotion/report-partial.html";
    let there = || place.folder().join(PARTIAL).exists();
    place.replace("one").unwrap();
    let whole = place.read("results/emotion/report.html");
    for text in ["2 of 18", "3 of 18"] {
        partial(&place, &[(PARTIAL, text)]).unwrap();
        assert_eq!(place.read(path), text);
    }
    assert_eq!(place.read("results/emotion/report.html"), whole);
    place.replace("two").unwrap();
    assert!(!there(), "new results are whole");
    partial(&place, &[]).unwrap();
    partial(&place, &[(PARTIAL, "again")]).unwrap();
    partial(&place, &[]).unwrap();
    assert!(!there());
    // What somebody edited is theirs.
    partial(&place, &[(PARTIAL, "again")]).unwrap();
    place.write(path, "edited");
    partial(&place, &[]).unwrap();
    let refused = partial(&place, &[("figures-partial/a.svg", "a"), (PARTIAL, "b")]);
    assert!(matches!(refused, Err(ResultsError::Foreign { .. })));
    assert_eq!(place.read(path), "edited");
    assert!(
        !place.folder().join("figures-partial").exists(),
        "all or nothing"
    );
}

#[test]
fn files_that_belong_together_are_of_one_state() {
    let place = Place::new();
    place.replace("one").unwrap();
    partial(
        &place,
        &[
            (PARTIAL, "1"),
            ("figures-partial/a.svg", "1"),
            ("figures-partial/b.svg", "1"),
        ],
    )
    .unwrap();
    partial(&place, &[(PARTIAL, "2"), ("figures-partial/a.svg", "2")]).unwrap();
    assert_eq!(place.read("results/emotion/figures-partial/a.svg"), "2");
    assert!(!place.folder().join("figures-partial/b.svg").exists());
    let names = OwnFiles::names(&place.folder()).unwrap().unwrap();
    assert!(names.contains(&"report.html".to_owned()), "{names:?}");
    let results = place.results(&[]);
    assert!(results.holds("figures-partial") && !results.holds("figures"));
    partial(&place, &[(PARTIAL, "3")]).unwrap();
    assert!(!place.folder().join("figures-partial").exists());
    assert_eq!(OwnFiles::names(&place.path("elsewhere")).unwrap(), None);
}

#[test]
fn results_are_current_as_long_as_nothing_changed() {
    let place = Place::new();
    let made_from = Digest::of(b"everything");
    let results = place.results(&[]);
    assert!(!results.is_current(&made_from), "there are none");
    results.replace(Some(made_from), fill("one")).unwrap();
    assert!(results.is_current(&made_from));
    assert!(!results.is_current(&Digest::of(b"something else")));
    partial(&place, &[(PARTIAL, "apart")]).unwrap();
    assert!(!results.is_current(&made_from), "a page was written apart");
    results.replace(Some(made_from), fill("one")).unwrap();
    let page = results.path().join("report.html");
    fs::write(&page, "by hand").unwrap();
    assert!(!results.is_current(&made_from), "a file was edited");
    fs::remove_file(&page).unwrap();
    assert!(!results.is_current(&made_from), "a file is gone");
}
