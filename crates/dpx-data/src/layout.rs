//! Which files of a dataset repository are its train, validation and test splits: by its card, or by their names.

use crate::card::{self, ConfigFiles};
use crate::read::shards;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Endings of the files that readers know, with or without a compression behind them.
const FORMATS: [&str; 7] = ["csv", "tsv", "txt", "jsonl", "ndjson", "json", "parquet"];
const COMPRESSIONS: [&str; 2] = ["gz", "zst"];
/// Files that describe a repository and hold no rows.
const NOT_DATA: [&str; 6] = [
    "dataset_infos.json",
    "dataset_info.json",
    "dataset_dict.json",
    "state.json",
    "config.json",
    "requirements.txt",
];
/// Where datasets keep their files, besides the top folder.
const FOLDERS: [&str; 4] = ["", "split/", "data/", "default/"];

/// Files of a dataset by split.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SplitPaths {
    /// Rows to learn from.
    pub train: Vec<PathBuf>,
    /// Rows to choose by.
    pub validation: Vec<PathBuf>,
    /// Rows to test on.
    pub test: Vec<PathBuf>,
    /// Splits that the card declares and dpx does not read, such as `unsupervised`.
    pub left_out: Vec<String>,
    /// The configuration whose files these are, where one was asked for or declared.
    pub config: Option<String>,
}

/// Names of the files of a dataset by split.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Layout {
    pub(crate) train: Vec<String>,
    pub(crate) validation: Vec<String>,
    pub(crate) test: Vec<String>,
    pub(crate) left_out: Vec<String>,
    pub(crate) config: Option<String>,
}

impl Layout {
    /// Every file that is read.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let all = [&self.train, &self.validation, &self.test];
        all.into_iter().flatten().map(String::as_str)
    }

    pub(crate) fn paths(&self, folder: &Path) -> SplitPaths {
        let paths = |names: &[String]| names.iter().map(|name| folder.join(name)).collect();
        SplitPaths {
            train: paths(&self.train),
            validation: paths(&self.validation),
            test: paths(&self.test),
            left_out: self.left_out.clone(),
            config: self.config.clone(),
        }
    }

    fn split_mut(&mut self, split: Split) -> &mut Vec<String> {
        match split {
            Split::Train => &mut self.train,
            Split::Validation => &mut self.validation,
            Split::Test => &mut self.test,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Split {
    Train,
    Validation,
    Test,
}

impl Split {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Train, "train"),
        (Self::Validation, "validation"),
        (Self::Test, "test"),
    ];

    /// By the name of a split, or the first word of a file's name.
    fn of(word: &str) -> Option<Self> {
        match word.to_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "validation" | "valid" | "val" | "dev" => Some(Self::Validation),
            "test" | "testing" => Some(Self::Test),
            _ => None,
        }
    }
}

/// Chooses the files of one configuration among the names of a repository (`/` between their parts): as the README's
/// `configs` declares, or else those in the configuration's folder, or in one of the folders that datasets use.
///
/// # Errors
/// What is missing or ambiguous, and what was expected.
pub(crate) fn choose(
    names: &[&str],
    readme: Option<&str>,
    config: Option<&str>,
) -> Result<Layout, String> {
    let configs = readme
        .map_or_else(|| Ok(Vec::new()), card::configs)
        .map_err(|error| error.to_string())?;
    let known: Vec<String> = configs.iter().map(|c| format!("`{}`", c.name)).collect();
    let chosen = match config {
        Some(config) => configs.iter().find(|known| known.name == config),
        None if configs.len() == 1 => configs.first(),
        None => configs.iter().find(|config| config.is_default),
    };
    let files: Vec<&str> = names.iter().copied().filter(|name| is_data(name)).collect();
    let mut layout = match (chosen, config) {
        (Some(chosen), _) => match &chosen.files {
            ConfigFiles::Patterns(splits) => declared(&files, splits)
                .map_err(|problem| format!("configuration `{}`: {problem}", chosen.name))?,
            ConfigFiles::Folder(folder) => by_names(&files, folder)?,
        },
        (None, Some(config)) => {
            let folders = [format!("{config}/"), format!("data/{config}/")];
            let folder = folders
                .iter()
                .find(|folder| files.iter().any(|name| name.starts_with(folder.as_str())));
            match folder {
                Some(folder) => by_names(&files, folder)?,
                // What the card calls default where it names nothing.
                None if config == "default" && configs.is_empty() => by_names(&files, "")?,
                None => {
                    let known = if known.is_empty() {
                        folder_names(&files)
                    } else {
                        known
                    };
                    return Err(if known.is_empty() {
                        format!("there is no configuration `{config}`, and no other one")
                    } else {
                        format!(
                            "there is no configuration `{config}`: expected one of {}",
                            known.join(", ")
                        )
                    });
                }
            }
        }
        (None, None) if configs.len() > 1 => {
            return Err(format!(
                "it has several configurations and no default: name one, as in `hf:OWNER/NAME/{}`; there are {}",
                configs[0].name,
                known.join(", ")
            ));
        }
        (None, None) => by_names(&files, "")?,
    };
    layout.config = chosen
        .map(|chosen| chosen.name.as_str())
        .or(config)
        .map(str::to_owned);
    if layout.train.is_empty() {
        return Err(format!(
            "it has no train split that dpx reads: expected {EXPECTED}"
        ));
    }
    let mut seen = BTreeSet::new();
    if let Some(name) = layout.names().find(|name| !seen.insert(*name)) {
        return Err(format!("`{name}` belongs to two splits, or twice to one"));
    }
    for (split, files) in [
        ("train", &layout.train),
        ("validation", &layout.validation),
        ("test", &layout.test),
    ] {
        whole(split, files)?;
    }
    Ok(layout)
}

/// The configuration of a card that a file or folder belongs to, by its place among the repository's names.
pub(crate) fn config_of(readme: &str, place: &str) -> Option<String> {
    let configs = card::configs(readme).ok()?;
    let fits = |pattern: &str| matches(pattern, place) || pattern.starts_with(&format!("{place}/"));
    let found = configs.into_iter().find(|config| match &config.files {
        ConfigFiles::Patterns(splits) => {
            let mut patterns = splits.iter().flat_map(|(_, patterns)| patterns);
            patterns.any(|pattern| fits(pattern))
        }
        ConfigFiles::Folder(folder) => {
            !folder.is_empty() && format!("{place}/").starts_with(folder.as_str())
        }
    });
    found.map(|config| config.name)
}

/// What a repository should hold, in words.
pub(crate) const EXPECTED: &str = "train as csv, tsv, jsonl or parquet, in the top folder, split/, data/ or default/, or `configs` in its README";

/// Whether a file may hold rows in a format that dpx reads.
fn is_data(name: &str) -> bool {
    let base = name.rsplit('/').next().unwrap_or(name).to_lowercase();
    if name.split('/').any(|part| part.starts_with(['.', '_'])) || NOT_DATA.contains(&base.as_str())
    {
        return false;
    }
    let mut parts = base.rsplit('.');
    let mut last = parts.next().unwrap_or("");
    if COMPRESSIONS.contains(&last) {
        last = parts.next().unwrap_or("");
    }
    FORMATS.contains(&last) && parts.next().is_some()
}

/// Top folders with data, as names of configurations.
fn folder_names(files: &[&str]) -> Vec<String> {
    let folders = files
        .iter()
        .filter_map(|name| Some(name.split_once('/')?.0));
    let mut folders: Vec<String> = folders.map(|name| format!("`{name}`")).collect();
    folders.sort();
    folders.dedup();
    folders
}

/// By the patterns of a card.
fn declared(files: &[&str], splits: &[(String, Vec<String>)]) -> Result<Layout, String> {
    let mut layout = Layout::default();
    for (split, patterns) in splits {
        let Some(known) = Split::of(split) else {
            layout.left_out.push(split.clone());
            continue;
        };
        for pattern in patterns {
            let mut found: Vec<String> = files
                .iter()
                .filter(|name| matches(pattern, name))
                .map(|name| (*name).to_owned())
                .collect();
            if found.is_empty() {
                return Err(format!(
                    "no file that dpx reads fits `{pattern}` of its {split} split: expected {}",
                    FORMATS.join(", ")
                ));
            }
            found.sort();
            layout.split_mut(known).append(&mut found);
        }
    }
    Ok(layout)
}

/// By the names of files and folders below `prefix`.
fn by_names(files: &[&str], prefix: &str) -> Result<Layout, String> {
    let below: Vec<&str> = files
        .iter()
        .filter_map(|name| name.strip_prefix(prefix))
        .collect();
    for folder in FOLDERS {
        let here: Vec<&str> = below
            .iter()
            .filter_map(|name| name.strip_prefix(folder))
            .collect();
        let place = format!("{prefix}{folder}");
        for in_folders in [false, true] {
            let layout = in_folder(&here, &place, in_folders)?;
            if !layout.train.is_empty() {
                return Ok(layout);
            }
        }
    }
    // One file, whatever its name: `datasets` takes it for the train split too.
    if let [only] = below[..] {
        return Ok(Layout {
            train: vec![format!("{prefix}{only}")],
            ..Layout::default()
        });
    }
    Ok(Layout::default())
}

/// `train-00000-of-00002.parquet` in the folder itself, or `train/0000.parquet` below it.
fn in_folder(here: &[&str], place: &str, in_folders: bool) -> Result<Layout, String> {
    let mut layout = Layout::default();
    for name in here {
        let word = match (name.split_once('/'), in_folders) {
            (Some((folder, _)), true) => folder,
            (None, false) => name.split(['-', '_', '.']).next().unwrap_or(""),
            _ => continue,
        };
        if let Some(split) = Split::of(word) {
            layout.split_mut(split).push(format!("{place}{name}"));
        }
    }
    for (split, word) in Split::ALL {
        let files = layout.split_mut(split);
        files.sort();
        let sharded = in_folders || files.iter().all(|name| name.contains("-of-"));
        if files.len() > 1 && !sharded {
            let names: Vec<&str> = files.iter().map(String::as_str).collect();
            shards::whole(word, &names, false)?;
        }
    }
    Ok(layout)
}

/// Whether the shards among the files of a split, such as `train-00000-of-00002.parquet`, are all there, once.
fn whole(split: &str, files: &[String]) -> Result<(), String> {
    let mut sets: BTreeMap<&str, BTreeMap<u64, Vec<u64>>> = BTreeMap::new();
    for name in files {
        let Some((stem, rest)) = name.rsplit_once("-of-") else {
            continue;
        };
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (Some((set, index)), Ok(count)) = (stem.rsplit_once('-'), rest[..digits].parse())
        else {
            continue;
        };
        if let Ok(index) = index.parse() {
            sets.entry(set)
                .or_default()
                .entry(count)
                .or_default()
                .push(index);
        }
    }
    for (set, counts) in sets {
        if counts.len() > 1 {
            let counts: Vec<String> = counts
                .keys()
                .map(|count| format!("`-of-{count:05}`"))
                .collect();
            return Err(format!(
                "the {split} split has shards `{set}-*` of several sets ({}): rows would be doubled",
                counts.join(", ")
            ));
        }
        for (count, found) in counts {
            if let Some(beyond) = found.iter().find(|index| **index >= count) {
                return Err(format!(
                    "the {split} split has a shard `{set}-{beyond:05}-of-{count:05}`, whose number is beyond those of a set of {count} (they are counted from 0)"
                ));
            }
            let missing = (0..count).find(|index| !found.contains(index));
            if let Some(missing) = missing {
                return Err(format!(
                    "the {split} split has {} of {count} shards: `{set}-{missing:05}-of-{count:05}` is missing",
                    found.len()
                ));
            }
            if found.len() as u64 > count {
                return Err(format!(
                    "the {split} split has a shard of `{set}-*-of-{count:05}` twice"
                ));
            }
        }
    }
    Ok(())
}

/// Whether a name fits a pattern of a card: `*` and `?` within a part, `**` for any folders, `[abc]` for one character.
fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let name: Vec<&str> = name.split('/').collect();
    // fits[i]: whether the pattern's parts so far fit the first `i` parts of the name.
    let mut fits = vec![false; name.len() + 1];
    fits[0] = true;
    for part in pattern {
        let mut next = vec![false; name.len() + 1];
        if part == "**" {
            let mut any = false;
            for (at, fit) in fits.iter().enumerate() {
                any |= fit;
                next[at] = any;
            }
        } else {
            for at in 0..name.len() {
                next[at + 1] = fits[at] && part_matches(part, name[at]);
            }
        }
        fits = next;
    }
    fits[name.len()]
}

/// One part of a pattern against one part of a name, in time proportional to the product of their lengths.
fn part_matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let mut fits = vec![false; name.len() + 1];
    fits[0] = true;
    let mut at = 0;
    while at < pattern.len() {
        let mut next = vec![false; name.len() + 1];
        let mut width = 1;
        if pattern[at] == '*' {
            let mut any = false;
            for (place, fit) in fits.iter().enumerate() {
                any |= fit;
                next[place] = any;
            }
        } else {
            let set = (pattern[at] == '[')
                .then(|| pattern[at + 1..].iter().position(|c| *c == ']'))
                .flatten()
                .map(|end| &pattern[at + 1..at + 1 + end]);
            if let Some(set) = set {
                width = set.len() + 2;
            }
            let fit = |c: char| match set {
                Some(['!', set @ ..]) => !in_set(set, c),
                Some(set) => in_set(set, c),
                None => pattern[at] == '?' || pattern[at] == c,
            };
            for place in 0..name.len() {
                next[place + 1] = fits[place] && fit(name[place]);
            }
        }
        fits = next;
        at += width;
    }
    fits[name.len()]
}

fn in_set(set: &[char], c: char) -> bool {
    match set {
        [] => false,
        [from, '-', to, rest @ ..] => (*from..=*to).contains(&c) || in_set(rest, c),
        [one, rest @ ..] => *one == c || in_set(rest, c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: &str = "---
configs:
- config_name: split
  default: true
  data_files:
  - split: train
    path: split/train-*
  - split: test
    path: split/test-*
  - split: unsupervised
    path: split/unsupervised-*
- config_name: unsplit
  data_files: unsplit/**
- config_name: years
  data_dir: years
---
";

    const NAMES: [&str; 9] = [
        "README.md",
        "split/train-00001-of-00002.parquet",
        "split/train-00000-of-00002.parquet",
        "split/test-00000-of-00001.parquet",
        "split/unsupervised-00000-of-00001.parquet",
        "unsplit/a/all.csv.gz",
        "years/train/0000.parquet",
        "years/train/0001.parquet",
        "years/dev/0000.parquet",
    ];

    fn found(readme: Option<&str>, config: Option<&str>) -> Result<[String; 3], String> {
        let layout = choose(&NAMES, readme, config)?;
        Ok([layout.train, layout.validation, layout.test].map(|names| names.join(" ")))
    }

    #[test]
    fn a_card_tells_which_files_belong_to_a_configuration() {
        let split = [
            "split/train-00000-of-00002.parquet split/train-00001-of-00002.parquet",
            "",
            "split/test-00000-of-00001.parquet",
        ];
        assert_eq!(found(Some(CARD), None).unwrap(), split);
        assert_eq!(found(Some(CARD), Some("split")).unwrap(), split);
        let layout = choose(&NAMES, Some(CARD), None).unwrap();
        assert_eq!(layout.left_out, ["unsupervised"]);
        assert_eq!(layout.config.as_deref(), Some("split"));
        assert_eq!(
            found(Some(CARD), Some("unsplit")).unwrap(),
            ["unsplit/a/all.csv.gz", "", ""]
        );
        assert_eq!(
            found(Some(CARD), Some("years")).unwrap(),
            [
                "years/train/0000.parquet years/train/0001.parquet",
                "years/dev/0000.parquet",
                ""
            ]
        );
        let error = found(Some(CARD), Some("splits")).unwrap_err();
        assert_eq!(
            error,
            "there is no configuration `splits`: expected one of `split`, `unsplit`, `years`"
        );
        let several = CARD.replace("  default: true\n", "");
        let error = found(Some(&several), None).unwrap_err();
        assert!(
            error.contains("several configurations and no default"),
            "{error}"
        );
        let tar = CARD.replace("split/train-*", "split/train-*.tar");
        let error = found(Some(&tar), None).unwrap_err();
        assert!(
            error.contains("configuration `split`: no file that dpx reads fits"),
            "{error}"
        );
        assert!(
            found(Some("---\na: [\n---\n"), None)
                .unwrap_err()
                .contains("README.md: line")
        );
    }

    #[test]
    fn without_a_card_names_tell() {
        assert_eq!(found(None, None).unwrap()[0].split(' ').count(), 2);
        assert_eq!(
            found(None, Some("years")).unwrap()[1],
            "years/dev/0000.parquet"
        );
        assert_eq!(
            found(None, Some("unsplit")).unwrap()[0],
            "unsplit/a/all.csv.gz"
        );
        let error = found(None, Some("other")).unwrap_err();
        assert!(
            error.contains("expected one of `split`, `unsplit`, `years`"),
            "{error}"
        );
        let one = |names: &[&str]| choose(names, None, None).map(|layout| layout.train.join(" "));
        assert_eq!(
            one(&["texts.csv", "README.md", "dataset_infos.json"]).unwrap(),
            "texts.csv"
        );
        assert_eq!(
            one(&["default/train/0000.parquet"]).unwrap(),
            "default/train/0000.parquet"
        );
        assert_eq!(one(&["train.csv", "other.csv"]).unwrap(), "train.csv");
        assert!(
            one(&["a.csv", "b.csv"])
                .unwrap_err()
                .contains("no train split")
        );
        assert!(
            one(&["train.csv", "train.parquet"])
                .unwrap_err()
                .contains("several files")
        );
        assert!(
            one(&[".git/train.csv", "train.py"])
                .unwrap_err()
                .contains("no train split")
        );
    }

    #[test]
    fn missing_and_doubled_shards_are_told() {
        let chosen = |names: &[&str]| choose(names, None, None);
        let error = chosen(&["train-00000-of-00003.csv", "train-00002-of-00003.csv"]).unwrap_err();
        assert_eq!(
            error,
            "the train split has 2 of 3 shards: `train-00001-of-00003` is missing"
        );
        let error = chosen(&[
            "train-00000-of-00001.csv",
            "train-00000-of-00002.csv",
            "train-00001-of-00002.csv",
        ])
        .unwrap_err();
        assert!(error.contains("of several sets"), "{error}");
        let error = chosen(&["train-00000-of-00001.csv", "train-00000-of-00001.parquet"]);
        assert!(error.unwrap_err().contains("twice"));
        // A digest behind the count, as `push_to_hub` writes.
        chosen(&[
            "train-00000-of-00002-ab12.parquet",
            "train-00001-of-00002-cd34.parquet",
        ])
        .unwrap();
        let twice = "---\nconfigs:\n- data_files: [a.csv, '*.csv']\n---\n";
        let error = choose(&["a.csv"], Some(twice), None).unwrap_err();
        assert!(
            error.contains("`a.csv` belongs to two splits, or twice to one"),
            "{error}"
        );
    }

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, name, fits) in [
            ("a.csv", "a.csv", true),
            ("*.csv", "a.csv", true),
            ("*.csv", "x/a.csv", false),
            ("**/*.csv", "a.csv", true),
            ("**/*.csv", "x/y/a.csv", true),
            ("x/**", "x/y/a.csv", true),
            ("x/**", "y/a.csv", false),
            ("t*n-?.c[a-s]v", "train-1.csv", true),
            ("t*n-?.c[!s]v", "train-1.csv", false),
            ("train-*", "train", false),
            ("[", "[", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
        // Linear where backtracking would take for ever.
        assert!(!matches(
            &"*a".repeat(100),
            &"a".repeat(5000).replace("aaaaa", "aaaab")
        ));
    }
}
