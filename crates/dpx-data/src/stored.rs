//! The names of labels that a dataset stores, over all its files: what a number means in each of them.

use super::DataError;
use super::error::listed;
use super::labels::{Labels, RawLabel, normal};
use super::read::{ClassNames, Listed, SplitFiles, label_names};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Every list of names that a file of the dataset stores, or one beside it.
#[derive(Debug, Default)]
pub(crate) struct StoredNames {
    root: PathBuf,
    /// Lists that differ, each with the first file that has it.
    lists: Vec<Listed>,
    /// How many of these lie beside the data, and speak of all of it.
    beside: usize,
    /// The list of each file that stores one itself.
    own: BTreeMap<PathBuf, Vec<String>>,
    /// Those of cards above a file or folder, which are no part of the dataset: its numbers are not read by them.
    above: Vec<Listed>,
    /// Files that store names which cannot be used.
    unusable: Vec<PathBuf>,
    /// What to tell of files that store none.
    notes: Vec<String>,
}

impl StoredNames {
    /// Those of files beside the data alone; no file of the data is opened.
    pub(crate) fn beside(root: &Path, files: &SplitFiles, label: &str) -> Self {
        let mut found = Self {
            root: root.to_owned(),
            above: files.stored_above(label),
            ..Self::default()
        };
        for (origin, names) in files.stored_beside(label) {
            found.add(root.join(origin), names);
        }
        found.beside = found.lists.len();
        let unusable = files.unusable_beside(label).into_iter();
        found.unusable = unusable.map(|origin| root.join(origin)).collect();
        found
    }

    /// Asks all files of a dataset, before a row is read.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(crate) fn of(root: &Path, files: &SplitFiles, label: &str) -> Result<Self, DataError> {
        let mut found = Self::beside(root, files, label);
        for file in files.all() {
            match label_names(file, label)? {
                ClassNames::Listed(names) => {
                    found.own.insert(file.clone(), names.clone());
                    found.add(file.clone(), names);
                }
                ClassNames::Unusable => found.unusable.push(file.clone()),
                ClassNames::None => {}
            }
        }
        Ok(found)
    }

    fn add(&mut self, file: PathBuf, names: Vec<String>) {
        let same = |other: &[String]| {
            let names = names.iter().map(|name| normal(name));
            names.eq(other.iter().map(|name| normal(name)))
        };
        if !self.lists.iter().any(|(_, other)| same(other)) {
            self.lists.push((file, names));
        }
    }

    /// The names to tell of: the first that stand beside the data, else those of its files where all store the same.
    pub(crate) fn told(&self) -> Option<&[String]> {
        match &self.lists[..] {
            [(_, names), ..] if self.beside > 0 => Some(names),
            _ => self.names(),
        }
    }

    /// The names, where all files that store any store the same.
    pub(crate) fn names(&self) -> Option<&[String]> {
        match &self.lists[..] {
            [(_, names)] => Some(names),
            _ => None,
        }
    }

    /// Whether a label is one of the names, as text.
    pub(crate) fn has(&self, label: &RawLabel) -> bool {
        let RawLabel::Text(label) = label else {
            return false;
        };
        let label = normal(label);
        let mut names = self.lists.iter().flat_map(|(_, names)| names);
        names.any(|name| normal(name) == label)
    }

    /// The names that the numbers of a file count, ready to be looked up; none where there are none, or it cannot be told.
    pub(crate) fn named(&self, file: &Path) -> Option<Named> {
        let names = match self.own.get(file) {
            Some(names) => names,
            None if self.unusable.iter().any(|other| other == file) => return None,
            None => self.names()?,
        };
        Some(Named {
            labels: Labels::new(names, None).ok()?,
            places: (0..names.len()).collect(),
            names: names.to_vec(),
        })
    }

    /// The places among the declared labels of the names that the numbers of a file count; none where no names are stored.
    /// `numbers` says whether the file has labels that may be places, `said` whether it is declared what they are.
    ///
    /// # Errors
    /// When the names are not those declared, or it cannot be told which of several lists the numbers count.
    pub(crate) fn places(
        &mut self,
        file: &Path,
        (numbers, said): (bool, bool),
        labels: &Labels,
    ) -> Result<Option<Vec<usize>>, DataError> {
        if let Some(own) = self.own.get(file) {
            return labels.stored(own, file).map(Some);
        }
        let mut unusable = self.unusable.iter();
        let unusable = unusable.find(|origin| *origin == file || self.lists.is_empty());
        if let Some(origin) = unusable.filter(|_| numbers && !said) {
            return Err(DataError::file(
                file,
                format!(
                    "its labels are numbers, and {} stores names for them that cannot be used: expected names numbered from 0 on without a gap, the same for all configurations that may be meant; correct them, or say with `labels_by` what the numbers are",
                    self.place(origin)
                ),
            ));
        }
        match &self.lists[..] {
            [] => {
                if numbers {
                    self.refuse_above(file, labels)?;
                }
                Ok(None)
            }
            [(origin, names)] => {
                let places = labels.stored(names, origin)?;
                if numbers && self.beside == 0 {
                    let note = format!(
                        "labels: {} stores no names, so that its numbers are read by those of {}",
                        self.place(file),
                        self.place(origin)
                    );
                    self.notes.push(note);
                }
                Ok(Some(places))
            }
            [(one, names), (other, others), ..] if numbers => Err(DataError::file(
                file,
                format!(
                    "it stores no label names, and the dataset stores several lists: {} has {}, {} has {}; which one its numbers count cannot be told: correct one of them, or write the labels as text",
                    self.place(one),
                    listed(names),
                    self.place(other),
                    listed(others)
                ),
            )),
            _ => Ok(None),
        }
    }

    /// Refuses numbers that would be read otherwise if the folder of a card were given.
    fn refuse_above(&self, file: &Path, labels: &Labels) -> Result<(), DataError> {
        for (card, names) in &self.above {
            let places = labels.stored(names, card)?;
            if !places.iter().copied().eq(0..places.len()) {
                return Err(DataError::file(
                    file,
                    format!(
                        "its labels are numbers, and `{}` stores their names in another order than `labels`: {}; list `labels` in that order, or give the folder of that file as `dataset`",
                        dpx_schema::printable(&card.to_string_lossy()),
                        listed(names)
                    ),
                ));
            }
        }
        Ok(())
    }

    /// What to tell the user, besides the names where there is one list.
    pub(crate) fn notes(&mut self) -> Vec<String> {
        let mut notes = std::mem::take(&mut self.notes);
        let unusable = self.unusable.iter();
        notes.extend(unusable.map(|origin| {
            format!(
                "labels: the names that {} stores are not numbered from 0 on without a gap, or differ: they are not used",
                self.place(origin)
            )
        }));
        if self.lists.len() > 1 {
            let lists = self.lists.iter();
            let lists =
                lists.map(|(file, names)| format!("{} {}", self.place(file), listed(names)));
            notes.push(format!(
                "labels: the files store different names ({}): the numbers of each file are read by its own",
                lists.collect::<Vec<_>>().join("; ")
            ));
        }
        notes
    }

    fn place(&self, file: &Path) -> String {
        let place = file.strip_prefix(&self.root).unwrap_or(file);
        let place = if place.as_os_str().is_empty() {
            file
        } else {
            place
        };
        listed([place.to_string_lossy()])
    }
}

/// The names that numbers count.
#[derive(Debug)]
pub(crate) struct Named {
    labels: Labels,
    names: Vec<String>,
    places: Vec<usize>,
}

impl Named {
    /// A label by its name, or as the file has it where it has none.
    pub(crate) fn of(&self, label: &RawLabel) -> String {
        let found = self.labels.find(label, Some(&self.places));
        found.map_or_else(
            |_| label.to_string(),
            |(place, _)| self.names[place].clone(),
        )
    }
}
