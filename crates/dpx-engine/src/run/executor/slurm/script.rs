//! The batch script of an array, and the words of sbatch.

use crate::experiment::ExecutorTable;
use crate::run::executor::keeper::Batch;
use std::fmt::Write;

/// A worker for the index of the array. The shell passes the warning on, waits for the worker to stop at a checkpoint, and does
/// not call that a failure.
pub(super) fn script(worker: &str, setup: Option<&str>) -> String {
    let mut text =
        "#!/bin/sh\n# Written by dpx: one worker for each index of the array.\n".to_owned();
    if let Some(setup) = setup {
        text.push_str(setup.trim_end());
        text.push('\n');
    }
    let stopped = dpx_schema::protocol::INTERRUPTED;
    write!(
        text,
        r#"{worker} "$SLURM_ARRAY_TASK_ID" &
worker=$!
trap 'kill -TERM "$worker" 2>/dev/null' USR1 TERM INT
while :; do
  wait "$worker"
  code=$?
  kill -0 "$worker" 2>/dev/null || break
done
[ "$code" -ne {stopped} ] || code=0
exit "$code"
"#
    )
    .expect("a string can be written to");
    text
}

/// The words of sbatch before the script.
pub(super) fn arguments(batch: &Batch<'_>, table: &ExecutorTable) -> Vec<String> {
    let resources = batch.resources;
    // Slurm fills in what stands behind a `%`, in names of folders too.
    let plain = |text: &str| text.replace('%', "%%");
    let output = std::path::PathBuf::from(plain(&batch.folder.to_string_lossy()))
        .join(format!("{}-%a.out", plain(batch.name)));
    let mut words = vec![
        "--parsable".to_owned(),
        "--no-requeue".to_owned(),
        "--open-mode=append".to_owned(),
        format!("--job-name={}", batch.name),
        format!("--comment={}", batch.comment),
        format!("--array=0-{}", batch.count - 1),
        format!("--output={}", output.display()),
        format!("--signal=B:USR1@{}", table.warning_seconds),
    ];
    let mut add = |name: &str, value: Option<String>| {
        words.extend(value.map(|value| format!("--{name}={value}")));
    };
    add("partition", resources.partition.clone());
    add("time", resources.time.clone());
    add("mem", resources.memory.clone());
    add(
        "gres",
        resources
            .gpus
            .filter(|gpus| *gpus > 0)
            .map(|gpus| format!("gpu:{gpus}")),
    );
    add("cpus-per-task", resources.cpus.map(|cpus| cpus.to_string()));
    add("account", resources.account.clone());
    words.extend(resources.arguments.iter().cloned());
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Resources;
    use std::path::Path;

    #[test]
    fn sbatch_is_told_name_array_warning_and_resources() {
        let resources = Resources {
            partition: Some("gpu".into()),
            time: Some("4:00:00".into()),
            memory: Some("16G".into()),
            gpus: Some(1),
            cpus: Some(4),
            account: Some("lab".into()),
            arguments: vec!["--qos=long".into()],
        };
        let batch = Batch {
            name: "dpx-run-1",
            comment: "dpx run=run plan=abc".into(),
            plan: Path::new("/cache/plan.json"),
            count: 5,
            resources: &resources,
            folder: Path::new("/cache/runs/run/plans"),
        };
        insta::assert_snapshot!(arguments(&batch, &ExecutorTable::default()).join("\n"), @r"
        --parsable
        --no-requeue
        --open-mode=append
        --job-name=dpx-run-1
        --comment=dpx run=run plan=abc
        --array=0-4
        --output=/cache/runs/run/plans/dpx-run-1-%a.out
        --signal=B:USR1@120
        --partition=gpu
        --time=4:00:00
        --mem=16G
        --gres=gpu:1
        --cpus-per-task=4
        --account=lab
        --qos=long
        ");
    }

    #[test]
    fn percent_signs_of_folders_are_no_placeholders() {
        let batch = Batch {
            name: "dpx-run-1",
            comment: String::new(),
            plan: Path::new("/100%j/plan.json"),
            count: 1,
            resources: &Resources::default(),
            folder: Path::new("/100%j/plans"),
        };
        let words = arguments(&batch, &ExecutorTable::default());
        let output = "--output=/100%%j/plans/dpx-run-1-%a.out";
        assert!(words.iter().any(|word| word == output), "{words:?}");
    }

    /// The script with a worker that traps the signal, as sbatch would run it.
    #[cfg(unix)]
    #[test]
    fn the_shell_passes_the_warning_on_and_waits() {
        use std::process::{Command, Stdio};
        let worker = r#"sh -c 'trap "echo stopped; exit 75" TERM; echo begun; while :; do sleep 0.05; done'"#;
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("job.sh");
        std::fs::write(&path, script(worker, Some("echo set up"))).unwrap();
        let out = place.path().join("out");
        let mut job = Command::new("sh")
            .arg(&path)
            .env("SLURM_ARRAY_TASK_ID", "0")
            .stdout(std::fs::File::create(&out).unwrap())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let said = || std::fs::read_to_string(&out).unwrap();
        while !said().contains("begun") {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let pid = rustix::process::Pid::from_child(&job);
        rustix::process::kill_process(pid, rustix::process::Signal::USR1).unwrap();
        assert_eq!(job.wait().unwrap().code(), Some(0));
        assert_eq!(said(), "set up\nbegun\nstopped\n");
    }
}
