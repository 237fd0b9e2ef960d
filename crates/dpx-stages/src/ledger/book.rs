//! Books on disk: one JSON-lines file per data set, appended under a kernel lock and synced.

use super::Entry;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const SECRET: &str = "secret";
const EXTENSION: &str = "jsonl";

/// What went wrong with a ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file system said no.
    #[error("could not use the ledger `{path}`: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line cannot be read: what was spent is unknown.
    #[error("the ledger `{path}` is damaged in line {line}: {reason}; restore it from a backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the parser said.
        reason: String,
    },
}

/// All that one data set has spent.
#[derive(Debug, Clone, PartialEq)]
pub struct Book {
    /// Keyed digest of the data set's own digest: says nothing without this machine's secret.
    pub id: String,
    /// In the order of their start.
    pub entries: Vec<Entry>,
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> LedgerError {
    let path = path.to_owned();
    move |source| LedgerError::Io { path, source }
}

/// Enters a run for the data set with this digest; true if it was not there yet.
///
/// The same key and run are one entry, however often a run is resumed. Call it before the first private gradient: when
/// it returns, the entry is on disk.
///
/// # Errors
/// The book cannot be read or written, or is damaged.
pub fn enter(folder: &Path, data_digest: &str, entry: &Entry) -> Result<bool, LedgerError> {
    let path = path_of(folder, data_digest)?;
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(&path)
        .map_err(at(&path))?;
    file.lock().map_err(at(&path))?;
    let mut text = String::new();
    file.seek(SeekFrom::Start(0))
        .and_then(|_| file.read_to_string(&mut text))
        .map_err(at(&path))?;
    // A crash may have cut the last line before its run began anything: it never counted, and is closed here.
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let known = parse(&path, &text[..whole])?;
    if known
        .iter()
        .any(|other| other.run == entry.run && other.key == entry.key)
    {
        return Ok(false);
    }
    if whole < text.len() {
        file.set_len(whole as u64).map_err(at(&path))?;
    }
    let mut line = serde_json::to_string(entry).map_err(|error| LedgerError::Io {
        path: path.clone(),
        source: error.into(),
    })?;
    line.push('\n');
    file.write_all(line.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(at(&path))?;
    Ok(true)
}

/// All entries of the data set with this digest.
///
/// # Errors
/// The book cannot be read, or is damaged.
pub fn entries(folder: &Path, data_digest: &str) -> Result<Vec<Entry>, LedgerError> {
    read(&path_of(folder, data_digest)?)
}

/// All books of a folder; none if the folder does not exist.
///
/// # Errors
/// A book cannot be read, or is damaged.
pub fn books(folder: &Path) -> Result<Vec<Book>, LedgerError> {
    let listing = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(at(folder))?,
    };
    let mut books = Vec::new();
    for item in listing {
        let path = item.map_err(at(folder))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == EXTENSION)
        {
            let id = path.file_stem().unwrap_or_default().to_string_lossy();
            books.push(Book {
                id: id.into_owned(),
                entries: read(&path)?,
            });
        }
    }
    books.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(books)
}

fn read(path: &Path) -> Result<Vec<Entry>, LedgerError> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(at(path))?,
    };
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    parse(path, &text[..whole])
}

fn parse(path: &Path, text: &str) -> Result<Vec<Entry>, LedgerError> {
    text.lines()
        .enumerate()
        .map(|(index, line)| {
            serde_json::from_str(line).map_err(|error| LedgerError::Damaged {
                path: path.to_owned(),
                line: index + 1,
                reason: error.to_string(),
            })
        })
        .collect()
}

/// The book's path: its name is a keyed digest, so that nobody can confirm a guessed data set from it.
fn path_of(folder: &Path, data_digest: &str) -> Result<PathBuf, LedgerError> {
    fs::create_dir_all(folder).map_err(at(folder))?;
    let secret = secret(folder)?;
    let id = blake3::keyed_hash(&secret, data_digest.as_bytes()).to_hex();
    Ok(folder.join(&id.as_str()[..32]).with_extension(EXTENSION))
}

fn secret(folder: &Path) -> Result<[u8; 32], LedgerError> {
    let path = folder.join(SECRET);
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path).map_err(at(&path))?;
    file.lock().map_err(at(&path))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(at(&path))?;
    if let Ok(secret) = bytes.as_slice().try_into() {
        return Ok(secret);
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| LedgerError::Io {
        path: path.clone(),
        source: io::Error::other(error.to_string()),
    })?;
    file.set_len(0)
        .and_then(|()| file.write_all(&secret))
        .and_then(|()| file.sync_all())
        .map_err(at(&path))?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::super::joint;
    use super::*;
    use dpx_accounting::{DpEvent, gaussian_epsilon};

    fn entry(run: &str) -> Entry {
        Entry {
            run: run.to_owned(),
            key: "k".to_owned(),
            instance: "train@epsilon=3".to_owned(),
            event: DpEvent::gaussian(2.0).unwrap(),
            delta: 1e-5,
        }
    }

    #[test]
    fn a_resumed_run_counts_once_and_a_new_one_again() {
        let folder = tempfile::tempdir().unwrap();
        assert!(enter(folder.path(), "digest", &entry("a")).unwrap());
        assert!(!enter(folder.path(), "digest", &entry("a")).unwrap());
        assert!(enter(folder.path(), "digest", &entry("b")).unwrap());
        assert!(enter(folder.path(), "other", &entry("c")).unwrap());
        let known = entries(folder.path(), "digest").unwrap();
        assert_eq!(known, [entry("a"), entry("b")]);
        let books = books(folder.path()).unwrap();
        assert_eq!(books.len(), 2);
        assert!(
            books
                .iter()
                .all(|book| book.id != blake3::hash(b"digest").to_hex()[..32])
        );
        let joint = joint(&known, 1e-5).unwrap().certified.epsilon.value();
        let exact = gaussian_epsilon(2.0 / 2f64.sqrt(), 1e-5);
        assert!(joint >= exact - 1e-9 && joint < exact + 1e-4);
    }

    #[test]
    fn a_line_cut_by_a_crash_is_closed_and_a_damaged_one_is_told() {
        let folder = tempfile::tempdir().unwrap();
        enter(folder.path(), "digest", &entry("a")).unwrap();
        let path = path_of(folder.path(), "digest").unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{whole}{{\"run\":\"b")).unwrap();
        assert!(enter(folder.path(), "digest", &entry("b")).unwrap());
        assert_eq!(entries(folder.path(), "digest").unwrap().len(), 2);
        fs::write(&path, format!("nonsense\n{whole}")).unwrap();
        let error = enter(folder.path(), "digest", &entry("c")).unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
    }

    #[test]
    fn a_run_without_noise_lies_outside_and_is_counted() {
        let mut bare = entry("inf");
        bare.event = DpEvent::NonPrivate;
        let alone = joint(&[entry("a")], 1e-5).unwrap();
        let beside = joint(&[entry("a"), bare.clone()], 1e-5).unwrap();
        assert_eq!(beside.certified, alone.certified);
        assert_eq!((beside.covered, beside.outside), (1, 1));
        let nothing = joint(&[bare], 1e-5).unwrap();
        assert_eq!(
            (nothing.certified.epsilon.value(), nothing.outside),
            (0.0, 1)
        );
    }
}
