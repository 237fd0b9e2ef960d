//! The part of a file that is there: goes on where an earlier attempt stopped, and digests the bytes as they come.

use super::DataError;
use super::digest::{Hasher, Stated};
use super::download::PIECE;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// A file that is being written.
pub(super) struct Sink {
    path: PathBuf,
    file: File,
    size: u64,
    /// Bytes of the whole file, where they are known.
    total: Option<u64>,
    /// What the content should be, where it is known.
    stated: Option<Stated>,
    /// There once its digest can be told: git's needs the length first.
    hasher: Option<Hasher>,
}

impl Sink {
    /// Opens the file. What is there is kept where its digest can be told in the end, else dropped.
    pub(super) fn open(
        path: &Path,
        stated: Option<Stated>,
        total: Option<u64>,
    ) -> Result<Self, DataError> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(|error| DataError::file(path, format!("could not be written: {error}")))?;
        let there = file.metadata().map_or(0, |found| found.len());
        let mut sink = Self {
            path: path.to_owned(),
            file,
            size: 0,
            total,
            stated,
            hasher: None,
        };
        sink.begin();
        if sink.hasher.is_some() && total.is_none_or(|total| there <= total) {
            sink.take_up()?;
        } else {
            sink.restart()?;
        }
        Ok(sink)
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Whether the content will be compared with a digest.
    pub(super) const fn is_checked(&self) -> bool {
        self.hasher.is_some()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What an answer tells of the file before its first byte.
    pub(super) fn expect(&mut self, total: Option<u64>, stated: Option<Stated>) {
        if self.size == 0 {
            self.total = self.total.or(total);
            self.stated = self.stated.take().or(stated);
            self.begin();
        }
    }

    pub(super) fn restart(&mut self) -> Result<(), DataError> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        emptied.map_err(|error| self.failed(&error))?;
        self.size = 0;
        self.begin();
        Ok(())
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| self.failed(&error))?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Waits until the bytes are on the disk.
    pub(super) fn flush(&self) -> Result<(), DataError> {
        self.file.sync_all().map_err(|error| self.failed(&error))
    }

    /// What the content should be, and what it is.
    pub(super) fn finish(self) -> Option<(Stated, String)> {
        Some((self.stated?, self.hasher?.finish()))
    }

    /// A hasher that has seen nothing.
    fn begin(&mut self) {
        self.hasher = match (&self.stated, self.total) {
            (Some(stated @ Stated::Sha256(_)), _) => Some(stated.hasher(0)),
            (Some(stated), Some(total)) => Some(stated.hasher(total)),
            _ => None,
        };
    }

    fn take_up(&mut self) -> Result<(), DataError> {
        let mut piece = vec![0; PIECE];
        loop {
            let read = self.file.read(&mut piece);
            let read = read.map_err(|error| DataError::file(&self.path, error))?;
            if read == 0 {
                return Ok(());
            }
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&piece[..read]);
            }
            self.size += read as u64;
        }
    }

    fn failed(&self, error: &std::io::Error) -> DataError {
        DataError::file(&self.path, format!("could not be written: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

    #[test]
    fn goes_on_where_it_stopped_only_where_the_digest_tells() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part");
        let open = |stated: Option<Stated>, total| Sink::open(&path, stated, total).unwrap();
        std::fs::write(&path, "hel").unwrap();
        let mut sink = open(Stated::sha256(DIGEST), Some(6));
        assert_eq!(sink.size(), 3);
        sink.write(b"lo\n").unwrap();
        let (stated, found) = sink.finish().unwrap();
        assert_eq!(stated.digits(), found);
        // Longer than the whole, or of nobody knows what: from the beginning.
        assert_eq!(open(Stated::sha256(DIGEST), Some(5)).size(), 0);
        std::fs::write(&path, "hel").unwrap();
        assert_eq!(open(None, Some(6)).size(), 0);
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        // git's digest once the length is known.
        let mut sink = open(
            Stated::git("ce013625030ba8dba906f756967f9e9ca394464a"),
            None,
        );
        sink.expect(Some(6), None);
        sink.write(b"hello\n").unwrap();
        let (stated, found) = sink.finish().unwrap();
        assert_eq!(stated.digits(), found);
    }
}
