//! What a device computes, and how fast: made-up texts on `builtin:base`, for `dpx devices --test`. No data set is read.

use crate::model_source::ModelSource;
use dpx_nn::Network;
use dpx_nn::model::generate::greedy;
use dpx_nn::model::{CausalLm, CausalModel, load_causal};
use dpx_nn::seed::Stream;
use dpx_schema::{Device, StageError};
use dpx_sgd::clip::Clipping;
use dpx_sgd::device_check::{check_device, check_mates, clipped_norms};
use dpx_sgd::replicas::Replicas;
use dpx_sgd::trainer::{Examples, Idle, MicroBatches};
use dpx_sgd::whole_texts::WholeTexts;
use serde::Serialize;
use std::time::Instant;

/// Most tokens of a made-up text.
const LENGTH: usize = 32;
/// Texts of the timed gradient, and of the timed sampling.
const TEXTS: usize = 64;
/// Texts that are compared with the processor's.
const COMPARED: usize = 8;
/// Tokens written after a prompt.
const WRITTEN: usize = 32;
/// How often what is timed runs: the quickest counts, as the first compiles kernels.
const RUNS: usize = 3;
/// The most by which a clipped gradient may differ, as a share of its size: what a private run in f32 allows.
const MOST: f64 = 0.05;

/// What a device computed, beside the processor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DeviceTest {
    /// The greatest difference between losses, in nats per token.
    pub loss_difference: f64,
    /// The greatest difference between clipped gradients, as a share of their size.
    pub gradient_difference: f64,
    /// Share of the texts that come out the same where the likeliest token is taken.
    pub same_texts: f64,
    /// Tokens per second of a clipped gradient, forward and backward.
    pub training: f64,
    /// Tokens per second of sampling, prompts not counted.
    pub sampling: f64,
}

/// Texts of random tokens, some shorter than others.
fn made_up(texts: usize, vocabulary: usize) -> WholeTexts {
    let mut stream = Stream::new(0, "device test", &[]);
    let text = |number: usize| {
        let length = LENGTH - number % 3 * (LENGTH / 4);
        (0..length)
            .map(|_| stream.below(vocabulary as u64) as u32)
            .collect()
    };
    WholeTexts {
        ids: (0..texts).map(text).collect(),
        max_seq_len: LENGTH,
    }
}

/// Compares a device with the processor and times it.
///
/// # Errors
/// The device fails, lets one example reach another, exceeds the bound of a clipped gradient, or computes something else: why a
/// private run would refuse it.
pub fn test_device(device: Device) -> Result<DeviceTest, StageError> {
    let source = ModelSource::find("builtin:base")?;
    let load = |device| -> Result<CausalLm, StageError> { Ok(load_causal(source.path(), device)?) };
    let (there, here) = (load(device)?, load(Device::Cpu)?);
    let clipping = Clipping::Flat;
    let few = made_up(COMPARED, here.vocabulary());
    let rows: Vec<usize> = (0..COMPARED).collect();
    let batch = few.batch(&rows, Idle::NONE);
    let losses = there
        .forward_loss(&batch)?
        .into_iter()
        .zip(here.forward_loss(&batch)?);
    let loss_difference = losses.fold(0.0, |most: f64, (one, other)| most.max((one - other).abs()));
    let sizes = MicroBatches {
        max_rows: COMPARED / 2,
        max_tokens: COMPARED * LENGTH,
    };
    check_mates(
        &there,
        &Replicas::none(),
        clipping,
        &few,
        sizes,
        COMPARED as f64,
    )?;
    let gradient_difference = check_device(&there, &here, clipping, &few, MOST)?;
    let prompts: Vec<Vec<u32>> = few.ids.iter().map(|ids| ids[..4].to_vec()).collect();
    let write = |model: &CausalLm| greedy(model, &prompts, WRITTEN, COMPARED);
    let texts = write(&there)?.into_iter().zip(write(&here)?);
    let same = texts.filter(|(one, other)| one == other).count();
    let many = made_up(TEXTS, here.vocabulary());
    let tokens: usize = (0..TEXTS).flat_map(|row| many.inputs(row)).sum();
    let training = quickest(|| clipped_norms(&there, clipping, &many, 1.0).map(drop))?;
    let prompts: Vec<Vec<u32>> = many.ids.iter().map(|ids| ids[..4].to_vec()).collect();
    let sampling = quickest(|| greedy(&there, &prompts, WRITTEN, TEXTS).map(drop))?;
    Ok(DeviceTest {
        loss_difference,
        gradient_difference,
        same_texts: same as f64 / COMPARED as f64,
        training: tokens as f64 / training,
        sampling: (TEXTS * WRITTEN) as f64 / sampling,
    })
}

/// Seconds of the quickest run.
fn quickest<E: Into<StageError>>(work: impl Fn() -> Result<(), E>) -> Result<f64, StageError> {
    let mut least = f64::INFINITY;
    for _ in 0..RUNS {
        let begun = Instant::now();
        work().map_err(Into::into)?;
        least = least.min(begun.elapsed().as_secs_f64());
    }
    Ok(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_equals_itself() {
        let found = test_device(Device::Cpu).unwrap();
        assert_eq!(found.loss_difference, 0.0);
        // A sum over examples is rounded otherwise than the sum of each alone.
        assert!(found.gradient_difference < 1e-5, "{found:?}");
        assert_eq!(found.same_texts, 1.0);
        assert!(found.training > 0.0 && found.sampling > 0.0);
    }
}
