//! Starting workers on this machine.

use dpx_schema::protocol::Message;
use dpx_schema::protocol::Request;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// The program that serves a request; the request's path is added as the last argument.
#[derive(Debug, Clone)]
pub struct WorkerCommand {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

impl WorkerCommand {
    /// `dpx worker`, from the running program's own image: replacing the file during a run changes nothing.
    ///
    /// # Errors
    /// When the program's place cannot be told.
    pub fn own_image() -> io::Result<Self> {
        let program = if cfg!(target_os = "linux") {
            PathBuf::from("/proc/self/exe")
        } else {
            std::env::current_exe()?
        };
        Ok(Self::new(program).argument("worker"))
    }

    /// Another program, for tests and benches.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Adds an argument before the request's path.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds a variable to the worker's environment. Nothing secret belongs there.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts a worker in a process group of its own, so that Ctrl-C reaches the runner alone.
    ///
    /// Temporary files go to `temporary`, which is cleared away with the attempt even where the worker is killed.
    pub(super) fn start(
        &self,
        request: &Path,
        log: &Path,
        temporary: &Path,
        threads: usize,
    ) -> io::Result<Child> {
        let variable = if cfg!(windows) { "TMP" } else { "TMPDIR" };
        let stderr = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .arg(request)
            .env(variable, temporary)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("RAYON_NUM_THREADS", threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr);
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt;
            command.arg0("dpx").process_group(0);
        }
        command.spawn()
    }
}

/// Writes a request to its file; the worker reads it once.
pub(super) fn write_request(request: &Request, path: &Path) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(&serde_json::to_vec(request)?)
}

/// Hands every message of a worker on until it closes its output; other lines go to the log.
pub(super) fn read_messages(
    stdout: ChildStdout,
    log: &Path,
    mut each: impl FnMut(Message),
) -> io::Result<()> {
    let mut reader = BufReader::new(stdout);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if let Ok(message) = serde_json::from_slice::<Message>(&line) {
            each(message);
        } else {
            // A full disk must not end a worker that does its work.
            let opened = File::options().create(true).append(true).open(log);
            drop(opened.and_then(|mut log| log.write_all(&line)));
        }
    }
}
