//! Prints diagnostics with the lines they speak of.

use super::diagnostic::{Diagnostic, Label, Severity};
use super::files::Files;
use super::suggest::MOST_SHOWN;
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Patch, Renderer, Snippet};

/// Widest line.
const WIDTH: usize = 100;

/// All diagnostics as coloured text; strip the colours by printing through anstream. Errors come first, then by place; of
/// more than [`MOST_SHOWN`] the rest is only counted.
pub fn render(diagnostics: &[Diagnostic], files: &Files) -> String {
    let renderer = Renderer::styled()
        .term_width(WIDTH)
        .decor_style(DecorStyle::Ascii);
    let shown = diagnostics.iter().take(MOST_SHOWN);
    let mut blocks: Vec<String> = shown
        .map(|diagnostic| renderer.render(&report(diagnostic, files)))
        .collect();
    if diagnostics.len() > MOST_SHOWN {
        blocks.push(format!("and {} more", diagnostics.len() - MOST_SHOWN));
    }
    blocks.push(summary(diagnostics));
    blocks.retain(|block| !block.is_empty());
    blocks.join("\n\n")
}

fn report<'a>(diagnostic: &'a Diagnostic, files: &'a Files) -> Vec<Group<'a>> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level
        .primary_title(diagnostic.message.as_str())
        .id(diagnostic.code.name());
    let mut group = Group::with_title(title);
    // One snippet per text, the primary one first.
    let mut snippets: Vec<(u32, Snippet<'a, Annotation<'a>>)> = Vec::new();
    let labels = diagnostic
        .primary
        .iter()
        .map(|label| (AnnotationKind::Primary, label))
        .chain(
            diagnostic
                .context
                .iter()
                .map(|label| (AnnotationKind::Context, label)),
        );
    for (kind, label) in labels {
        let number = label.origin.file_number();
        let annotation = annotation(kind, label);
        if let Some((_, snippet)) = snippets.iter_mut().find(|(file, _)| *file == number) {
            *snippet = snippet.clone().annotation(annotation);
        } else {
            let file = files.file(label.origin);
            let snippet = Snippet::source(&*file.text)
                .path(file.name.as_str())
                .annotation(annotation);
            snippets.push((number, snippet));
        }
    }
    for (_, snippet) in snippets {
        group = group.element(snippet);
    }
    let mut help = diagnostic.help.iter();
    let mut groups = Vec::new();
    if let Some(fix) = &diagnostic.fix {
        let file = files.file(fix.origin);
        let title = help.next().map_or("change it", |text| text.as_str());
        for text in help {
            group = group.element(Level::HELP.message(text.as_str()));
        }
        groups.push(
            Group::with_title(Level::HELP.secondary_title(title)).element(
                Snippet::source(&*file.text)
                    .path(file.name.as_str())
                    .patch(Patch::new(fix.origin.range(), fix.replacement.as_str())),
            ),
        );
    } else {
        for text in help {
            group = group.element(Level::HELP.message(text.as_str()));
        }
    }
    groups.insert(0, group);
    groups
}

fn annotation(kind: AnnotationKind, label: &Label) -> Annotation<'_> {
    let annotation = kind.span(label.origin.range());
    if label.text.is_empty() {
        annotation
    } else {
        annotation.label(label.text.as_str())
    }
}

/// `2 errors, 1 warning`.
pub fn summary(diagnostics: &[Diagnostic]) -> String {
    let count = |severity, word: &str| {
        let number = diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == severity)
            .count();
        match number {
            0 => None,
            1 => Some(format!("1 {word}")),
            _ => Some(format!("{number} {word}s")),
        }
    };
    let parts: Vec<String> = [
        count(Severity::Error, "error"),
        count(Severity::Warning, "warning"),
    ]
    .into_iter()
    .flatten()
    .collect();
    parts.join(", ")
}
