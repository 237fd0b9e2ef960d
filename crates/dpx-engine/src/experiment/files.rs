//! The texts that values come from, and places in them.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One text: an experiment file, or the argument of a `--set`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// What diagnostics call it: the path as given, or `--set`.
    pub name: String,
    /// Folder that relative paths in it start from: the file's own, or the current one for `--set`.
    pub folder: PathBuf,
    /// Its text, as read at the start.
    pub text: Arc<str>,
    /// Where each line starts, in bytes.
    lines: Arc<[usize]>,
}

/// Every text that an experiment was read from. Kept for the whole run, which never looks at the files again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Files {
    files: Vec<File>,
}

/// A place in one of the [`Files`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    file: u32,
    start: u32,
    end: u32,
}

/// A place as people count it, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line of the file, the first is 1.
    pub line: usize,
    /// Column in characters, the first is 1.
    pub column: usize,
}

impl Files {
    /// Adds a text and returns its number.
    pub fn add(&mut self, name: impl Into<String>, folder: &Path, text: &str) -> u32 {
        self.files.push(File {
            name: name.into(),
            folder: folder.to_path_buf(),
            text: text.into(),
            lines: std::iter::once(0)
                .chain(text.match_indices('\n').map(|(at, _)| at + 1))
                .collect(),
        });
        self.files.len() as u32 - 1
    }

    /// All texts: the experiment file first, then what it extends, then the `--set`s.
    pub fn iter(&self) -> impl Iterator<Item = &File> {
        self.files.iter()
    }

    /// The text that a place is in.
    pub fn file(&self, origin: Origin) -> &File {
        &self.files[origin.file as usize]
    }

    /// The text of a number that [`Files::add`] gave.
    pub(super) fn by_number(&self, file: u32) -> &File {
        &self.files[file as usize]
    }

    /// First and last position of a place.
    pub fn positions(&self, origin: Origin) -> (Position, Position) {
        let File { text, lines, .. } = self.file(origin);
        let position = |offset: usize| {
            let offset = offset.min(text.len());
            let line = lines.partition_point(|&start| start <= offset);
            Position {
                line,
                column: text[lines[line - 1]..offset].chars().count() + 1,
            }
        };
        let range = origin.range();
        (position(range.start), position(range.end))
    }
}

impl Origin {
    /// A place in the text of a number.
    pub fn new(file: u32, range: Range<usize>) -> Self {
        Self {
            file,
            start: range.start as u32,
            end: range.end as u32,
        }
    }

    pub(super) const fn file_number(self) -> u32 {
        self.file
    }

    /// Bytes of the text.
    pub const fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}
