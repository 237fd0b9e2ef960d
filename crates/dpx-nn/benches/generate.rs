//! Tokens per second of generation: GPT-2 124M shape, batch 32, prompts of 16 tokens, 48 new tokens, top-p 0.95.
//!
//! `cargo bench -p dpx-nn --bench generate -- [--small] [--batch N] [--device NAME]`. The texts are noise (random weights); the work is that of a
//! real model.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use dpx_nn::model::Decoder;
use dpx_nn::model::config::{DecoderConfig, Sizes};
use dpx_nn::model::generate::{Request, Sampling, generate};
use dpx_nn::seed::Stream;
use dpx_schema::Device;
use std::time::Instant;

/// Processor seconds of this process, to a hundredth.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .collect();
    let ticks = |place: usize| fields.get(place).and_then(|x| x.parse::<f64>().ok());
    (ticks(11).unwrap_or(f64::NAN) + ticks(12).unwrap_or(f64::NAN)) / 100.0
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let small = arguments.iter().any(|argument| argument == "--small");
    let after = |flag: &str| {
        let place = arguments.iter().position(|argument| argument == flag)?;
        arguments.get(place + 1)
    };
    let batch = after("--batch")
        .and_then(|number| number.parse().ok())
        .unwrap_or(32);
    let device: Device = match after("--device").map_or(Ok(Device::Cpu), |name| name.parse()) {
        Ok(device) => device,
        Err(message) => {
            println!("{message}");
            return;
        }
    };
    let (name, width, layers, vocab_size) = if small {
        ("4 x 256, vocabulary 4,096", 256, 4, 4096)
    } else {
        ("GPT-2 124M", 768, 12, 50_257)
    };
    let config = DecoderConfig::gpt2(Sizes {
        vocabulary: vocab_size,
        max_positions: 128,
        hidden: width,
        intermediate: 4 * width,
        layers,
        heads: width / 64,
        kv_heads: width / 64,
        head_dim: 64,
        norm_epsilon: 1e-5,
    });
    let model = Decoder::new_gpt2(config, 1, device);
    let sampling = Sampling {
        top_p: 0.95,
        max_new_tokens: 48,
        ..Sampling::default()
    };
    let requests = || {
        (0..batch as u64)
            .map(|index| {
                let mut stream = Stream::new(7, "prompt", &[index]);
                Request {
                    prompt: (0..16)
                        .map(|_| stream.below(vocab_size as u64) as u32)
                        .collect(),
                    negative: None,
                    steering: None,
                    stream,
                }
            })
            .collect()
    };
    println!("{name} on {device}, batch {batch}, 16 + 48 tokens, top-p 0.95");
    for round in 0..3 {
        let (start, before) = (Instant::now(), processor());
        let texts = match generate(&model, requests(), &sampling, batch, |_| {}) {
            Ok(texts) => texts,
            Err(error) => {
                println!("failed: {error}");
                return;
            }
        };
        let (wall, cpu) = (start.elapsed().as_secs_f64(), processor() - before);
        let tokens: usize = texts.iter().map(|text| text.tokens.len()).sum();
        println!(
            "round {round}: {tokens} new tokens, {wall:.2} s wall, {cpu:.2} s processor: {:.0} tokens/s, {:.0} tokens per processor second",
            tokens as f64 / wall,
            tokens as f64 / cpu
        );
    }
}
