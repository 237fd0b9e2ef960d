//! What leaves, texts or a model: refused or entered in the ledger, written, and checked as its readers will check it.

use super::state::StateArgs;
use super::studies::Loaded;
use super::{Error, output};
use dpx_engine::run::{ResultsError, new_folder};
use dpx_ledger::{LedgerError, PreparedRelease, Selection};
use dpx_report::{
    CHECKSUMS_FILE, Disclosure, Publication, Release, ReleaseError, STATEMENT_FILE, account,
    scored, standing, verify,
};
use dpx_schema::counted;
use std::fmt::Write;
use std::path::Path;

/// Files by which the folder of a release is known.
const RELEASE: [&str; 2] = [STATEMENT_FILE, CHECKSUMS_FILE];

/// A parser of an argument that `check` accepts.
pub(crate) fn checked(
    check: fn(&str) -> Result<(), String>,
) -> impl Fn(&str) -> Result<String, String> + Clone + Send + Sync + 'static {
    move |text| check(text).map(|()| text.to_owned())
}

/// Refuses a folder that is there already, and one within another release or the cache: the one would no longer hold what its
/// checksums say, the other is swept.
pub(crate) fn is_new(out: &Path, cache: &Path) -> Result<(), Error> {
    if out.exists() {
        return Err(Error::usage(format!("`{}` exists already", out.display()))
            .hint("name a new folder: a release is never mixed with what lay there before"));
    }
    let out = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
    // What is not there yet is no link to elsewhere.
    let there = out
        .ancestors()
        .skip(1)
        .find_map(|above| above.canonicalize().ok());
    let Some(there) = there else {
        return Ok(());
    };
    if let Ok(cache) = cache.canonicalize()
        && there.starts_with(&cache)
    {
        return Err(Error::usage(format!(
            "`{}` lies in the cache `{}`",
            out.display(),
            cache.display()
        ))
        .hint("name a folder outside: what lies in the cache is never released, and is swept"));
    }
    let is_release = |folder: &&Path| RELEASE.iter().all(|file| folder.join(file).is_file());
    if let Some(release) = there.ancestors().find(is_release) {
        return Err(Error::usage(format!(
            "`{}` lies in another release, `{}`",
            out.display(),
            release.display()
        ))
        .hint("name a folder beside it: `dpx verify` refuses a release that holds anything more"));
    }
    Ok(())
}

/// Why nothing was written.
pub(crate) struct Stopped(pub(crate) Error);

impl From<ResultsError> for Stopped {
    fn from(error: ResultsError) -> Self {
        Self(Error::failed(error.to_string()))
    }
}

impl From<ReleaseError> for Stopped {
    fn from(error: ReleaseError) -> Self {
        Self(error.into())
    }
}

impl From<LedgerError> for Stopped {
    fn from(error: LedgerError) -> Self {
        Self(Error::failed(error.to_string()))
    }
}

/// A release on its way out.
pub(crate) struct Outgoing<'a> {
    pub(crate) loaded: &'a Loaded,
    pub(crate) file: &'a Path,
    pub(crate) state: &'a StateArgs,
    pub(crate) release: &'a Release,
    pub(crate) publication: &'a Publication,
    pub(crate) out: &'a Path,
}

impl Outgoing<'_> {
    /// Whose guarantee is printed first.
    fn what(&self) -> &'static str {
        match self.release.rows() {
            0 => "by itself",
            1 => "this row",
            _ => "these rows",
        }
    }

    /// Writes the folder and enters it in the ledger; returns what it promises, for the terminal.
    pub(crate) fn leave(&self) -> Result<String, Error> {
        let Self {
            loaded,
            release,
            publication,
            ..
        } = self;
        let mut request = loaded.with(|sources| release.ledger_request(sources))??;
        request.budget = loaded.experiment.privacy.budget;
        let study = (&loaded.experiment, self.file);
        let ledger = self.state.ledger(Some(study))?;
        standing::check(&ledger, &loaded.cache)?;
        account::knows_all(&ledger, &loaded.cache)?;
        let ran = loaded.known.iter().filter_map(|one| one.record.as_deref());
        let people = scored::people_of(&ledger, ran.filter_map(account::texts))?;
        let scored = scored::scored(&ledger, &loaded.cache, &loaded.plan.experiment, &people)?;
        request.add_candidates(scored.covered, &scored.unprotected);
        request.held = Some(scored.held);
        let prepared = ledger.prepare_release(&request)?;
        let statement = release.statement(&Disclosure::from(&prepared), publication)?;
        let name = self.out.file_name().unwrap_or_default().to_string_lossy();
        let spent = spent(&prepared);
        new_folder(self.out, |fresh| {
            let content = release.write(fresh, &statement)?;
            // What its readers would find wrong is not to be released.
            let found = verify(fresh).map_err(ReleaseError::from)?;
            if let Some(wrong) = found.checks.iter().find(|check| !check.failures.is_empty()) {
                return Err(Stopped(Error::failed(format!(
                    "nothing was released: `dpx verify` would refuse it ({}: {}); this is a fault of dpx, please report it",
                    wrong.point,
                    wrong.failures.join("; ")
                ))));
            }
            // The last thing before the folder becomes visible: what can be seen has been counted.
            prepared.commit(&name, &content)?;
            Ok::<(), Stopped>(())
        })
        .map_err(|Stopped(error)| error)?;
        standing::note(&ledger, &loaded.cache)?;
        for (instance, planted) in release.canaries() {
            output::note(&format!(
                "warning: `{instance}` was trained with {planted} canaries for an audit: texts of random letters may stand among those released"
            ));
        }
        for sentence in release.public_inputs().sentences() {
            output::note(&format!("note: {sentence}"));
        }
        let guarantee = statement.claim.as_ref().map_or_else(
            || "no private data used".to_owned(),
            |claim| format!("{} {claim:#.4}", self.what()),
        );
        Ok(format!("{guarantee}{spent}"))
    }
}

/// What the ledger adds to the guarantee of the rows: how they were chosen, and everything released of the same people.
fn spent(prepared: &PreparedRelease) -> String {
    let mut text = String::new();
    if !matches!(prepared.selection(), Selection::None { unprotected } if unprotected.is_empty()) {
        let _ = write!(text, "\nselection: {}", prepared.selection());
    }
    if let Some(joint) = prepared.joint() {
        let is_choice = matches!(prepared.selection(), Selection::Undeclared { .. });
        let with = match (prepared.prior().len() as u64, is_choice) {
            (0, false) => "nothing else was released of the same people".to_owned(),
            (0, true) => "with the choice of rows".to_owned(),
            (earlier, is_choice) => format!(
                "with {} of the same people{}",
                counted(earlier, "earlier release"),
                if is_choice {
                    " and the choice of rows"
                } else {
                    ""
                }
            ),
        };
        let _ = write!(text, "\n{with}: {joint:#.4} in all");
    }
    text
}
