//! Which modules of its own crate a file uses: `crate::`, `super::`, and what the crate's root passes on.

use crate::code::blank;
use std::collections::BTreeMap;

/// A use of another module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Line, from 1.
    pub line: usize,
    /// The top-level module that is used.
    pub module: String,
}

/// The module path of a file below `src/`: `plan/key.rs` and `plan/key/mod.rs` are `plan::key`, `lib.rs` is empty.
pub fn module_of(file: &str) -> Vec<String> {
    let mut parts: Vec<String> = file
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    if parts
        .last()
        .is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main"))
    {
        parts.pop();
    }
    parts
}

/// Names that the crate's root brings in from its modules (`use digest::Digest;`), each with the module it is from.
pub fn passed_on(root: &str) -> BTreeMap<String, String> {
    let code = blank(root);
    let mut names = BTreeMap::new();
    for (at, _) in code.match_indices("use ") {
        if at > 0 && code.as_bytes()[at - 1].is_ascii_alphanumeric() {
            continue;
        }
        let tree = code[at + 4..].split(';').next().unwrap_or_default();
        for path in paths(tree) {
            let own = path
                .first()
                .is_some_and(|first| matches!(first.as_str(), "crate" | "self"));
            let path = &path[usize::from(own)..];
            if let [module, .., name] = path {
                names.insert(name.clone(), module.clone());
            }
        }
    }
    names
}

/// The paths of a use tree: `a::{b, c::d as e}` is `a::b`, `a::c::e`. The last segment is the name it gets here.
fn paths(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim();
    if let Some((head, rest)) = tree.split_once('{') {
        let inner = rest.trim_end().strip_suffix('}').unwrap_or(rest);
        let head: Vec<String> = segments(head);
        return split_outside_braces(inner)
            .into_iter()
            .flat_map(paths)
            .map(|tail| head.iter().cloned().chain(tail).collect())
            .collect();
    }
    let (path, name) = tree
        .split_once(" as ")
        .map_or((tree, None), |(path, name)| (path, Some(name)));
    let mut path = segments(path);
    if let (Some(name), Some(last)) = (name, path.last_mut()) {
        name.trim().clone_into(last);
    }
    if path.is_empty() {
        Vec::new()
    } else {
        vec![path]
    }
}

fn segments(path: &str) -> Vec<String> {
    path.split("::")
        .map(str::trim)
        .filter(|segment| !segment.is_empty())
        .map(str::to_owned)
        .collect()
}

fn split_outside_braces(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Uses of top-level modules of its own crate in a file at `module`. `passed_on` resolves names of the crate's root.
pub fn imports(text: &str, module: &[String], passed_on: &BTreeMap<String, String>) -> Vec<Import> {
    let code = blank(text);
    let bytes = code.as_bytes();
    let mut found = Vec::new();
    for keyword in ["crate::", "super::"] {
        for (at, _) in code.match_indices(keyword) {
            // Not the tail of another path or word, and of `super::super::` only the first.
            if at > 0 && (bytes[at - 1] == b':' || bytes[at - 1] == b'$' || is_word(bytes[at - 1]))
            {
                continue;
            }
            let mut rest = &code[at..];
            let mut base: Vec<String> = if keyword == "crate::" {
                rest = &rest[keyword.len()..];
                Vec::new()
            } else {
                [module.to_vec(), inline_modules(&code, at)].concat()
            };
            while let Some(tail) = rest.strip_prefix("super::") {
                base.pop();
                rest = tail;
            }
            let line = code[..at].matches('\n').count() + 1;
            let modules: Vec<String> = match base.first() {
                Some(first) => vec![first.clone()],
                None => heads(rest)
                    .into_iter()
                    .map(|head| passed_on.get(&head).cloned().unwrap_or(head))
                    .collect(),
            };
            found.extend(modules.into_iter().map(|module| Import { line, module }));
        }
    }
    found.sort_by_key(|import| import.line);
    found
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The first segments of what follows `crate::`.
fn heads(rest: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    match rest.strip_prefix('{') {
        Some(inner) => {
            let mut depth = 1_usize;
            let end = inner.bytes().position(|byte| {
                match byte {
                    b'{' => depth += 1,
                    b'}' => depth -= 1,
                    _ => {}
                }
                depth == 0
            });
            split_outside_braces(&inner[..end.unwrap_or(inner.len())])
                .into_iter()
                .map(name)
                .filter(|name| !name.is_empty())
                .collect()
        }
        None => vec![name(rest)],
    }
}

/// Modules written inside the file that enclose the place.
fn inline_modules(code: &str, place: usize) -> Vec<String> {
    let mut open: Vec<Option<String>> = Vec::new();
    let mut last = 0;
    for (at, byte) in code.bytes().enumerate().take(place) {
        match byte {
            b'{' => {
                let head: Vec<&str> = code[last..at].split_whitespace().collect();
                let module = match head.as_slice() {
                    [.., "mod", name] => Some((*name).to_owned()),
                    _ => None,
                };
                open.push(module);
                last = at + 1;
            }
            b'}' => {
                open.pop();
                last = at + 1;
            }
            b';' => last = at + 1,
            _ => {}
        }
    }
    open.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(text: &str, file: &str, root: &str) -> Vec<(usize, String)> {
        imports(text, &module_of(file), &passed_on(root))
            .into_iter()
            .map(|import| (import.line, import.module))
            .collect()
    }

    fn expected(list: &[(usize, &str)]) -> Vec<(usize, String)> {
        list.iter()
            .map(|&(line, module)| (line, module.to_owned()))
            .collect()
    }

    #[test]
    fn every_way_to_name_another_module_is_seen() {
        let text = "use crate::run;\nuse crate::{plan::{a, b}, cache};\nuse super::super::experiment::C;\nfn f() { crate::run::g(); }\n";
        assert_eq!(
            modules(text, "plan/key.rs", ""),
            expected(&[
                (1, "run"),
                (2, "plan"),
                (2, "cache"),
                (3, "experiment"),
                (4, "run")
            ])
        );
    }

    #[test]
    fn super_within_a_module_stays_inside() {
        let text = "use super::build;\nmod inner {\n    use super::super::key;\n    use super::super::super::run;\n}\n";
        assert_eq!(
            modules(text, "plan/key.rs", ""),
            expected(&[(1, "plan"), (3, "plan"), (4, "run")])
        );
        assert_eq!(
            modules("use super::run;", "plan/mod.rs", ""),
            expected(&[(1, "run")])
        );
        assert_eq!(
            modules("use super::run;", "plan.rs", ""),
            expected(&[(1, "run")])
        );
    }

    #[test]
    fn names_that_the_root_passes_on_lead_to_their_module() {
        let root = "mod digest;\npub use digest::{Digest, Key as Name};\nuse crate::plan::Plan;\n";
        assert_eq!(
            modules(
                "use crate::{Digest, Plan};\nfn f(a: super::Name) {}\n",
                "run.rs",
                root
            ),
            expected(&[(1, "digest"), (1, "plan"), (2, "digest")])
        );
    }

    #[test]
    fn comments_strings_and_other_crates_are_none() {
        let text = "// use crate::run;\nconst A: &str = \"crate::run\";\nuse dpx_crate::run;\n";
        assert_eq!(modules(text, "plan.rs", ""), []);
    }
}
