//! Metrics of running stages for TensorBoard and MLflow, written while they run.
//!
//! Losses of private training are private: the files stand in the cache's folder `metrics/`, are never part of an artifact
//! and can never be released.
//!
//! ```text
//! metrics/tensorboard/RUN/INSTANCE/events.out.tfevents.*   tensorboard --logdir cache/metrics/tensorboard
//! metrics/mlruns/EXPERIMENT/RUN_OF_INSTANCE/               mlflow ui --backend-store-uri cache/metrics/mlruns
//!                                                          (MLflow 3: with MLFLOW_ALLOW_FILE_STORE=true)
//! ```

use super::event::Event;
use super::observer::Observer;
use dpx_schema::InstanceName;
use dpx_schema::files::safe_name;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes the metrics that stages report with their progress. A file that cannot be written never fails a run.
#[derive(Debug)]
pub struct MetricsObserver {
    folder: PathBuf,
    run: String,
    experiment: String,
    writers: BTreeMap<InstanceName, Option<Writer>>,
}

impl MetricsObserver {
    /// Writes below a folder, which is made when the first metric arrives.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            run: String::new(),
            experiment: String::new(),
            writers: BTreeMap::new(),
        }
    }
}

impl Observer for MetricsObserver {
    fn observe(&mut self, event: &Event) {
        match event {
            Event::RunStarted {
                run, experiment, ..
            } => {
                self.run.clone_from(run);
                self.experiment.clone_from(experiment);
            }
            Event::Progress { instance, update } => {
                let series: Vec<(&str, f64)> = update.metrics.series().collect();
                if series.is_empty() {
                    return;
                }
                let writer = self.writers.entry(instance.clone()).or_insert_with(|| {
                    Writer::new(&self.folder, &self.run, &self.experiment, instance).ok()
                });
                if let Some(open) = writer
                    && open.write(update.done, &series).is_err()
                {
                    *writer = None;
                }
            }
            Event::Finished { instance, .. } => self.end(instance, 3),
            Event::Failed { instance, .. } => self.end(instance, 4),
            Event::Stopped { instance } => self.end(instance, 5),
            _ => {}
        }
    }
}

impl MetricsObserver {
    /// MLflow's states: 3 finished, 4 failed, 5 killed.
    fn end(&mut self, instance: &str, state: u8) {
        if let Some(Some(writer)) = self.writers.remove(instance) {
            drop(writer.mlflow.meta(state, Some(now_ms())));
        }
    }
}

/// The files of one instance.
#[derive(Debug)]
struct Writer {
    events: File,
    mlflow: Mlflow,
}

impl Writer {
    fn new(folder: &Path, run: &str, experiment: &str, instance: &str) -> io::Result<Self> {
        let board = folder
            .join("tensorboard")
            .join(safe_name(run))
            .join(safe_name(instance));
        fs::create_dir_all(&board)?;
        let name = format!("events.out.tfevents.{}.dpx", now_ms() / 1000);
        let mut events = File::create(board.join(name))?;
        events.write_all(&record(&version(now_seconds())))?;
        let mlflow = Mlflow::new(&folder.join("mlruns"), run, experiment, instance)?;
        Ok(Self { events, mlflow })
    }

    fn write(&mut self, step: u64, series: &[(&str, f64)]) -> io::Result<()> {
        self.events
            .write_all(&record(&scalars(now_seconds(), step, series)))?;
        self.mlflow.write(step, series)
    }
}

fn now_ms() -> i64 {
    crate::clock::now().as_millisecond()
}

fn now_seconds() -> f64 {
    now_ms() as f64 / 1000.0
}

/// A record of an event file: length, its masked CRC-32C, data, their masked CRC-32C.
fn record(data: &[u8]) -> Vec<u8> {
    let masked = |bytes: &[u8]| {
        crc32c::crc32c(bytes)
            .rotate_right(15)
            .wrapping_add(0xa282_ead8)
            .to_le_bytes()
    };
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), data, &masked(data)].concat()
}

/// `Event { wall_time: 1, file_version: 3 }` in protocol buffers.
fn version(wall_time: f64) -> Vec<u8> {
    let mut bytes = vec![0x09];
    bytes.extend(wall_time.to_le_bytes());
    field(&mut bytes, 0x1a, b"brain.Event:2");
    bytes
}

/// `Event { wall_time: 1, step: 2, summary: 5 { value: 1 { tag: 1, simple_value: 2 } } }`.
fn scalars(wall_time: f64, step: u64, series: &[(&str, f64)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (name, value) in series {
        let mut one = Vec::new();
        field(&mut one, 0x0a, name.as_bytes());
        one.push(0x15);
        one.extend((*value as f32).to_le_bytes());
        field(&mut summary, 0x0a, &one);
    }
    let mut bytes = vec![0x09];
    bytes.extend(wall_time.to_le_bytes());
    bytes.push(0x10);
    varint(&mut bytes, step);
    field(&mut bytes, 0x2a, &summary);
    bytes
}

fn field(bytes: &mut Vec<u8>, tag: u8, content: &[u8]) {
    bytes.push(tag);
    varint(bytes, content.len() as u64);
    bytes.extend_from_slice(content);
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// One run in MLflow's file store.
#[derive(Debug)]
struct Mlflow {
    folder: PathBuf,
    run: String,
    name: String,
    experiment: String,
    started: i64,
}

impl Mlflow {
    fn new(root: &Path, run: &str, experiment: &str, instance: &str) -> io::Result<Self> {
        let digest = |text: &str| blake3::hash(text.as_bytes()).to_hex().to_string();
        let number = u64::from_str_radix(&digest(experiment)[..12], 16).unwrap_or(1);
        let id = number.to_string();
        let experiment_folder = root.join(&id);
        let uuid = digest(&format!("{run} {instance}"))[..32].to_owned();
        let folder = experiment_folder.join(&uuid);
        // First whose it is, by which garbage collection finds it.
        fs::create_dir_all(folder.join("params"))?;
        fs::write(folder.join("params/dpx_run"), run)?;
        for name in ["metrics", "tags", "artifacts"] {
            fs::create_dir_all(folder.join(name))?;
        }
        let meta = format!(
            "artifact_location: {}\nexperiment_id: '{id}'\nlifecycle_stage: active\nname: {}\n",
            quoted(&experiment_folder.to_string_lossy()),
            quoted(experiment)
        );
        fs::write(experiment_folder.join("meta.yaml"), meta)?;
        fs::write(folder.join("tags/mlflow.runName"), instance)?;
        let mlflow = Self {
            folder,
            run: uuid,
            name: instance.to_owned(),
            experiment: id,
            started: now_ms(),
        };
        mlflow.meta(1, None)?;
        Ok(mlflow)
    }

    fn meta(&self, status: u8, end: Option<i64>) -> io::Result<()> {
        let text = format!(
            "artifact_uri: {}\nend_time: {}\nentry_point_name: ''\nexperiment_id: '{}'\nlifecycle_stage: active\nrun_id: {run}\nrun_name: {}\nrun_uuid: {run}\nsource_name: ''\nsource_type: 4\nsource_version: ''\nstart_time: {}\nstatus: {status}\ntags: []\nuser_id: dpx\n",
            quoted(&self.folder.join("artifacts").to_string_lossy()),
            end.map_or_else(|| "null".to_owned(), |end| end.to_string()),
            self.experiment,
            quoted(&self.name),
            self.started,
            run = quoted(&self.run),
        );
        fs::write(self.folder.join("meta.yaml"), text)
    }

    fn write(&self, step: u64, series: &[(&str, f64)]) -> io::Result<()> {
        for (name, value) in series {
            let mut file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(self.folder.join("metrics").join(name))?;
            writeln!(file, "{} {value} {step}", now_ms())?;
        }
        Ok(())
    }
}

/// A YAML scalar in single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpx_schema::progress::{ProgressUpdate, StageMetrics};

    /// The bytes that TensorBoard's own writer gives for the version record at time 0.
    #[test]
    fn records_are_those_of_tensorboard() {
        let bytes = record(&version(0.0));
        assert_eq!(bytes[..8], 24_u64.to_le_bytes());
        assert_eq!(bytes[12], 0x09);
        assert_eq!(&bytes[23..36], b"brain.Event:2");
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        let mut long = Vec::new();
        varint(&mut long, 300);
        assert_eq!(long, [0xac, 0x02]);
    }

    #[test]
    fn an_instance_leaves_files_that_other_tools_find() {
        let folder = tempfile::tempdir().unwrap();
        let mut observer = MetricsObserver::new(folder.path());
        for (done, loss) in [(1, Some(3.5)), (2, Some(3.25)), (3, None)] {
            observer.observe(&Event::Progress {
                instance: "train@epsilon=8".into(),
                update: ProgressUpdate::steps(done, 3).with(StageMetrics {
                    loss,
                    ..StageMetrics::default()
                }),
            });
        }
        observer.observe(&Event::Stopped {
            instance: "train@epsilon=8".into(),
        });
        let runs = fs::read_dir(folder.path().join("mlruns")).unwrap();
        let experiment = runs.map(|entry| entry.unwrap().path()).next().unwrap();
        let run = fs::read_dir(&experiment)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.is_dir())
            .unwrap();
        let losses = fs::read_to_string(run.join("metrics/loss")).unwrap();
        let lines: Vec<&str> = losses.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[1].ends_with(" 3.25 2"), "{losses}");
        let meta = fs::read_to_string(run.join("meta.yaml")).unwrap();
        assert!(meta.contains("status: 5\n"), "{meta}");
        if let Ok(path) = std::env::var("DPX_TEST_METRICS") {
            let status = std::process::Command::new("cp")
                .arg("-r")
                .arg(folder.path())
                .arg(path)
                .status()
                .unwrap();
            assert!(status.success());
        }
    }
}
