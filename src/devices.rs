//! `dpx devices`: what tensors can live on here.

use super::{Error, ExitCode, OrError, output};
use dpx_nn::device::{Devices, Found, devices};
use dpx_schema::{Device, divided_devices};
use dpx_stages::device_test::{DeviceTest, test_device};
use serde_json::json;
use std::fmt::Write;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// List the devices that `--device` can name, the best first, and why others cannot be used.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Compare each with the processor on made-up texts and time it: a block for a bug report; the exit code is 1 where one fails
    #[arg(long)]
    test: bool,
    /// Test these devices alone
    #[arg(long, value_name = "DEVICE", requires = "test")]
    device: Vec<String>,
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
            name.parse().or_usage()?
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
    divided_devices(names).or_usage()
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
    if args.test {
        let chosen = resolve(&args.device)?;
        return test(&here, &chosen, args.json);
    }
    let text = if args.json {
        as_json(&here)
    } else {
        as_text(&here)
    };
    output::print(&text)?;
    Ok(ExitCode::Done)
}

/// Tests the chosen devices, all where none is chosen.
fn test(here: &Devices, chosen: &[Device], json: bool) -> Result<ExitCode, Error> {
    let found = here.found.iter();
    let tested: Vec<(&Found, Result<DeviceTest, String>)> = found
        .filter(|one| chosen.is_empty() || chosen.contains(&one.device))
        .map(|one| {
            let outcome = test_device(one.device);
            (one, outcome.map_err(|error| error.to_string()))
        })
        .collect();
    let failed = tested.iter().any(|(_, outcome)| outcome.is_err());
    output::print(&if json {
        tested_json(&tested)
    } else {
        tested_text(here, &tested)
    })?;
    Ok(if failed {
        ExitCode::Failed
    } else {
        ExitCode::Done
    })
}

fn tested_json(tested: &[(&Found, Result<DeviceTest, String>)]) -> String {
    let devices = tested.iter().map(|(one, outcome)| {
        let (result, error) = match outcome {
            Ok(result) => (Some(result), None),
            Err(error) => (None, Some(error)),
        };
        json!({
            "device": one.device.to_string(),
            "description": one.description,
            "result": result,
            "error": error,
        })
    });
    json!({
        "version": 1,
        "dpx": VERSION,
        "system": system(),
        "devices": devices.collect::<Vec<_>>(),
    })
    .to_string()
}

fn tested_text(here: &Devices, tested: &[(&Found, Result<DeviceTest, String>)]) -> String {
    let mut text = format!("dpx {VERSION} on {}\n", system());
    for (one, outcome) in tested {
        let _ = writeln!(text, "\n{}  {}", one.device, one.description);
        match outcome {
            Err(error) => {
                let _ = writeln!(text, "  FAILED: {error}");
            }
            Ok(found) => {
                for (what, value) in [
                    (
                        "losses",
                        format!(
                            "differ from the processor's by at most {:.1e} nats",
                            found.loss_difference
                        ),
                    ),
                    (
                        "clipped gradients",
                        format!(
                            "differ by at most {:.1e} of their size; the same to the last bit alone and among others",
                            found.gradient_difference
                        ),
                    ),
                    (
                        "likeliest texts",
                        format!("{:.0} % are the processor's", 100.0 * found.same_texts),
                    ),
                    (
                        "training",
                        format!(
                            "{:.0} tokens/s, clipped gradients of builtin:base",
                            found.training
                        ),
                    ),
                    (
                        "sampling",
                        format!("{:.0} tokens/s, texts of builtin:base", found.sampling),
                    ),
                ] {
                    let _ = writeln!(text, "  {what:17}  {value}");
                }
            }
        }
    }
    for one in &here.missing {
        let _ = writeln!(text, "\n{}  not here: {}", one.class, one.reason);
    }
    text.trim_end().to_owned()
}

fn system() -> String {
    format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)
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
    use dpx_nn::device::Missing;

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

    #[test]
    fn a_test_names_what_fails() {
        let here = here();
        let good = DeviceTest {
            loss_difference: 0.0,
            gradient_difference: 2e-7,
            same_texts: 0.875,
            training: 1234.4,
            sampling: 99.0,
        };
        let tested = [
            (&here.found[0], Ok(good)),
            (&here.found[1], Err("it computes wrongly".to_owned())),
        ];
        let text = tested_text(&here, &tested);
        for part in [
            "by at most 2.0e-7 of their size",
            "88 % are the processor's",
            "1234 tokens/s",
            "wgpu:0  llvmpipe",
            "FAILED: it computes wrongly",
            "cuda  not here",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let json: serde_json::Value = serde_json::from_str(&tested_json(&tested)).unwrap();
        assert_eq!(json["devices"][1]["error"], "it computes wrongly");
        assert_eq!(json["devices"][0]["result"]["sampling"], 99.0);
    }
}
