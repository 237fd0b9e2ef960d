//! Exit codes.

/// How the process ends; each verb returns one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ExitCode {
    /// Everything asked for is done.
    Done = 0,
    /// A stage failed, or something outside the file and the arguments went wrong.
    Failed = 1,
    /// The experiment file or the arguments are wrong: nothing ran.
    Usage = 2,
    /// Stopped by Ctrl-C or a termination signal.
    Interrupted = 130,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}
