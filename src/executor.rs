//! `--executor` and `[run.executor]`: who starts the workers of a run.

use super::{Error, OrError, devices};
use dpx_engine::experiment::{
    ExecutorKind, ExecutorTable, Experiment, SUBMIT_EXAMPLE, submit_fault,
};
use dpx_engine::run::{ExecutorOptions, Launch, Remote, Templates, WorkerCommand};
use dpx_schema::Device;

/// Workers at once where a cluster runs them and the file does not say: more only wait in its queue.
const PLACES: usize = 1000;

/// The table `[run.executor]` with `--executor` laid over it.
pub(crate) fn table(given: Option<&str>, experiment: &Experiment) -> Result<ExecutorTable, Error> {
    let mut table = experiment.run.executor.clone().unwrap_or_default();
    match given.map(|given| {
        given
            .split_once('=')
            .map_or((given, None), |(kind, rest)| (kind, Some(rest)))
    }) {
        None => {}
        Some(("local", None)) => table.kind = ExecutorKind::Local,
        Some(("slurm", None)) => table.kind = ExecutorKind::Slurm,
        Some(("command", submit)) => {
            table.kind = ExecutorKind::Command;
            if let Some(submit) = submit {
                table.submit = Some(submit.to_owned());
            }
        }
        Some((known @ ("local" | "slurm"), Some(rest))) => {
            return Err(Error::usage(format!(
                "the executor `{known}` takes nothing behind it, and `={rest}` stands there"
            ))
            .hint(format!(
                "`--executor {known}`; what it needs stands in `[run.executor]`"
            )));
        }
        Some((other, _)) => {
            return Err(Error::usage(format!("unknown executor `{other}`"))
                .hint("executors: `local`, `slurm`, `command`, or `command=COMMAND LINE`"));
        }
    }
    if table.kind == ExecutorKind::Command {
        let Some(submit) = &table.submit else {
            return Err(Error::usage(
                "the executor `command` has no command line that starts workers",
            )
            .hint(format!(
                "`--executor 'command={SUBMIT_EXAMPLE}'`, or `submit` in `[run.executor]`"
            )));
        };
        if let Some(fault) = submit_fault(submit) {
            return Err(Error::usage(fault.what).hint(fault.help));
        }
    }
    Ok(table)
}

/// The executor, and the devices of this machine that it computes on: none that count where others run the workers. `divided`:
/// a training is divided over all of them.
pub(crate) fn options(
    table: ExecutorTable,
    device_names: &[String],
    divided: bool,
    jobs: Option<usize>,
) -> Result<(ExecutorOptions, Vec<Device>), Error> {
    let finding = "find this program";
    let launch = match table.kind {
        ExecutorKind::Local => {
            let worker = WorkerCommand::own_image().or_could_not(finding)?;
            let devices = if divided {
                devices::resolve_divided(device_names)?
            } else {
                devices::resolve(device_names)?
            };
            return Ok((ExecutorOptions::Local(worker), devices));
        }
        ExecutorKind::Slurm => Launch::Slurm,
        ExecutorKind::Command => Launch::Command(Templates {
            submit: table.submit.clone().unwrap_or_default(),
            cancel: table.cancel.clone(),
        }),
    };
    if divided {
        devices::divided(device_names)?;
    } else if device_names.len() != 1 {
        return Err(Error::usage(
            "several devices are given, and every worker runs on a machine of its own",
        )
        .hint(
            "give one, such as `--device cuda`, or `auto`; `--devices cuda:0,cuda:1` divides each training over those of its machine",
        ));
    }
    let remote = Remote {
        launch,
        table,
        program: std::env::current_exe().or_could_not(finding)?,
        places: jobs.unwrap_or(PLACES),
        devices: device_names.to_vec(),
    };
    Ok((ExecutorOptions::Remote(Box::new(remote)), Vec::new()))
}
