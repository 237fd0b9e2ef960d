//! `dpx man`: manual pages.

use super::{Error, ExitCode, OrError, output};
use std::path::PathBuf;

/// Print the manual page, or write one for every verb to a folder.
///
/// For example: dpx man ~/.local/share/man/man1
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder for `dpx.1`, `dpx-run.1` and the others; without one, `dpx.1` is printed
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let Some(folder) = &args.folder else {
        let mut page = Vec::new();
        clap_mangen::Man::new(super::command()).render(&mut page)?;
        output::print(String::from_utf8_lossy(&page).trim_end())?;
        return Ok(ExitCode::Done);
    };
    let writing = format!("write manual pages to `{}`", folder.display());
    std::fs::create_dir_all(folder).or_could_not(&writing)?;
    clap_mangen::generate_to(super::command(), folder).or_could_not(&writing)?;
    output::print(&format!(
        "wrote dpx.1 and a page for every verb to {}",
        folder.display()
    ))?;
    Ok(ExitCode::Done)
}
