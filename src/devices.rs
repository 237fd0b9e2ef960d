//! `dpx devices`: what tensors can live on here.

use super::{Error, ExitCode, output};
use dpx_nn::device::{Devices, devices};
use dpx_schema::{Device, divided_devices};
use serde_json::json;

/// List the devices that `--device` can name, the best first, and why others cannot be used.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What names such as `auto`, `cpu` or `cuda:1` mean here. One that stands twice is one.
pub(crate) fn resolve(names: &[String]) -> Result<Vec<Device>, Error> {
    let here = devices();
    let mut chosen = Vec::new();
    for name in names {
        let device = if name == "auto" {
            here.best()
        } else {
            name.parse().map_err(Error::usage)?
        };
        check(&here, device)?;
        if !chosen.contains(&device) {
            chosen.push(device);
        }
    }
    Ok(chosen)
}

/// The devices that a training is divided over here. One that stands several times computes as several.
pub(crate) fn resolve_divided(names: &[String]) -> Result<Vec<Device>, Error> {
    let here = devices();
    let chosen = divided(names)?;
    for device in &chosen {
        check(&here, *device)?;
    }
    Ok(chosen)
}

/// The devices that a training is divided over, wherever that is.
pub(crate) fn divided(names: &[String]) -> Result<Vec<Device>, Error> {
    divided_devices(names).map_err(Error::usage)
}

fn check(here: &Devices, device: Device) -> Result<(), Error> {
    here.check(device).map_err(|reason| {
        let message = format!("there is no device `{device}` here: {reason}");
        let best = here.best();
        let hint = format!(
            "`dpx devices` lists what is here; `--device auto` takes `{best}`, whatever the file says"
        );
        Error::usage(message).hint(hint)
    })
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    let here = devices();
    let text = if args.json {
        as_json(&here)
    } else {
        as_text(&here)
    };
    output::print(&text)?;
    Ok(ExitCode::Done)
}

fn as_json(here: &Devices) -> String {
    let found = here.found.iter().map(|one| {
        json!({
            "device": one.device.to_string(),
            "description": one.description,
            "memory_bytes": one.memory,
            "software": one.software,
        })
    });
    let missing = here
        .missing
        .iter()
        .map(|one| json!({ "class": one.class, "reason": one.reason }));
    json!({
        "version": 1,
        "auto": here.best().to_string(),
        "devices": found.collect::<Vec<_>>(),
        "missing": missing.collect::<Vec<_>>(),
    })
    .to_string()
}

fn as_text(here: &Devices) -> String {
    let best = here.best();
    let found = here.found.iter().map(|one| {
        let note = if one.device == best {
            " (`auto`)"
        } else if one.software {
            " (never `auto`)"
        } else {
            ""
        };
        let memory = one.memory.map_or_else(String::new, |bytes| {
            format!(", {:.1} GiB", bytes as f64 / f64::from(1 << 30))
        });
        let (device, description) = (one.device.to_string(), &one.description);
        format!("{device:8} {description}{memory}{note}")
    });
    let missing = here
        .missing
        .iter()
        .map(|one| format!("{:8} not here: {}", one.class, one.reason));
    found.chain(missing).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpx_nn::device::{Found, Missing};

    fn here() -> Devices {
        Devices {
            found: vec![
                Found {
                    device: Device::Cpu,
                    description: "processor, 2 threads".into(),
                    memory: Some(3 << 29),
                    software: false,
                },
                Found {
                    device: Device::Wgpu(0),
                    description: "llvmpipe, software rasterizer, vulkan".into(),
                    memory: None,
                    software: true,
                },
            ],
            missing: vec![Missing {
                class: "cuda",
                reason: "the NVIDIA driver is not installed".into(),
            }],
        }
    }

    #[test]
    fn the_list_says_what_auto_takes_and_why_the_rest_is_not_there() {
        assert_eq!(
            as_text(&here()),
            "cpu      processor, 2 threads, 1.5 GiB (`auto`)\n\
             wgpu:0   llvmpipe, software rasterizer, vulkan (never `auto`)\n\
             cuda     not here: the NVIDIA driver is not installed"
        );
        let value: serde_json::Value = serde_json::from_str(&as_json(&here())).unwrap();
        assert_eq!(value["auto"], "cpu");
        assert_eq!(value["devices"][0]["memory_bytes"], 3_u64 << 29);
        assert_eq!(value["devices"][1]["software"], true);
        assert_eq!(value["missing"][0]["class"], "cuda");
    }
}
