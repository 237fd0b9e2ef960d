//! Paths and links in documents, scripts and comments.

/// Folders at the top whose paths are checked wherever they are named.
const FOLDERS: [&str; 10] = [
    "src/",
    "crates/",
    "tests/",
    "docs/",
    "experiments/",
    "tools/",
    "benches/",
    "assets/",
    ".ci/",
    ".github/",
];

/// Paths of the repository that a text names, each with its line. A path with a placeholder (`NAME`, `*`, `<name>`, `...`) is none.
pub fn paths(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for word in line.split(|c: char| c.is_whitespace() || "`\"'()[]{},;|<>=".contains(c)) {
            // Where a symbol follows, the file before it.
            let path = word.split("::").next().unwrap_or_default();
            let path = path
                .split('#')
                .next()
                .unwrap_or_default()
                .trim_end_matches(['.', ':', '!', '?', '…']);
            let placeholder = path.contains(['*', '$', '\\', '…'])
                || path.contains("..")
                || path.split(['/', '.', '-', '_']).any(|part| {
                    part.len() > 2
                        && part.chars().all(|c| c.is_ascii_uppercase())
                        && part != "README"
                });
            if !placeholder
                && FOLDERS
                    .iter()
                    .any(|folder| path.starts_with(folder) && path.len() > folder.len())
            {
                found.push((number + 1, path.to_owned()));
            }
        }
    }
    found
}

/// The comments of a Rust source, line by line; other lines are empty.
pub fn comments(text: &str) -> String {
    let comment = |line: &str| {
        line.find("//")
            .filter(|&at| at == 0 || !line[..at].ends_with(':'))
            .map(|at| line[at..].to_owned())
    };
    text.lines()
        .map(|line| comment(line).unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Targets of Markdown links that are neither web addresses nor within code, each with its line: `FILE` and the heading after `#`.
pub fn links(markdown: &str) -> Vec<(usize, String, Option<String>)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (number, line) in markdown.lines().enumerate() {
        fenced ^= line.trim_start().starts_with("```");
        if fenced || line.starts_with("    ") {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            let target = line[at + 2..].split(')').next().unwrap_or_default();
            if target.contains("://") {
                continue;
            }
            let (file, heading) = target
                .split_once('#')
                .map_or((target, None), |(file, heading)| (file, Some(heading)));
            found.push((number + 1, file.to_owned(), heading.map(str::to_owned)));
        }
    }
    found
}

/// The names by which links reach the headings of a Markdown text, as GitHub makes them.
pub fn anchors(markdown: &str) -> Vec<String> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in markdown.lines() {
        fenced ^= line.trim_start().starts_with("```");
        if let Some(heading) = line.strip_prefix('#').filter(|_| !fenced) {
            let heading = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = heading
                .chars()
                .filter(|&c| c.is_alphanumeric() || " -_".contains(c));
            found.push(kept.collect::<String>().replace(' ', "-"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_and_placeholders_are_not() {
        let text = "See `crates/a/src/b.rs::symbol`, (docs/c.md#part). Not results/NAME/ or crates/*/src,\nbut tests/d.rs.";
        let expected = [
            (1, "crates/a/src/b.rs"),
            (1, "docs/c.md"),
            (2, "tests/d.rs"),
        ];
        assert_eq!(
            paths(text),
            expected.map(|(line, path)| (line, path.to_owned()))
        );
        assert_eq!(
            paths("https://example.org/docs/x tests/python/NAME.py crates/dpx-x/README.md").len(),
            1
        );
    }

    #[test]
    fn comments_are_kept_in_their_lines() {
        assert_eq!(
            comments("let a = \"src/x\"; // see src/y\n/// and src/z\nfn b() {}"),
            "// see src/y\n/// and src/z\n"
        );
    }

    #[test]
    fn links_and_headings_meet() {
        let text = "# A title: *with* marks\n[a](docs/b.md#part) and [c](#a-title-with-marks), [web](https://example.org)\n```\n# [no](x)\n```\n";
        let links = links(text);
        assert_eq!(links.len(), 2);
        assert_eq!(
            links[0],
            (2, "docs/b.md".to_owned(), Some("part".to_owned()))
        );
        assert_eq!(anchors(text), ["a-title-with-marks"]);
    }
}
