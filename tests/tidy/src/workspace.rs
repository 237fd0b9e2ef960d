//! The repository: its files, its crates, and what their manifests say.

use crate::code::test_items;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The top of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this crate lies two folders below the top")
        .to_owned()
}

/// A file with its place below the top, in `/`.
#[derive(Debug, Clone)]
pub struct File {
    /// Place below the top of the repository.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Folders at the top that hold nothing of the repository's own.
const LEFT_OUT: [&str; 5] = ["target", ".git", "results", "cache", "dist"];

/// All files whose name ends in one of the endings, in order. Files that are not UTF-8 are left out.
pub fn files(root: &Path, endings: &[&str]) -> Vec<File> {
    let mut found = Vec::new();
    collect(root, root, endings, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(root: &Path, folder: &Path, endings: &[&str], found: &mut Vec<File>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            // A virtual environment, as the Python scripts need one.
            let left_out = folder == root && LEFT_OUT.contains(&name.as_str());
            if !left_out && !path.join("pyvenv.cfg").exists() {
                collect(root, &path, endings, found);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending))
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            let place = path.strip_prefix(root).unwrap_or(&path);
            found.push(File {
                path: place.to_string_lossy().replace('\\', "/"),
                text,
            });
        }
    }
}

/// The files that are compiled for tests alone: outside `src/`, or reached through a module under `#[cfg(test)]`.
pub fn test_files(sources: &[File]) -> BTreeSet<String> {
    let known: BTreeSet<&str> = sources.iter().map(|file| file.path.as_str()).collect();
    let mut tests: BTreeSet<String> = BTreeSet::new();
    let mut folders: Vec<String> = Vec::new();
    for file in sources {
        if !in_src(&file.path) {
            tests.insert(file.path.clone());
            continue;
        }
        for item in test_items(&file.text) {
            let Some(name) = item.module else { continue };
            let base = module_folder(&file.path);
            let places = match item.path {
                // Relative to the folder of the file that says so.
                Some(path) => vec![format!("{}/{path}", parent(&file.path))],
                None => vec![format!("{base}/{name}.rs"), format!("{base}/{name}/mod.rs")],
            };
            if let Some(place) = places
                .into_iter()
                .find(|place| known.contains(place.as_str()))
            {
                folders.push(format!("{}/", module_folder(&place)));
                tests.insert(place);
            }
        }
    }
    // What lies below a test module is part of it. A `#[path]` module has no folder of its own.
    for file in sources {
        if folders
            .iter()
            .any(|folder| file.path.starts_with(folder.as_str()))
        {
            tests.insert(file.path.clone());
        }
    }
    tests
}

/// Whether the file is the source of a library or binary.
pub fn in_src(path: &str) -> bool {
    path.starts_with("src/")
        || (path.starts_with("crates/") && path.split('/').nth(2) == Some("src"))
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The folder in which a file's modules lie.
fn module_folder(path: &str) -> String {
    let stem = path.trim_end_matches(".rs");
    match path.rsplit('/').next() {
        Some("mod.rs" | "lib.rs" | "main.rs") => parent(path).to_owned(),
        _ => stem.to_owned(),
    }
}

/// What the manifest of a crate says.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    /// Name of the crate.
    pub name: String,
    /// Names under `[dependencies]` and the same of a target, optional ones included.
    pub dependencies: BTreeSet<String>,
}

impl Manifest {
    /// Reads a `Cargo.toml`.
    ///
    /// # Errors
    /// When it is not TOML, or names no package.
    pub fn parse(text: &str) -> Result<Self, String> {
        let table: toml::Table = text.parse().map_err(|error| format!("{error}"))?;
        let name = table
            .get("package")
            .and_then(|package| package.get("name")?.as_str())
            .ok_or("there is no package name")?;
        let targets = table.get("target").and_then(toml::Value::as_table);
        let tables = std::iter::once(table.get("dependencies")).chain(
            targets
                .into_iter()
                .flatten()
                .map(|(_, target)| target.get("dependencies")),
        );
        let dependencies = tables
            .flatten()
            .filter_map(toml::Value::as_table)
            .flat_map(|table| table.keys().cloned())
            .collect();
        Ok(Self {
            name: name.to_owned(),
            dependencies,
        })
    }
}

/// What is wrong with the dependencies of the crates, where `order` lists all of them from bottom to top: a crate depends only
/// on those before it.
pub fn misplaced(manifests: &[Manifest], order: &[&str]) -> Vec<String> {
    let place = |name: &str| order.iter().position(|&other| other == name);
    let mut wrong = Vec::new();
    for manifest in manifests {
        let Some(own) = place(&manifest.name) else {
            wrong.push(format!("`{}` is not in the list of crates", manifest.name));
            continue;
        };
        for dependency in &manifest.dependencies {
            let ours = manifests.iter().any(|other| other.name == *dependency);
            if ours && place(dependency).is_none_or(|other| other >= own) {
                wrong.push(format!(
                    "`{}` depends on `{dependency}`, which is not below it",
                    manifest.name
                ));
            }
        }
    }
    for name in order {
        if manifests.iter().all(|manifest| manifest.name != *name) {
            wrong.push(format!("there is no crate `{name}`"));
        }
    }
    wrong
}

/// Which crate of the repository depends on which, without what follows from other dependencies.
pub fn essential(manifests: &[Manifest]) -> BTreeSet<(String, String)> {
    let ours = |name: &str| manifests.iter().find(|manifest| manifest.name == name);
    let leads = |from: &str, to: &str| {
        let (mut waiting, mut seen) = (vec![from.to_owned()], BTreeSet::new());
        while let Some(name) = waiting.pop() {
            if name == to {
                return true;
            }
            if seen.insert(name.clone()) {
                waiting.extend(
                    ours(&name)
                        .into_iter()
                        .flat_map(|crate_| crate_.dependencies.iter().cloned()),
                );
            }
        }
        false
    };
    let mut found = BTreeSet::new();
    for manifest in manifests {
        let direct: Vec<&String> = manifest
            .dependencies
            .iter()
            .filter(|name| ours(name).is_some())
            .collect();
        for &to in &direct {
            if direct.iter().all(|&other| other == to || !leads(other, to)) {
                found.insert((manifest.name.clone(), to.clone()));
            }
        }
    }
    found
}

/// All packages that the given ones lead to in a `Cargo.lock`, themselves included.
///
/// # Errors
/// When the lock file cannot be read.
pub fn reached(lock: &str, from: &BTreeSet<String>) -> Result<BTreeSet<String>, String> {
    let table: toml::Table = lock.parse().map_err(|error| format!("{error}"))?;
    let mut graph: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in table
        .get("package")
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten()
    {
        let Some(name) = package.get("name").and_then(toml::Value::as_str) else {
            continue;
        };
        let list = package.get("dependencies").and_then(toml::Value::as_array);
        // `name` or `name version`.
        let names = list
            .into_iter()
            .flatten()
            .filter_map(|dependency| dependency.as_str()?.split(' ').next());
        graph.entry(name).or_default().extend(names);
    }
    let mut found = BTreeSet::new();
    let mut waiting: Vec<&str> = from.iter().map(String::as_str).collect();
    while let Some(name) = waiting.pop() {
        if found.insert(name.to_owned()) {
            waiting.extend(graph.get(name).into_iter().flatten());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn test_files_are_told_by_how_they_are_reached() {
        let sources = [
            file(
                "crates/a/src/lib.rs",
                "#[cfg(test)]\nmod checks;\nmod plain;\n",
            ),
            file("crates/a/src/checks.rs", "mod deeper;\n"),
            file("crates/a/src/checks/deeper.rs", ""),
            file(
                "crates/a/src/plain.rs",
                "#[cfg(test)]\n#[path = \"plain_checks.rs\"]\nmod tests;\n",
            ),
            file("crates/a/src/plain_checks.rs", ""),
            // Named like a test, compiled always.
            file("crates/a/src/tests.rs", ""),
            file("crates/a/benches/speed.rs", ""),
        ];
        let tests: Vec<String> = test_files(&sources).into_iter().collect();
        let expected = [
            "benches/speed.rs",
            "src/checks.rs",
            "src/checks/deeper.rs",
            "src/plain_checks.rs",
        ];
        assert_eq!(tests, expected.map(|path| format!("crates/a/{path}")));
    }

    #[test]
    fn a_crate_depends_only_on_those_below() {
        let manifest = |name: &str, dependencies: &[&str]| Manifest {
            name: name.to_owned(),
            dependencies: dependencies.iter().map(|&name| name.to_owned()).collect(),
        };
        let good = [manifest("low", &["serde"]), manifest("high", &["low"])];
        assert_eq!(misplaced(&good, &["low", "high"]), Vec::<String>::new());
        assert_eq!(
            misplaced(
                &[manifest("low", &["high"]), manifest("high", &[])],
                &["low", "high"]
            )
            .len(),
            1
        );
        assert_eq!(misplaced(&good, &["low", "high", "gone"]).len(), 1);
        assert_eq!(misplaced(&good, &["low"]).len(), 1);
    }

    #[test]
    fn what_follows_from_other_dependencies_is_not_essential() {
        let manifest = |name: &str, dependencies: &[&str]| Manifest {
            name: name.to_owned(),
            dependencies: dependencies.iter().map(|&name| name.to_owned()).collect(),
        };
        let all = [
            manifest("a", &["b", "c", "serde"]),
            manifest("b", &["c"]),
            manifest("c", &[]),
        ];
        let edges: Vec<(String, String)> = essential(&all).into_iter().collect();
        assert_eq!(
            edges,
            [
                ("a".to_owned(), "b".to_owned()),
                ("b".to_owned(), "c".to_owned())
            ]
        );
    }

    #[test]
    fn manifests_give_dependencies_of_targets_and_none_of_tests() {
        let text = "[package]\nname = \"a\"\n[dependencies]\nb.workspace = true\nc = { version = \"1\", optional = true }\n\
                    [dev-dependencies]\nd = \"1\"\n[target.'cfg(unix)'.dependencies]\ne = \"1\"\n";
        let manifest = Manifest::parse(text).unwrap();
        assert_eq!(manifest.name, "a");
        assert_eq!(
            manifest.dependencies.iter().collect::<Vec<_>>(),
            ["b", "c", "e"]
        );
        assert!(Manifest::parse("[dependencies]\n").is_err());
    }

    #[test]
    fn a_lock_file_is_followed() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1\"\ndependencies = [\"b 0.1.0\"]\n[[package]]\nname = \"b\"\nversion = \"0.1.0\"\n\
                    dependencies = [\"c\"]\n[[package]]\nname = \"c\"\nversion = \"1\"\n[[package]]\nname = \"d\"\nversion = \"1\"\n";
        let all = reached(lock, &BTreeSet::from(["a".to_owned()])).unwrap();
        assert_eq!(all.iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
