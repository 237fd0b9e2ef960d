//! Tests of finding the files of a dataset in folders.

use super::*;

fn folder(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }
    folder
}

fn found(files: &[&str]) -> Result<[String; 4], String> {
    let folder = folder(files);
    let split = split_files(folder.path()).map_err(|error| error.to_string())?;
    let names = |paths: &[PathBuf]| {
        let names = paths.iter().map(|path| {
            let name = path.strip_prefix(folder.path()).unwrap();
            name.to_string_lossy().into_owned()
        });
        names.collect::<Vec<_>>().join(" ")
    };
    Ok([
        names(&split.train),
        names(&split.validation),
        names(&split.test),
        split.not_read.join(" "),
    ])
}

#[test]
fn layouts_that_people_have() {
    for (files, expected) in [
        (
            &["train.csv", "dev.csv", "test.csv"][..],
            ["train.csv", "dev.csv", "test.csv", ""],
        ),
        (
            &["train.csv.gz", "test.jsonl.zst"],
            ["train.csv.gz", "", "test.jsonl.zst", ""],
        ),
        (
            &["train.csv", "eval.csv", "extra.csv", "notes.md"],
            ["train.csv", "", "", "eval.csv extra.csv"],
        ),
        (
            &["train/a.csv", "train/b.csv", "test/a.csv"],
            ["train/a.csv train/b.csv", "", "test/a.csv", ""],
        ),
        (
            &[
                "default/train/0000.parquet",
                "default/train/0001.parquet",
                "default/test/0000.parquet",
            ],
            [
                "default/train/0000.parquet default/train/0001.parquet",
                "",
                "default/test/0000.parquet",
                "",
            ],
        ),
        (
            &[
                "data/train-00000-of-00002-ab.parquet",
                "data/train-00001-of-00002-cd.parquet",
                "README.md",
            ],
            [
                "data/train-00000-of-00002-ab.parquet data/train-00001-of-00002-cd.parquet",
                "",
                "",
                "",
            ],
        ),
        (
            &[
                "train.csv",
                "dataset_info.json",
                "LICENSE.txt",
                ".hidden.csv",
            ],
            ["train.csv", "", "", ""],
        ),
        (
            &["train.csv", "old/train.csv", "raw.xlsx"],
            ["train.csv", "", "", "old/train.csv raw.xlsx"],
        ),
        (
            &["TRAIN.CSV", "Test.Csv"],
            ["TRAIN.CSV", "", "Test.Csv", ""],
        ),
        (&["texts.csv"], ["texts.csv", "", "", ""]),
    ] {
        assert_eq!(found(files).unwrap(), expected, "{files:?}");
    }
}

#[test]
fn what_does_not_fit_is_an_error_that_names_it() {
    for (files, problem) in [
        (&["a.csv", "b.csv"][..], "such as `a.csv`"),
        (&[], "no train split"),
        (&["data-00000-of-00001.arrow", "state.json"], "save_to_disk"),
        (
            &["train.csv", "train.tsv"],
            "several files could be the train split (`train.csv`, `train.tsv`)",
        ),
        (
            &[
                "train-00000-of-00001.parquet",
                "train-00000-of-00002.parquet",
                "train-00001-of-00002.parquet",
            ],
            "of several sets (`-of-00001`, `-of-00002`)",
        ),
        (
            &["train-00000-of-00002.parquet"],
            "00001-of-00002` is missing",
        ),
        (
            &["train.csv", "test-00001-of-00002.csv"],
            "the test split has 1 of 2 shards",
        ),
        (
            &["train/0000.parquet", "train/0002.parquet"],
            "numbered from 0 to 2, of which 2 are there",
        ),
        (
            &["train/a.csv", "train/a.csv.gz"],
            "several files could be the train split",
        ),
    ] {
        let error = found(files).unwrap_err();
        assert!(error.contains(problem), "{files:?}: {error}");
    }
}

#[test]
fn a_readme_names_files_and_labels() {
    let folder = folder(&["a.csv", "b.csv", "c.csv"]);
    let readme = "---\nconfigs:\n- config_name: x\n  data_files:\n  - split: train\n    path: a.csv\n  - split: test\n    path: b.*\ndataset_info:\n- config_name: x\n  features:\n  - name: label\n    dtype:\n      class_label:\n        names:\n          '0': neg\n          '1': pos\n---\n";
    std::fs::write(folder.path().join("README.md"), readme).unwrap();
    let files = split_files(folder.path()).unwrap();
    assert_eq!(files.train, [folder.path().join("a.csv")]);
    assert_eq!(files.test, [folder.path().join("b.csv")]);
    assert_eq!(files.not_read, ["c.csv"]);
    assert_eq!(files.stored_beside("label")[0].1, ["neg", "pos"]);
    assert!(files.stored_beside("other").is_empty());
}

#[test]
fn one_shard_given_alone_is_told() {
    let folder = folder(&["train-00000-of-00002.csv"]);
    let files = split_files(&folder.path().join("train-00000-of-00002.csv")).unwrap();
    assert_eq!(files.notes.len(), 1);
    assert!(files.notes[0].contains("one of several shards"));
}

#[cfg(unix)]
#[test]
fn pipes_devices_and_dangling_links_are_refused_by_name() {
    let folder = folder(&["train.csv"]);
    let link = folder.path().join("test.csv");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    let error = split_files(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("test.csv`: a link that leads to no file"),
        "{error}"
    );
    std::fs::remove_file(&link).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(&link)
        .status()
        .unwrap();
    assert!(made.success());
    for path in [folder.path(), &link] {
        let error = split_files(path).unwrap_err().to_string();
        assert!(error.contains("test.csv`: a pipe"), "{error}");
    }
    let identity = crate::content_identity(folder.path(), &mut crate::file_digest);
    assert!(identity.unwrap_err().to_string().contains("a pipe"));
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
    let error = split_files(folder.path()).unwrap_err().to_string();
    assert!(error.contains("test.csv`: a device"), "{error}");
    let error = split_files(Path::new("/dev/zero")).unwrap_err().to_string();
    assert!(error.contains("`/dev/zero`: a device"), "{error}");
    std::fs::remove_file(&link).unwrap();
    // Links to files and folders are followed; a circle of them ends.
    let other = self::folder(&["more.csv"]);
    std::os::unix::fs::symlink(other.path().join("more.csv"), &link).unwrap();
    assert_eq!(split_files(folder.path()).unwrap().test, [link]);
    std::os::unix::fs::symlink(".", folder.path().join("circle")).unwrap();
    let error = split_files(folder.path()).unwrap_err().to_string();
    assert!(error.contains("in a circle"), "{error}");
}
