//! Memory and time of one private LoRA step of a random Llama: how its frozen weights are held, with and without activation
//! checkpointing, beside the estimate of `dpx plan`.
//!
//! `cargo bench -p dpx-sgd --bench lora_memory -- --make FOLDER [--shape 1b|135m]` writes a model of random bfloat16 weights; then, a
//! process each, as the peak is that of the process:
//! `... -- FOLDER [--base f32|bf16|int8] [--checkpointing] [--rows N] [--length N] [--micro-batch-tokens N] [--steps N]`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use dpx_accounting::{Adjacency, Mechanism};
use dpx_nn::model::config::{Architecture, DecoderConfig};
use dpx_nn::model::{ModelConfig, TrainingStep, load_frozen};
use dpx_nn::{Network, Selection};
use dpx_schema::Device;
use dpx_schema::params::{BasePrecision, Trainable};
use dpx_sgd::clip::Clipping;
use dpx_sgd::dp_optimizer::DpOptimizerSettings;
use dpx_sgd::key::Key;
use dpx_sgd::optimizer::{AdamSettings, Averaging, Denoising, LearningRate, Schedule};
use dpx_sgd::trainer::{KeySource, MicroBatches, Trainer, TrainerSettings};
use dpx_sgd::whole_texts::WholeTexts;
use serde_json::{Map, Value, json};
use std::error::Error;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

const RANK: usize = 8;

/// TinyLlama 1.1B, or SmolLM2 135M.
fn config(shape: &str) -> Value {
    let [vocabulary, hidden, inner, layers, heads, shared] = match shape {
        "135m" => [49_152, 576, 1536, 30, 9, 3],
        _ => [32_000, 2048, 5632, 22, 32, 4],
    };
    json!({
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": vocabulary, "hidden_size": hidden,
        "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": shared, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "hidden_act": "silu",
        "tie_word_embeddings": shape == "135m", "eos_token_id": 2,
    })
}

/// Names and shapes of all tensors.
fn tensors(config: &Value) -> Vec<(String, Vec<u64>)> {
    let size = |key: &str| config[key].as_u64().expect("written above");
    let (hidden, inner) = (size("hidden_size"), size("intermediate_size"));
    let shared = hidden / size("num_attention_heads") * size("num_key_value_heads");
    let mut all = vec![(
        "model.embed_tokens.weight".to_owned(),
        vec![size("vocab_size"), hidden],
    )];
    for layer in 0..size("num_hidden_layers") {
        let mut add = |name: &str, shape: Vec<u64>| {
            all.push((format!("model.layers.{layer}.{name}.weight"), shape));
        };
        add("input_layernorm", vec![hidden]);
        add("post_attention_layernorm", vec![hidden]);
        add("self_attn.q_proj", vec![hidden, hidden]);
        add("self_attn.k_proj", vec![shared, hidden]);
        add("self_attn.v_proj", vec![shared, hidden]);
        add("self_attn.o_proj", vec![hidden, hidden]);
        add("mlp.gate_proj", vec![inner, hidden]);
        add("mlp.up_proj", vec![inner, hidden]);
        add("mlp.down_proj", vec![hidden, inner]);
    }
    all.push(("model.norm.weight".to_owned(), vec![hidden]));
    if config["tie_word_embeddings"] == false {
        all.push((
            "lm_head.weight".to_owned(),
            vec![size("vocab_size"), hidden],
        ));
    }
    all
}

fn make(folder: &Path, shape: &str) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    let config = config(shape);
    std::fs::write(folder.join("config.json"), config.to_string())?;
    let tensors = tensors(&config);
    let (mut header, mut end) = (Map::new(), 0);
    for (name, shape) in &tensors {
        let start = end;
        end += 2 * shape.iter().product::<u64>();
        let entry = json!({"dtype": "BF16", "shape": shape, "data_offsets": [start, end]});
        header.insert(name.clone(), entry);
    }
    let header = Value::Object(header).to_string();
    let mut file = BufWriter::new(std::fs::File::create(folder.join("model.safetensors"))?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    let mut state = 7_u64;
    for (_, shape) in &tensors {
        for _ in 0..shape.iter().product::<u64>() {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let uniform = (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5;
            let value = if shape.len() == 1 {
                1.0
            } else {
                0.07 * uniform
            };
            file.write_all(&((value.to_bits() >> 16) as u16).to_le_bytes())?;
        }
    }
    file.flush()?;
    println!("{} parameters", end / 2);
    Ok(())
}

/// Processor seconds of this process, to a hundredth.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or("").split_whitespace();
    let ticks = fields.skip(11).take(2);
    ticks
        .filter_map(|field| field.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

/// Peak resident memory in MB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kb| kb * 1024 / 1_000_000)
}

fn stack(folder: &Path) -> Result<DecoderConfig, Box<dyn Error>> {
    match ModelConfig::read(folder)?.architecture {
        Architecture::Decoder(config) => Ok(config),
        _ => Err("no language model".into()),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let after = |flag: &str| {
        let at = args.iter().position(|arg| arg == flag)?;
        args.get(at + 1).map(String::as_str)
    };
    let number =
        |flag: &str, default: usize| after(flag).and_then(|n| n.parse().ok()).unwrap_or(default);
    if let Some(folder) = after("--make") {
        return make(Path::new(folder), after("--shape").unwrap_or("1b"));
    }
    // `cargo bench` adds `--bench`, and without a folder there is nothing to measure.
    let Some(folder) = args.first().filter(|arg| !arg.starts_with("--")) else {
        println!("lora_memory: give a folder, or `--make FOLDER`");
        return Ok(());
    };
    let folder = Path::new(folder);
    let base = match after("--base") {
        Some("bf16") => BasePrecision::Bf16,
        Some("int8") => BasePrecision::Int8,
        _ => BasePrecision::F32,
    };
    let recomputes = args.iter().any(|arg| arg == "--checkpointing");
    let (rows, length) = (number("--rows", 16), number("--length", 64));
    let tokens = number("--micro-batch-tokens", rows * length);
    let began = Instant::now();
    let mut model = load_frozen(folder, Device::Cpu, base)?;
    let (loading, loaded) = (began.elapsed().as_secs_f64(), peak());
    model.add_lora(RANK, 16.0, 1);
    model.parameters_mut().select(Selection::Lora);
    model.set_activation_checkpointing(recomputes);
    if recomputes {
        // As a `train` stage does.
        dpx_nn::limit_waiting_memory(1 << 28);
    }
    let mut state = 3_u64;
    let vocabulary = model.config().vocabulary() as u64;
    let mut token = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((state >> 33) % vocabulary) as u32
    };
    let texts = WholeTexts {
        ids: (0..rows)
            .map(|_| (0..=length).map(|_| token()).collect())
            .collect(),
        max_seq_len: length + 1,
    };
    let steps = number("--steps", 1) as u64;
    let mechanism = Mechanism::new(1.0, 1.0, 1.0, steps, 1e-5, Adjacency::ZeroOut)?;
    let settings = TrainerSettings {
        optimizer: DpOptimizerSettings {
            adam: AdamSettings::default(),
            learning_rate: LearningRate {
                peak: 1e-4,
                schedule: Schedule::Constant,
                warmup_steps: 0,
                steps,
            },
            averaging: Averaging::None,
            denoising: Denoising::None,
        },
        clipping: Clipping::Flat,
        expected_batch_size: rows as f64,
        expected_rows: rows as f64,
        max_seq_len: length + 1,
    };
    let micro_batches = MicroBatches {
        max_rows: rows,
        // A text has one token more than are computed: the last has no target.
        max_tokens: tokens.div_ceil(length).max(1) * (length + 1),
    };
    let source = KeySource::Seeded(Key::seeded(1, "bench"));
    let mut trainer = Trainer::new(
        model.parameters(),
        mechanism,
        settings,
        micro_batches,
        source,
    )?;
    let (began, before) = (Instant::now(), processor());
    let mut norm = 0.0;
    for _ in 0..steps {
        norm = trainer.step(&mut model, &texts)?.gradient_norm;
    }
    let taken = began.elapsed().as_secs_f64() / steps as f64;
    let worked = (processor() - before) / steps as f64;
    let estimate = TrainingStep {
        trained: Trainable::Lora,
        lora_rank: RANK as u64,
        base_precision: base,
        recomputes,
        compares: false,
        tokens: (tokens as u64).max(length as u64),
        longest: length as u64,
        on_processor: true,
    };
    let estimate = estimate.memory(&stack(folder)?).total() / 1_000_000;
    println!(
        "{} checkpointing {recomputes}: {rows} x {length} tokens, {tokens} a micro-batch: peak {} MB, estimated {estimate} MB; \
         loaded in {loading:.1} s at {loaded} MB; a step {taken:.1} s, {worked:.1} s \
         of CPU; mean norm {norm:e}",
        base.name(),
        peak(),
    );
    Ok(())
}
