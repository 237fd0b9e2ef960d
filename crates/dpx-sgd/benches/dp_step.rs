//! One private step beside one of no privacy, in one run: wall and processor time, ratio, tokens per second, memory.
//!
//! `cargo bench -p dpx-sgd --bench dp_step -- [--shape NAME] [--reps N] [--device NAME] [--bf16] [--update] [--peer]`. Without a shape
//! those for the processor are run, or on another device those for a GPU. `RAYON_NUM_THREADS=1` makes the processor times
//! nearly free of what else the machine does. `--peer` times PyTorch beside it (`crates/dpx-sgd/benches/dp_step_peer.py`; `PYTHON` names the
//! interpreter).
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use dpx_nn::device::DeviceExt;
use dpx_nn::model::Decoder;
use dpx_nn::model::config::{DecoderConfig, Sizes};
use dpx_nn::{Arithmetic, Batch, Network, Sequence};
use dpx_schema::Device;
use dpx_sgd::clip::{Clipping, clipped_sum};
use dpx_sgd::dp_optimizer::{DpOptimizer, DpOptimizerSettings};
use dpx_sgd::key::Key;
use dpx_sgd::optimizer::{AdamSettings, Averaging, Denoising, LearningRate, Schedule};
use dpx_sgd::privatize::NoiseSpec;
use std::time::Instant;

#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    batch: usize,
    tokens: usize,
    vocabulary: usize,
    width: usize,
    layers: usize,
    heads: usize,
}

const SHAPES: [Shape; 5] = [
    Shape {
        name: "gpt2-16x32",
        batch: 16,
        tokens: 32,
        vocabulary: 50_257,
        width: 768,
        layers: 12,
        heads: 12,
    },
    Shape {
        name: "gpt2-8x128",
        batch: 8,
        tokens: 128,
        vocabulary: 50_257,
        width: 768,
        layers: 12,
        heads: 12,
    },
    Shape {
        name: "small-64x32",
        batch: 64,
        tokens: 32,
        vocabulary: 4096,
        width: 256,
        layers: 4,
        heads: 4,
    },
    Shape {
        name: "gpt2-64x64",
        batch: 64,
        tokens: 64,
        vocabulary: 50_257,
        width: 768,
        layers: 12,
        heads: 12,
    },
    Shape {
        name: "gpt2-256x32",
        batch: 256,
        tokens: 32,
        vocabulary: 50_257,
        width: 768,
        layers: 12,
        heads: 12,
    },
];

/// Long sequences: as many tokens in all as `gpt2-8x128`. Run by name alone.
const LONG: [Shape; 3] = [
    long("gpt2-4x256", 4),
    long("gpt2-2x512", 2),
    long("gpt2-1x1024", 1),
];

const fn long(name: &'static str, batch: usize) -> Shape {
    Shape {
        name,
        batch,
        tokens: 1024 / batch,
        vocabulary: 50_257,
        width: 768,
        layers: 12,
        heads: 12,
    }
}

/// How many of the shapes are for the processor; the rest are for GPUs.
const FOR_PROCESSOR: usize = 3;

/// What is the same for all shapes.
#[derive(Clone, Copy)]
struct Options {
    repetitions: usize,
    device: Device,
    arithmetic: Arithmetic,
    update: bool,
    peer: bool,
}

/// Seconds: wall, processor.
#[derive(Clone, Copy)]
struct Time([f64; 2]);

/// Processor seconds of this process, to a hundredth.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .collect();
    let ticks = |i: usize| {
        fields
            .get(i)
            .and_then(|x| x.parse::<f64>().ok())
            .unwrap_or(f64::NAN)
    };
    (ticks(11) + ticks(12)) / 100.0
}

/// Peak resident memory in MB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kb| kb / 1024)
}

fn timed(device: Device, work: impl FnOnce()) -> Time {
    let (wall, cpu) = (Instant::now(), processor());
    work();
    device.synchronize().expect("the device is there");
    Time([wall.elapsed().as_secs_f64(), processor() - cpu])
}

fn median(times: &[Time], which: usize) -> f64 {
    let mut values: Vec<f64> = times.iter().map(|time| time.0[which]).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn gradient(model: &Decoder, batch: &Batch, clipping: Clipping) {
    let tape = model.forward_backward(batch).expect("ids in range");
    let sum = clipped_sum(model.parameters(), tape, clipping, 1.0).expect("all recorded");
    std::hint::black_box(sum);
}

fn run(shape: Shape, options: Options) {
    let Options {
        repetitions,
        device,
        ..
    } = options;
    let config = DecoderConfig::gpt2(Sizes {
        vocabulary: shape.vocabulary,
        max_positions: shape.tokens.max(64),
        hidden: shape.width,
        intermediate: 4 * shape.width,
        layers: shape.layers,
        heads: shape.heads,
        kv_heads: shape.heads,
        head_dim: shape.width / shape.heads,
        norm_epsilon: 1e-5,
    });
    let mut model = Decoder::new_gpt2(config, 7, device);
    model.parameters_mut().compute_in(options.arithmetic);
    let mut state = 3_u64;
    let examples: Vec<Vec<u32>> = (0..shape.batch)
        .map(|_| {
            (0..shape.tokens)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    ((state >> 33) % shape.vocabulary as u64) as u32
                })
                .collect()
        })
        .collect();
    let sequences: Vec<_> = examples.iter().map(|ids| Sequence::whole(ids)).collect();
    let batch = Batch::causal(&sequences);
    let (mut plain, mut private) = (Vec::new(), Vec::new());
    // The first pass of each finds kernels and compiles them.
    timed(device, || gradient(&model, &batch, Clipping::None));
    timed(device, || gradient(&model, &batch, Clipping::Flat));
    for _ in 0..repetitions {
        plain.push(timed(device, || {
            gradient(&model, &batch, Clipping::None);
        }));
        private.push(timed(device, || {
            gradient(&model, &batch, Clipping::Flat);
        }));
    }
    let memory = peak();
    let tokens = (shape.batch * shape.tokens) as f64;
    let both = |times: &[Time]| (median(times, 0), median(times, 1));
    let ((plain_wall, plain_cpu), (private_wall, private_cpu)) = (both(&plain), both(&private));
    println!(
        "{} on {device}, {:?}: {} threads, median of {repetitions}, gradient",
        shape.name,
        options.arithmetic,
        rayon_threads()
    );
    println!(
        "  not private  wall {plain_wall:.3} s  cpu {plain_cpu:.2} s  {:.0} tokens/s",
        tokens / plain_wall
    );
    println!(
        "  private      wall {private_wall:.3} s  cpu {private_cpu:.2} s  {:.0} tokens/s",
        tokens / private_wall
    );
    println!(
        "  private / not private  wall {:.3}  cpu {:.3}; peak memory {memory} MB",
        private_wall / plain_wall,
        private_cpu / plain_cpu
    );
    if options.update {
        let mut updates = Updates::new(&model, &batch, repetitions);
        let (plain_update, private_update) = (
            updates.time(&mut model, NoiseSpec::None, false),
            updates.time(&mut model, NOISY, false),
        );
        println!(
            "  sum, noise, Adam  not private {plain_update:.2} s  private {private_update:.2} s"
        );
        let micro_batches = 1024.0 / shape.batch as f64;
        let whole = |gradient: f64, update: f64| micro_batches * gradient + update;
        let ratio = if device == Device::Cpu {
            whole(private_cpu, private_update) / whole(plain_cpu, plain_update)
        } else {
            whole(private_wall, private_update) / whole(plain_wall, plain_update)
        };
        println!(
            "  at batch 1024: private / not private {ratio:.3}; peak memory {} MB",
            peak()
        );
        let ahead = updates.time(&mut model, NOISY, true);
        println!(
            "  with the noise drawn ahead, as beside a GPU: sum, Adam  private {ahead:.2} s; peak memory {} MB",
            peak()
        );
    }
    if options.peer {
        time_peer(shape, options);
    }
}

const NOISY: NoiseSpec = NoiseSpec::Gaussian {
    noise_multiplier: 1.0,
    sensitivity: 1.0,
    rounding_allowance: 0.0,
};

/// The end of a step: the sum over micro-batches, noise, Adam.
struct Updates<'a> {
    batch: &'a Batch,
    repetitions: usize,
    optimizer: DpOptimizer,
    key: Key,
}

impl<'a> Updates<'a> {
    fn new(model: &Decoder, batch: &'a Batch, repetitions: usize) -> Self {
        let settings = DpOptimizerSettings {
            adam: AdamSettings::default(),
            learning_rate: LearningRate {
                peak: 1e-5,
                schedule: Schedule::Constant,
                warmup_steps: 0,
                steps: 100,
            },
            averaging: Averaging::None,
            denoising: Denoising::None,
        };
        Self {
            batch,
            repetitions,
            optimizer: DpOptimizer::new(model.parameters(), settings),
            key: Key::seeded(1, "bench"),
        }
    }

    /// Median seconds: of the processor, or on another device of the wall clock. Noise that is drawn ahead is drawn beside
    /// the gradient, whose time is not part of it.
    fn time(&mut self, model: &mut Decoder, protection: NoiseSpec, ahead: bool) -> f64 {
        let times: Vec<Time> = (0..self.repetitions)
            .map(|_| {
                if ahead {
                    self.optimizer.draw_noise_ahead(&protection, &self.key);
                }
                let tape = model.forward_backward(self.batch).expect("ids in range");
                let sum = clipped_sum(model.parameters(), tape, Clipping::Flat, 1.0)
                    .expect("all recorded");
                timed(model.parameters().device(), || {
                    self.optimizer.accumulate(&sum.gradients);
                    let parameters = model.parameters_mut();
                    self.optimizer
                        .apply(parameters, &protection, &self.key, 1024.0);
                })
            })
            .collect();
        let on_device = model.parameters().device() != Device::Cpu;
        median(&times, usize::from(!on_device))
    }
}

fn rayon_threads() -> usize {
    std::env::var("RAYON_NUM_THREADS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

fn time_peer(shape: Shape, options: Options) {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let sizes = [
        shape.batch,
        shape.tokens,
        shape.vocabulary,
        shape.width,
        shape.layers,
        shape.heads,
        options.repetitions,
        rayon_threads(),
    ];
    let status = std::process::Command::new(python)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/benches/dp_step_peer.py"
        ))
        .args(sizes.map(|size| size.to_string()))
        .arg(options.device.class())
        .status();
    if !status.is_ok_and(|status| status.success()) {
        println!("  PyTorch: not measured, as python has no torch and transformers");
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let after = |flag: &str| {
        args.iter()
            .position(|arg| arg == flag)
            .and_then(|at| args.get(at + 1))
    };
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let repetitions = after("--reps").and_then(|n| n.parse().ok()).unwrap_or(3);
    let device: Device = match after("--device").map_or(Ok(Device::Cpu), |name| name.parse()) {
        Ok(device) => device,
        Err(message) => {
            println!("{message}");
            return;
        }
    };
    let options = Options {
        repetitions,
        device,
        arithmetic: if has("--bf16") {
            Arithmetic::Bf16
        } else {
            Arithmetic::F32
        },
        update: has("--update"),
        peer: has("--peer"),
    };
    for (index, shape) in SHAPES.into_iter().enumerate() {
        let usual = (index < FOR_PROCESSOR) == (device == Device::Cpu);
        if after("--shape").map_or(usual, |name| name == shape.name) {
            run(shape, options);
            dpx_nn::release_memory();
        }
    }
    let named = |shape: &Shape| after("--shape").is_some_and(|name| name == shape.name);
    if let Some(shape) = LONG.into_iter().find(named) {
        run(shape, options);
    }
}
