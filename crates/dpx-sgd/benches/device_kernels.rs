//! Everything that dpx computes on a device, on made-up texts and whatever the numbers are, so that every kernel of it is compiled,
//! loaded and launched: forward, backward, clipped sums, private steps, generation, classifiers, encoders, in every precision.
//!
//! `cargo bench -p dpx-sgd --features dpx-nn/cuda --bench device_kernels -- DEVICE [PART...]`. Without parts all of them are run; a
//! part is `kernels`, `gpt2-124m`, `llama-1b` or a folder of tests/fixtures. `tools/check-cuda-kernels.sh` runs it on a driver that
//! computes nothing. That numbers are right is what the tests say (docs/devices.md).
#![expect(clippy::print_stdout, reason = "a program that says how far it is")]

use dpx_accounting::{Adjacency, Mechanism};
use dpx_nn::device::DeviceExt;
use dpx_nn::kernel::{self, Side};
use dpx_nn::model::config::{Architecture, DecoderConfig, Sizes};
use dpx_nn::model::generate::{Request, Sampling, generate, greedy};
use dpx_nn::model::{
    CausalModel, Decoder, ModelConfig, classifier_from, load_causal, load_classifier, load_encoder,
    load_frozen,
};
use dpx_nn::seed::Stream;
use dpx_nn::{Arithmetic, Array, Batch, Initializer, Network, PackedLayout, Selection, Sequence};
use dpx_schema::Device;
use dpx_schema::params::BasePrecision;
use dpx_sgd::clip::{Clipping, clipped_sum};
use dpx_sgd::dp_optimizer::DpOptimizerSettings;
use dpx_sgd::key::Key;
use dpx_sgd::optimizer::{AdamSettings, Averaging, Denoising, LearningRate, Schedule};
use dpx_sgd::trainer::{Examples, KeySource, MicroBatches, Trainer, TrainerSettings};
use dpx_sgd::whole_texts::WholeTexts;
use serde_json::{Map, Value, json};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

type Outcome = Result<(), Box<dyn Error>>;

/// Folders of tests/fixtures, by what is in them.
const CAUSAL: [&str; 12] = [
    "gpt2-tiny",
    "llama-tiny",
    "llama-tiny-untied",
    "llama3-rope-tiny",
    "mistral-tiny",
    "qwen2-tiny",
    "qwen3-tiny",
    "smollm3-tiny",
    "phi3-tiny",
    "olmo2-tiny",
    "gpt-neox-tiny",
    "gemma3-tiny",
];
const CLASSIFIERS: [&str; 6] = [
    "bert-tiny-classifier",
    "bert-tiny-ner",
    "roberta-tiny-classifier",
    "distilbert-tiny-classifier",
    "electra-tiny-classifier",
    "modernbert-tiny-classifier",
];
const ENCODERS: [&str; 3] = [
    "bert-tiny-encoder",
    "xlm-roberta-tiny-encoder",
    "modernbert-tiny-encoder",
];
/// Lengths of the made-up texts of fixtures; a text of one token has nothing to predict.
const LENGTHS: [usize; 5] = [12, 5, 1, 20, 12];
const CLIPPINGS: [Clipping; 4] = [
    Clipping::None,
    Clipping::Flat,
    Clipping::Automatic,
    Clipping::PerLayer,
];

/// Made-up texts of these lengths.
fn made_up(lengths: &[usize], vocabulary: usize) -> WholeTexts {
    let mut stream = Stream::new(0, "kernels", &[]);
    let text = |&length: &usize| {
        let token = |_| stream.below(vocabulary as u64) as u32;
        (0..length).map(token).collect()
    };
    WholeTexts {
        ids: lengths.iter().map(text).collect(),
        max_seq_len: lengths.iter().copied().max().unwrap_or(0),
    }
}

fn slices(texts: &WholeTexts) -> Vec<&[u32]> {
    texts.ids.iter().map(Vec::as_slice).collect()
}

fn sequences(texts: &WholeTexts) -> Vec<Sequence<'_>> {
    texts.ids.iter().map(|ids| Sequence::whole(ids)).collect()
}

fn fixture(name: &str) -> PathBuf {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures");
    Path::new(fixtures).join(name)
}

fn arithmetics(device: Device) -> Result<Vec<Arithmetic>, Box<dyn Error>> {
    let all = [Arithmetic::F32, Arithmetic::Bf16];
    let count = 1 + usize::from(device.multiplies_bf16()?);
    Ok(all[..count].to_vec())
}

/// Forward, backward and the sum of clipped gradients, read back, with every kind of clipping.
fn gradients(network: &dyn Network, batch: &Batch) -> Outcome {
    network.forward_loss(batch)?;
    for clipping in CLIPPINGS {
        let tape = network.forward_backward(batch)?;
        let sum = clipped_sum(network.parameters(), tape, clipping, 1e-3)?;
        Array::all_on_host(&sum.gradients);
    }
    Ok(())
}

/// Two private steps.
fn steps(network: &mut dyn Network, texts: &WholeTexts) -> Outcome {
    let (rows, longest) = (texts.rows(), texts.max_seq_len());
    let settings = TrainerSettings {
        optimizer: DpOptimizerSettings {
            adam: AdamSettings::default(),
            learning_rate: LearningRate {
                peak: 1e-4,
                schedule: Schedule::Constant,
                warmup_steps: 0,
                steps: 2,
            },
            averaging: Averaging::None,
            denoising: Denoising::None,
        },
        clipping: Clipping::Flat,
        expected_batch_size: rows as f64,
        expected_rows: rows as f64,
        max_seq_len: longest,
    };
    let micro_batches = MicroBatches {
        max_rows: rows.div_ceil(2),
        max_tokens: rows.div_ceil(2) * longest,
    };
    let mechanism = Mechanism::new(1.0, 1.0, 1e-3, 2, 1e-5, Adjacency::ZeroOut)?;
    let source = KeySource::Seeded(Key::seeded(1, "kernels"));
    let parameters = network.parameters();
    let mut trainer = Trainer::new(parameters, mechanism, settings, micro_batches, source)?;
    for _ in 0..2 {
        trainer.step(network, texts)?;
    }
    Ok(())
}

/// Texts after prompts of unequal lengths, some of which end before the others.
fn writes<M: CausalModel>(model: &M, texts: &WholeTexts, most: usize) -> Outcome {
    let half = |ids: &Vec<u32>| ids[..ids.len().div_ceil(2)].to_vec();
    let prompts: Vec<Vec<u32>> = texts.ids.iter().map(half).collect();
    greedy(model, &prompts, most, 1)?;
    greedy(model, &prompts, most, prompts.len())?;
    let vocabulary = model.vocabulary() as u32;
    let sampling = Sampling {
        top_p: 0.95,
        guidance: 1.5,
        max_new_tokens: most,
        // A quarter of all tokens ends a text: rows leave the batch one after the other.
        end_tokens: (0..vocabulary).step_by(4).collect(),
        ..Sampling::default()
    };
    let request = |(number, prompt): (usize, Vec<u32>)| Request {
        negative: Some(vec![prompt[0]]),
        prompt,
        steering: None,
        stream: Stream::new(7, "kernels", &[number as u64]),
    };
    let requests = prompts.into_iter().enumerate().map(request).collect();
    generate(model, requests, &sampling, 4, |_| {})?;
    Ok(())
}

/// A language model, in one arithmetic.
fn language<M: CausalModel>(model: &mut M, texts: &WholeTexts, most: usize) -> Outcome {
    model.logits(&slices(texts))?.to_vec();
    gradients(model, &Batch::causal(&sequences(texts)))?;
    let all = sequences(texts);
    let pairs: Vec<_> = all.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect();
    gradients(model, &Batch::causal_pairs(&pairs, 0.5))?;
    steps(model, texts)?;
    writes(model, texts, most)
}

fn causal(name: &str, device: Device) -> Outcome {
    for arithmetic in arithmetics(device)? {
        let mut model = load_causal(fixture(name), device)?;
        model.parameters_mut().compute_in(arithmetic);
        let texts = made_up(&LENGTHS, model.vocabulary());
        language(&mut model, &texts, 4)?;
        for selection in [Selection::Bias, Selection::Head] {
            model.parameters_mut().select(selection);
            // Some families have no bias, and some no output layer of their own.
            if !model.parameters().trainable_ids().is_empty() {
                gradients(&model, &Batch::causal(&sequences(&texts)))?;
            }
        }
        for base in [BasePrecision::F32, BasePrecision::Bf16, BasePrecision::Int8] {
            let mut model = load_frozen(fixture(name), device, base)?;
            model.add_lora(4, 8.0, 1);
            let parameters = model.parameters_mut();
            parameters.select(Selection::Lora);
            parameters.compute_in(arithmetic);
            for recomputes in [false, true] {
                model.set_activation_checkpointing(recomputes);
                steps(&mut model, &texts)?;
            }
            writes(&model, &texts, 2)?;
            model.merge_lora().logits(&slices(&texts))?.to_vec();
        }
    }
    classifies_from(name, device)
}

/// A classifier on the body of another model.
fn classifies_from(name: &str, device: Device) -> Outcome {
    let labels = ["a", "b", "c"].map(String::from);
    let model = classifier_from(fixture(name), &labels, 7, device)?;
    let texts = made_up(&LENGTHS, model.config().vocabulary());
    let classes = [0, 2, 1, 1, 0];
    model.weighted_forward_backward(&slices(&texts), &classes, &[0.5; LENGTHS.len()])?;
    model.probabilities(&texts.ids, 40)?;
    gradients(&model, &Batch::classification(&slices(&texts), &classes))
}

fn classifies(name: &str, device: Device) -> Outcome {
    let model = load_classifier(fixture(name), device)?;
    let texts = made_up(&LENGTHS, model.config().vocabulary());
    model.logits(&slices(&texts))?.to_vec();
    if name.ends_with("-ner") {
        return Ok(());
    }
    let classes = [0, 1, 1, 0, 1];
    gradients(&model, &Batch::classification(&slices(&texts), &classes))
}

fn encodes(name: &str, device: Device) -> Outcome {
    let model = load_encoder(fixture(name), device)?;
    let texts = made_up(&LENGTHS, 90);
    model.hidden(&slices(&texts))?.0.to_vec();
    model.mean_pooled(&slices(&texts))?;
    model.embed(&texts.ids, 40)?;
    model.embed_each(&texts.ids, 40)?;
    classifies_from(name, device)
}

/// Kernels that are reached only where numbers are what they are when something was clipped, or not finite.
fn kernels(device: Device) {
    let mut random = Initializer::new(3);
    let mut made = |shape: &[usize]| random.normal(shape, 1.0).on(device);
    let (x, y, square) = (made(&[6, 32]), made(&[6, 48]), made(&[32, 32]));
    for factors in [
        vec![Some(0.5); 6],
        [Some(1.0), None, Some(0.25)].repeat(2),
        vec![None; 6],
    ] {
        kernel::scaled_rows(&x, &factors).to_vec();
        let mut sum = made(&[32]);
        kernel::weighted_sum(&mut sum, &x, &factors);
        sum.to_vec();
        let mut table = made(&[9, 32]);
        kernel::scatter_add(&mut table, &[0, 3, 3, 8, 1, 0], &x, &factors);
        table.to_vec();
    }
    kernel::precise_matmul(&x, Side::Transposed, &y, Side::Plain).to_vec();
    let mut sum = made(&[32, 48]);
    kernel::matmul_add(&mut sum, &x, Side::Transposed, &y, Side::Plain);
    sum.to_vec();
    kernel::matmul(&x, Side::Plain, &square, Side::Transposed).to_vec();
    let rows = PackedLayout::from_lengths([4, 0, 2]);
    kernel::SquaredNorms::fetch(vec![kernel::linear_squared_norms(&rows, &x, &y)]);
    kernel::product_sums(&rows, &x, &x).to_vec();
}

/// The sizes of a real model, one block of it: what a product is computed by depends on its size.
fn real_size(config: &DecoderConfig, device: Device, batches: &[[usize; 2]]) -> Outcome {
    for arithmetic in arithmetics(device)? {
        let value = |_: &str, _, shape: &[usize]| {
            let mut array = Array::full(shape, 0.01);
            array.move_to(device);
            Ok::<_, Box<dyn Error>>(array)
        };
        let mut model = Decoder::build(config.clone(), device, value)?;
        model.parameters_mut().compute_in(arithmetic);
        for &[rows, length] in batches {
            let texts = made_up(&vec![length; rows], config.sizes.vocabulary);
            gradients(&model, &Batch::causal(&sequences(&texts)))?;
            writes(&model, &texts, 4)?;
        }
        model.add_lora(8, 16.0, 1);
        model.parameters_mut().select(Selection::Lora);
        let texts = made_up(&[60; 8], config.sizes.vocabulary);
        steps(&mut model, &texts)?;
    }
    Ok(())
}

fn gpt2(device: Device) -> Outcome {
    let config = DecoderConfig::gpt2(Sizes {
        vocabulary: 50_257,
        max_positions: 1024,
        hidden: 768,
        intermediate: 3072,
        layers: 1,
        heads: 12,
        kv_heads: 12,
        head_dim: 64,
        norm_epsilon: 1e-5,
    });
    real_size(&config, device, &[[64, 64], [32, 16], [2, 512]])
}

fn llama(device: Device) -> Outcome {
    let config = json!({
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 32_000, "hidden_size": 2048,
        "intermediate_size": 5632, "num_hidden_layers": 1, "num_attention_heads": 32, "num_key_value_heads": 4,
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": true,
    });
    let config: Map<String, Value> = serde_json::from_value(config)?;
    let Architecture::Decoder(config) = ModelConfig::parse(config, Path::new("made"))?.architecture
    else {
        return Err("a Llama is a decoder".into());
    };
    real_size(&config, device, &[[16, 64]])
}

fn run(part: &str, device: Device) -> Outcome {
    match part {
        "kernels" => {
            kernels(device);
            Ok(())
        }
        "gpt2-124m" => gpt2(device),
        "llama-1b" => llama(device),
        name if CAUSAL.contains(&name) => causal(name, device),
        name if CLASSIFIERS.contains(&name) => classifies(name, device),
        name if ENCODERS.contains(&name) => encodes(name, device),
        name => Err(format!("no part is called `{name}`").into()),
    }
}

fn main() -> Outcome {
    // `cargo bench` adds `--bench`.
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    let Some(device) = arguments.next() else {
        println!("device_kernels: give a device");
        return Ok(());
    };
    let device: Device = device.parse()?;
    device.usable()?;
    let mut parts: Vec<String> = arguments.collect();
    if parts.is_empty() {
        let names = ["kernels"].iter().chain(&CAUSAL).chain(&CLASSIFIERS);
        let names = names.chain(&ENCODERS).chain(&["gpt2-124m", "llama-1b"]);
        parts = names.map(|&name| name.to_owned()).collect();
    }
    println!("{device}: arithmetic {:?}", arithmetics(device)?);
    for part in parts {
        let begun = Instant::now();
        run(&part, device).map_err(|error| format!("{part}: {error}"))?;
        device.synchronize()?;
        println!("{part}: {:.1} s", begun.elapsed().as_secs_f64());
    }
    Ok(())
}
