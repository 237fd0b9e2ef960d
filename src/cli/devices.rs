//! `dpx devices`: what tensors can live on here.

use super::{Error, ExitCode, output};
use crate::device::Device;
use serde_json::json;

/// List the devices that `--device` can name.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A device that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Available {
    /// The device.
    pub(crate) device: Device,
    /// What it is, for people.
    pub(crate) description: String,
}

/// The devices of this machine that this program can use, the best first.
pub(crate) fn available() -> Vec<Available> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    vec![Available {
        device: Device::Cpu,
        description: format!("processor, {threads} threads"),
    }]
}

/// What names such as `auto`, `cpu` or `cuda:1` mean here.
pub(crate) fn resolve(names: &[String]) -> Result<Vec<Device>, Error> {
    let available = available();
    let mut devices = Vec::new();
    for name in names {
        let device = if name == "auto" {
            available.first().map_or(Device::Cpu, |best| best.device)
        } else {
            name.parse().map_err(Error::usage)?
        };
        if !available.iter().any(|one| one.device == device) {
            return Err(Error::usage(format!("there is no device `{device}` here"))
                .hint("see `dpx devices`"));
        }
        if !devices.contains(&device) {
            devices.push(device);
        }
    }
    Ok(devices)
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let available = available();
    if args.json {
        let list: Vec<_> = available
            .iter()
            .map(|one| json!({ "device": one.device.to_string(), "description": one.description }))
            .collect();
        output::print(&json!({ "version": 1, "devices": list }).to_string())?;
    } else {
        let lines: Vec<String> = available
            .iter()
            .map(|one| format!("{:8} {}", one.device.to_string(), one.description))
            .collect();
        output::print(&lines.join("\n"))?;
    }
    Ok(ExitCode::Done)
}
