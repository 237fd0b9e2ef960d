//! `train`: fine-tunes a language model on the private texts with DP-SGD.
//!
//! Epsilon = infinity goes through the same loop without clipping and noise; epsilon = 0 leaves the model as it is. Only
//! `model/`, `privacy.json` and `statement.txt` are covered by the guarantee; what lies in `internal/` is not.

mod artifact;
mod binding;
mod device_check;
mod examples;
mod keywords;
mod start;
#[cfg(test)]
mod tests;

use super::keyed_run;
use super::losses::{Given, MAX_SEQ_LEN, text_losses};
use super::members::{members, shares};
use super::pretrain::StepLog;
use super::private::{Machine, PrivatePlan, PrivateStage, Spending, Spent};
use binding::{Code, binding};
use dpx_accounting::Mechanism;
use dpx_data::Rows;
use dpx_nn::Network;
use dpx_nn::model::CausalLm;
use dpx_schema::params::{ChatFormat, NoiseMode, TrainParams, TrainPerformance};
use dpx_schema::progress::{ProgressUpdate, StageMetrics};
use dpx_schema::{
    Finish, PublicSchema, StageContext, StageError, StageResult, device_failure, device_list,
};
use dpx_sgd::checkpoint::{self, Checkpoint, Found};
use dpx_sgd::dp_optimizer::DpOptimizerSettings;
use dpx_sgd::key::{Key, KeyFile, Opened, forbid_core_dumps};
use dpx_sgd::optimizer::{AdamSettings, LearningRate};
use dpx_sgd::trainer::{KeySource, MicroBatches, Trainer, TrainerError, TrainerSettings};
pub(super) use examples::Canary;
use examples::{Encoded, Encoder, Mismatch, Sampled, Writing};
use keywords::Keywords;
use serde_json::json;
use start::Start;
use std::path::PathBuf;

/// The canaries and their coins, in the internal part of the artifact.
pub(super) const CANARIES_FILE: &str = "canaries.json";

/// Trains and writes the artifact.
///
/// # Errors
/// When an input does not fit, the budget cannot be met, or the stage is asked to stop. No message quotes a text.
pub(super) fn run(context: &StageContext<'_>) -> StageResult {
    let params: TrainParams = context.params()?;
    let performance: TrainPerformance = context.performance()?;
    forbid_core_dumps();
    std::fs::create_dir_all(&context.state)?;
    let stage = PrivateStage::open(context, params.noise)?;
    let (input, schema) = (stage.input, &stage.schema);
    let mut start = Start::load(context, &params, schema)?;
    if stage.plan.spending == Spending::Untouched {
        context.progress.log("epsilon 0: the model stays as it is");
        artifact::write(context, schema, &start, &stage.untouched())?;
        return Ok(Finish::nothing());
    }
    keyed_run::destroy_orphans(context)?;
    start.check_denoising(&params)?;
    start.spare_memory(context, &params, &performance);
    let mechanism = mechanism(&params, &stage.plan)?;
    let rows = Rows::read(input.path.join("train.jsonl"))?;
    let prompt = schema.parsed_prompt()?;
    let max_seq_len = (params.max_length as usize).min(start.max_seq_len());
    let keywords = Keywords::new(&params.keywords, context.seed)?;
    let tokenizer = start.tokenizer.clone();
    let chat_template = start.chat_template.clone();
    if !schema.conversations
        && (params.loss_on.role().is_some() || params.chat_template == ChatFormat::Model)
    {
        return Err(StageError::new(
            "`loss_on` names a role, or `chat_template` a model's, but the data are no conversations: set `messages` in the \
             `preprocess` stage, or remove the key",
        ));
    }
    let encoder = Encoder {
        prompt: &prompt,
        tokenizer: &tokenizer,
        keywords: keywords.as_ref(),
        max_seq_len,
        max_length: params.max_length,
        context: start.max_seq_len(),
        loss_on: params.loss_on,
        mismatch: (params.prompt_mismatch > 0.0).then_some(Mismatch {
            weight: params.prompt_mismatch as f32,
            labels: &schema.labels,
            seed: context.seed,
        }),
        sampled: Sampled::of(stage.plan.bounds),
        conversations: schema.conversations.then(|| Writing {
            template: chat_template.as_ref(),
            end: match &chat_template {
                Some(template) => tokenizer.id(&template.end),
                None => tokenizer.end(),
            },
        }),
    };
    let sampled = stage.plan.sampling.map_or(0, |sampling| sampling.examples);
    let expected_rows = mechanism.sampling_rate() * sampled as f64;
    encoder.check(&schema.labels)?;
    let replicas = start.replicas(context, &params, schema)?;
    if mechanism.noise_multiplier() > 0.0 {
        let sizes = (micro_batches(&performance, max_seq_len), expected_rows);
        let there = (&start.network, &replicas);
        device_check::run(context, &params, schema, (there, &encoder), sizes)?;
    }
    let mut encoded = encoder.encode(&rows)?;
    encoded.truncation.save(context)?;
    if let (Some(people), Sampled::People(_)) = (schema.people, encoder.sampled) {
        encoded = encoder.people(members(&rows, people)?, encoded);
    } else {
        // Records that are sampled one by one are accounted as so many of each person, too.
        shares(&rows, schema)?;
    }
    let run = Run {
        context,
        params: &params,
        performance: &performance,
        mechanism,
        max_seq_len,
        expected_batch_size: stage
            .plan
            .sampling
            .map_or(params.batch_size as f64, |sampling| {
                sampling.expected_batch_size
            }),
        expected_rows,
        records_at_once: encoder.sampled.records_at_once(),
        binding: binding(
            context,
            &params,
            &mechanism,
            &start.network,
            &encoded,
            Code::CURRENT,
        ),
    };
    if !replicas.is_empty() {
        let devices: Vec<_> = [context.device]
            .iter()
            .chain(&context.others)
            .copied()
            .collect();
        let devices = device_list(&devices);
        context.progress.log(&format!(
            "the micro-batches of a step are divided over {devices}"
        ));
    }
    let mut session = run.open(&start.network)?;
    stage.enter(&session.run)?;
    let canaries = run.canaries(&session, schema, &start)?;
    let encoded = encoder.plant(&canaries.drawn, encoded)?;
    run.restore(&mut session, &mut start.network)?;
    session.trainer.divide_over(replicas);
    let spent = stage.plan.spent(&session.trainer.step_event())?;
    let log = run.train(
        &mut session,
        &mut start.network,
        &encoded,
        &canaries,
        &spent,
    )?;
    let executed = session.trainer.executed();
    let machine = Machine {
        max_grad_norm: mechanism.max_grad_norm(),
        rounding_allowance: session.trainer.protection().rounding_allowance(),
        max_length: Some(max_seq_len as u64),
        clipping: Some(params.clipping),
        base_precision: start.network.base_precision(),
    };
    let record = stage.record(&session.run, Some(executed), machine);
    let key = session.trainer.finish(start.network.parameters_mut());
    std::fs::write(context.internal_path("steps.jsonl")?, log.text())?;
    if !canaries.drawn.is_empty() {
        std::fs::write(context.internal_path(CANARIES_FILE)?, &canaries.text)?;
    }
    artifact::write(context, schema, &start, &record)?;
    Ok(keyed_run::destroy_later(key))
}

/// The one description of what the run does; a noise multiplier of 0 stands for no protection.
fn mechanism(params: &TrainParams, plan: &PrivatePlan) -> Result<Mechanism, StageError> {
    let sampling = plan
        .sampling
        .ok_or_else(|| StageError::new("training was planned without a sampling rate"))?;
    let mechanism = Mechanism::new(
        sampling.sampling_rate,
        plan.noise_multiplier(),
        params.max_grad_norm,
        sampling.steps,
        plan.delta,
        plan.adjacency,
    )?;
    let records = match Sampled::of(plan.bounds) {
        Sampled::RecordsOfPeople(most) => u32::try_from(most)
            .map_err(|_| StageError::new("`max_per_unit` is too large to be accounted for"))?,
        Sampled::Records | Sampled::People(_) => 1,
    };
    Ok(mechanism.of_records(records)?)
}

struct Run<'a> {
    context: &'a StageContext<'a>,
    params: &'a TrainParams,
    performance: &'a TrainPerformance,
    mechanism: Mechanism,
    max_seq_len: usize,
    expected_batch_size: f64,
    /// Rows, or people, of a batch on average, canaries included.
    expected_rows: f64,
    /// Most records that are bounded as one.
    records_at_once: usize,
    binding: [u8; 32],
}

/// What the stage keeps in a checkpoint beside the trainer's state, by place.
const LOG_NOTE: usize = 0;
const CANARIES_NOTE: usize = 1;

/// A run that has been opened: its trainer, its identity, and the checkpoint that it goes on from.
struct Session {
    trainer: Trainer,
    /// The key of step 0, while it exists: canaries are drawn from it.
    first_key: Key,
    run: String,
    checkpoint: Option<Checkpoint>,
}

/// The canaries with the text that holds them: a run that goes on writes the bytes that it found.
struct Canaries {
    drawn: Vec<Canary>,
    text: String,
}

impl Run<'_> {
    fn checkpoint(&self) -> PathBuf {
        self.context.state.join("state.bin")
    }

    /// The checkpoint of an earlier attempt, verified whole. One that is damaged is told, and of no use.
    fn found(&self) -> Result<Option<Checkpoint>, StageError> {
        let found = checkpoint::read(&self.checkpoint(), &self.binding)?;
        if let Found::Damaged(reason) = found {
            self.context.progress.log(&format!(
                "the checkpoint of an earlier attempt is damaged ({reason}): training restarts from step 0"
            ));
        }
        let steps = self.mechanism.steps();
        Ok(found.whole().filter(|found| found.step() <= steps))
    }

    /// Opens the key and finds out whether a checkpoint can be gone on from. Where it cannot, the old key is destroyed, the
    /// run starts anew under another identity, and what the abandoned one spent stays in the ledger.
    fn open(&self, network: &CausalLm) -> Result<Session, StageError> {
        let mut found = self.found()?;
        let secure =
            self.params.noise == NoiseMode::Secure && self.mechanism.noise_multiplier() > 0.0;
        if !secure {
            let key = Key::seeded(self.context.seed, &self.context.instance);
            return self.session(
                network,
                KeySource::Seeded(key),
                keyed_run::run_identity(self.context)?,
                found,
            );
        }
        let open = || KeyFile::open(&self.context.secrets, &self.context.key, self.binding);
        let (mut file, mut opened) = open()?;
        if let Opened::Resumed { step } = opened
            && found.as_ref().map_or(0, Checkpoint::step) < step
        {
            file.destroy()?;
            (file, opened) = open()?;
            self.context.progress.log(
                "no checkpoint reaches the step whose key is kept: restarts with a new key; what the abandoned run spent \
                 stays in the ledger",
            );
        } else if let Opened::Replaced { .. } = opened {
            self.context.progress.log(keyed_run::REPLACED);
        }
        if !matches!(opened, Opened::Resumed { .. }) {
            self.forget()?;
            found = None;
        }
        let run = keyed_run::hexadecimal(file.run());
        self.session(network, KeySource::Secure(file), run, found)
    }

    /// Most tokens that the gradient of one unit sums over: those of a person's records in a step, with the prompt-mismatch loss of
    /// two sequences each.
    fn tokens_per_example(&self) -> usize {
        let sequences = if self.params.prompt_mismatch > 0.0 {
            2
        } else {
            1
        };
        sequences * self.max_seq_len * self.records_at_once
    }

    fn session(
        &self,
        network: &CausalLm,
        source: KeySource,
        run: String,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Session, StageError> {
        let params = self.params;
        let settings = TrainerSettings {
            optimizer: DpOptimizerSettings {
                adam: AdamSettings {
                    beta1: params.beta1,
                    beta2: params.beta2,
                    weight_decay: params.weight_decay,
                    ..AdamSettings::default()
                },
                learning_rate: LearningRate::new(
                    params.learning_rate,
                    params.schedule,
                    params.warmup,
                    self.mechanism.steps(),
                ),
                averaging: params.averaging,
                denoising: params.denoising,
            },
            clipping: params.clipping.into(),
            expected_batch_size: self.expected_batch_size,
            expected_rows: self.expected_rows,
            max_seq_len: self.tokens_per_example(),
        };
        let micro_batches = micro_batches(self.performance, self.max_seq_len);
        let first_key = source.oldest().clone();
        let trainer = Trainer::new(
            network.parameters(),
            self.mechanism,
            settings,
            micro_batches,
            source,
        )?;
        Ok(Session {
            trainer,
            first_key,
            run,
            checkpoint,
        })
    }

    /// Removes what an abandoned attempt left in the state folder.
    fn forget(&self) -> Result<(), StageError> {
        for name in ["state.bin", "steps.jsonl"] {
            match std::fs::remove_file(self.context.state.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error.into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The canaries of the run: drawn from the first key, kept in the checkpoints, as that key is soon forgotten.
    fn canaries(
        &self,
        session: &Session,
        schema: &PublicSchema,
        start: &Start,
    ) -> Result<Canaries, StageError> {
        if self.params.canaries == 0 {
            return Ok(Canaries {
                drawn: Vec::new(),
                text: String::new(),
            });
        }
        if let Some(checkpoint) = &session.checkpoint {
            let text = String::from_utf8(note(checkpoint, CANARIES_NOTE))?;
            return Ok(Canaries {
                drawn: serde_json::from_str(&text)?,
                text,
            });
        }
        let mut canaries = examples::draw(&session.first_key, self.params.canaries, &schema.labels);
        let texts: Vec<(&str, &str)> = canaries
            .iter()
            .map(|canary| (canary.label.as_str(), canary.text.as_str()))
            .collect();
        let prompt = schema.parsed_prompt()?;
        let losses = text_losses(
            &start.network,
            &start.tokenizer,
            Given {
                prompt: Some(&prompt),
                template: None,
            },
            start.max_seq_len().min(MAX_SEQ_LEN),
            self.performance.micro_batch_tokens as usize,
            &texts,
        )?;
        for (canary, loss) in canaries.iter_mut().zip(losses) {
            canary.base_loss = Some(loss.nats).filter(|nats| nats.is_finite());
        }
        let text = format!("{:#}\n", json!(canaries));
        Ok(Canaries {
            drawn: canaries,
            text,
        })
    }

    /// Goes on from the checkpoint, if there is one.
    fn restore(&self, session: &mut Session, network: &mut CausalLm) -> Result<(), StageError> {
        let checkpoint = session.checkpoint.as_ref();
        let trainer = &mut session.trainer;
        trainer.restore(network.parameters_mut(), checkpoint)?;
        if checkpoint.is_some() {
            let step = trainer.step_number();
            let line = format!("goes on after step {step}");
            self.context.progress.log(&line);
        }
        Ok(())
    }

    /// All steps that are left; the log of all steps.
    fn train(
        &self,
        session: &mut Session,
        network: &mut CausalLm,
        encoded: &Encoded,
        canaries: &Canaries,
        spent: &Spent,
    ) -> Result<StepLog, StageError> {
        let progress = self.context.progress;
        // The checkpoint has been copied from: its memory is needed no longer.
        let earlier = session.checkpoint.take();
        let earlier = earlier.map(|checkpoint| note(&checkpoint, LOG_NOTE));
        let mut log = StepLog::open(&self.context.state, earlier.unwrap_or_default())?;
        let trainer = &mut session.trainer;
        let steps = self.mechanism.steps();
        let mut tokens = 0;
        while trainer.step_number() < steps {
            let seen = trainer.step(network, encoded).map_err(failed)?;
            let done = trainer.step_number();
            log.line(&json!({
                "step": done,
                "batch_size": seen.batch_size,
                "loss": seen.loss,
                "gradient_norm": seen.gradient_norm,
                "clipped": seen.clipped,
                "removed": seen.removed,
            }))?;
            tokens += seen.tokens as u64;
            progress.update(&ProgressUpdate::steps(done, steps).with(StageMetrics {
                loss: Some(seen.loss),
                tokens: Some(tokens),
                ..spent.metrics(done)
            }));
            let stop = progress.stop_requested() && done < steps;
            if stop || (done.is_multiple_of(self.performance.checkpoint_every) && done < steps) {
                let notes = [log.text(), canaries.text.as_bytes()];
                let path = self.checkpoint();
                trainer.checkpoint(network.parameters(), &path, &self.binding, &notes)?;
            }
            if stop {
                return Err(StageError::interrupted());
            }
        }
        Ok(log)
    }
}

/// Why a step failed, and what to do where one of several devices did. One device alone ends the worker's stage, which says so.
fn failed(error: TrainerError) -> StageError {
    match &error {
        TrainerError::OnDevice { error: inner, .. }
            if matches!(**inner, TrainerError::Panicked { .. }) =>
        {
            StageError::new(device_failure(&error.to_string()))
        }
        _ => error.into(),
    }
}

fn note(checkpoint: &Checkpoint, place: usize) -> Vec<u8> {
    checkpoint.note(place).unwrap_or_default().to_vec()
}

fn micro_batches(performance: &TrainPerformance, max_seq_len: usize) -> MicroBatches {
    MicroBatches {
        max_rows: performance.micro_batch_size as usize,
        max_tokens: performance.tokens_at(max_seq_len as u64) as usize,
    }
}
