//! Objects on their way: in pieces, several at a time, each checked.
//!
//! Pieces are what a transfer goes on from: one that is there already is read and compared, and sent again only where it differs.

use super::{Remote, RemoteError, StoreError};
use crate::cache::disk::digest_file;
use crate::cache::{Cache, CacheError};
use dpx_schema::{Digest, FileEntry, Record};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Bytes of a piece: what is lost at most when a connection breaks, and what a thread holds in memory.
pub(super) const PIECE: u64 = 16 << 20;

/// Transfers at a time.
const AT_ONCE: usize = 4;

/// Number of pieces of an object; an empty one has one.
pub(super) const fn pieces(size: u64) -> u64 {
    let pieces = size.div_ceil(PIECE);
    if pieces == 0 { 1 } else { pieces }
}

/// Bytes of a piece.
pub(super) fn piece_size(size: u64, piece: u64) -> u64 {
    size.saturating_sub(piece * PIECE).min(PIECE)
}

impl Remote {
    pub(super) fn piece_name(&self, digest: &Digest, piece: u64) -> String {
        let name = self.key.name("object", digest.as_bytes());
        format!("objects/{name}-{piece}")
    }

    /// Sends what the store does not have of the objects that a record names.
    pub(super) fn send_objects(&self, cache: &Cache, record: &Record) -> Result<(), RemoteError> {
        for file in &record.output.files {
            let object = cache.layout.object(&file.digest);
            let found = digest_file(&object).map_err(CacheError::io("read", &object))?;
            if found != (file.digest, file.size) {
                return Err(CacheError::Damaged {
                    digest: file.digest,
                    file: file.path.clone(),
                    problem: "is damaged",
                }
                .into());
            }
        }
        let work: Vec<(&FileEntry, u64)> = all_pieces(record).collect();
        self.at_once(&work, |(file, piece)| {
            let name = self.piece_name(&file.digest, *piece);
            let size = piece_size(file.size, *piece);
            let known = || self.sound.lock().unwrap_or_else(PoisonError::into_inner);
            let there = self.patiently(|| self.store.size(&name))? == Some(size);
            if there && known().contains(&name) {
                return Ok(());
            }
            let object = cache.layout.object(&file.digest);
            let mut bytes = vec![0; size as usize];
            let read = File::open(&object).and_then(|mut handle| {
                handle.seek(SeekFrom::Start(piece * PIECE))?;
                handle.read_exact(&mut bytes)
            });
            read.map_err(CacheError::io("read", &object))?;
            self.key.turn_piece(&file.digest, *piece, &mut bytes);
            // The right size says nothing of the content.
            let same = there && self.patiently(|| self.store.get(&name))?.as_ref() == Some(&bytes);
            if !same {
                self.patiently(|| self.store.put(&name, &bytes))?;
            }
            known().insert(name);
            Ok(())
        })
    }

    /// Whether every piece of a record's objects is there with its size.
    pub(super) fn is_complete(&self, record: &Record) -> Result<bool, RemoteError> {
        let work: Vec<(&FileEntry, u64)> = all_pieces(record).collect();
        let lacking = AtomicUsize::new(0);
        self.at_once(&work, |(file, piece)| {
            let name = self.piece_name(&file.digest, *piece);
            let size = self.patiently(|| self.store.size(&name))?;
            if size != Some(piece_size(file.size, *piece)) {
                lacking.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        })?;
        Ok(lacking.into_inner() == 0)
    }

    /// Fetches the objects of a record that this machine does not have, as the files of a folder; each is hashed on its way.
    pub(super) fn fetch_objects(
        &self,
        cache: &Cache,
        record: &Record,
        output: &Path,
    ) -> Result<(), RemoteError> {
        let missing: Vec<&FileEntry> = record
            .output
            .files
            .iter()
            .filter(|file| {
                !digest_file(&cache.layout.object(&file.digest))
                    .is_ok_and(|found| found == (file.digest, file.size))
            })
            .collect();
        self.at_once(&missing, |file| {
            let path = output.join(&file.path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(CacheError::io("make the folder", parent))?;
            }
            let mut handle = File::create_new(&path).map_err(CacheError::io("make", &path))?;
            self.fetch_object(&record.key.short(), file, &mut handle, &path)
        })
    }

    fn fetch_object(
        &self,
        key: &str,
        file: &FileEntry,
        handle: &mut File,
        path: &Path,
    ) -> Result<(), RemoteError> {
        let bad = |problem| RemoteError::BadObject {
            store: self.describe(),
            key: key.to_owned(),
            file: file.path.clone(),
            problem,
        };
        let mut hasher = blake3::Hasher::new();
        for piece in 0..pieces(file.size) {
            let name = self.piece_name(&file.digest, piece);
            let mut bytes = self
                .patiently(|| self.store.get(&name))?
                .ok_or_else(|| bad("is missing"))?;
            if bytes.len() as u64 != piece_size(file.size, piece) {
                return Err(bad("has another length"));
            }
            self.key.turn_piece(&file.digest, piece, &mut bytes);
            hasher.update(&bytes);
            handle
                .write_all(&bytes)
                .map_err(CacheError::io("write", path))?;
        }
        if Digest::from_bytes(*hasher.finalize().as_bytes()) == file.digest {
            Ok(())
        } else {
            Err(bad("was changed"))
        }
    }

    /// Whether the store has an object, whole and unchanged.
    pub(super) fn check_object(&self, file: &FileEntry) -> Result<bool, RemoteError> {
        let mut hasher = blake3::Hasher::new();
        for piece in 0..pieces(file.size) {
            let name = self.piece_name(&file.digest, piece);
            let Some(mut bytes) = self.patiently(|| self.store.get(&name))? else {
                return Ok(false);
            };
            self.key.turn_piece(&file.digest, piece, &mut bytes);
            hasher.update(&bytes);
        }
        Ok(Digest::from_bytes(*hasher.finalize().as_bytes()) == file.digest)
    }

    /// Does something for each item, several at a time; the first error ends it.
    pub(super) fn at_once<T: Sync>(
        &self,
        items: &[T],
        each: impl Fn(&T) -> Result<(), RemoteError> + Sync,
    ) -> Result<(), RemoteError> {
        let next = AtomicUsize::new(0);
        let failed = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE.min(items.len()) {
                scope.spawn(|| {
                    while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if let Err(error) = each(item) {
                            next.store(items.len(), Ordering::Relaxed);
                            if let Ok(mut failed) = failed.lock() {
                                failed.get_or_insert(error);
                            }
                        }
                    }
                });
            }
        });
        match failed.into_inner() {
            Ok(None) => Ok(()),
            Ok(Some(error)) => Err(error),
            Err(_) => Err(self.failed(StoreError::Refused {
                what: "a transfer panicked: this is a bug in dpx".to_owned(),
            })),
        }
    }
}

pub(super) fn all_pieces(record: &Record) -> impl Iterator<Item = (&FileEntry, u64)> {
    let files = record.output.files.iter();
    files.flat_map(|file| (0..pieces(file.size)).map(move |piece| (file, piece)))
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn pieces_cover_an_object() {
        for size in [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE] {
            let sum: u64 = (0..pieces(size)).map(|piece| piece_size(size, piece)).sum();
            assert_eq!(sum, size);
        }
        assert_eq!(pieces(0), 1);
        assert_eq!(pieces(PIECE + 1), 2);
    }
}
