//! Starting workers on this machine.

use super::{Control, Executor, Served, Task, Told};
use crate::cache::CacheError;
use dpx_schema::protocol::{INTERRUPTED, Message, Request};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

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
    fn start(
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

/// Workers on this machine, each a child of the runner: they end with it.
#[derive(Debug)]
pub(in crate::run) struct Local(pub(in crate::run) WorkerCommand);

impl Executor for Local {
    fn serve(
        &self,
        task: &Task<'_>,
        control: &Control,
        each: &mut dyn FnMut(Told),
    ) -> Result<Served, CacheError> {
        let mut said = None;
        let (status, unheard) = self.run(task, control, |message| {
            if let Message::Failed { reason } = &message {
                said = Some(reason.clone());
            }
            each(Told::Said(message));
        })?;
        if status.success() {
            return Ok(Served::Closed(task.folder.to_owned()));
        }
        if let Some(error) = unheard {
            // Not a stop that was asked for: run again by itself it would fail again, for ever.
            said.get_or_insert_with(|| format!("what the worker says cannot be read: {error}"));
        } else if control.is_stopping() && said.is_none() || status.code() == Some(INTERRUPTED) {
            return Ok(Served::Stopped);
        }
        Ok(said.map_or_else(|| Served::Died(ending(status)), Served::Failed))
    }
}

impl Local {
    fn run(
        &self,
        task: &Task<'_>,
        control: &Control,
        each: impl FnMut(Message),
    ) -> Result<(ExitStatus, Option<io::Error>), CacheError> {
        let path = task.folder.join("request.json");
        write_request(&task.request, &path).map_err(CacheError::io("write the request", &path))?;
        let temporary = task.folder.join("temporary");
        let temporary = std::path::absolute(&temporary).unwrap_or(temporary);
        std::fs::create_dir(&temporary).map_err(CacheError::io("make the folder", &temporary))?;
        let started = self.0.start(&path, task.log, &temporary, task.threads);
        let mut child = started.map_err(CacheError::io("start the worker for", &path))?;
        let stdout = child.stdout.take();
        control.attach(child);
        let read = stdout.map_or(Ok(()), |stdout| read_messages(stdout, task.log, each));
        let unheard = read.err();
        if unheard.is_some() {
            // Whoever cannot be heard cannot be looked after.
            control.kill();
        }
        let status = control.wait();
        let status = status.map_err(CacheError::io("wait for the worker of", &path))?;
        Ok((status, unheard))
    }
}

/// Why a worker that said nothing ended.
pub(in crate::run) fn ending(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let guess = match signal {
            9 => " (SIGKILL: by hand, or by the system because memory ran out)",
            11 => " (SIGSEGV)",
            6 => " (SIGABRT)",
            _ => "",
        };
        return format!("the worker was killed by signal {signal}{guess}");
    }
    match status.code() {
        Some(0) => "the worker ended without a closing manifest".to_owned(),
        Some(101) => "the worker panicked: this is a bug in dpx".to_owned(),
        Some(code) => format!("the worker ended with exit code {code}"),
        None => "the worker ended".to_owned(),
    }
}

/// Writes a request to its file; the worker reads it once.
pub(super) fn write_request(request: &Request, path: &Path) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(&serde_json::to_vec(request)?)
}

/// Hands every message of a worker on until it closes its output; other lines go to the log.
fn read_messages(stdout: ChildStdout, log: &Path, mut each: impl FnMut(Message)) -> io::Result<()> {
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
