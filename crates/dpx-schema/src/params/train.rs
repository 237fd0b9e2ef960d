//! Parameters of `train`.

use super::{BudgetParams, Delta, Epsilon};
use crate::UnitSampling;
use crate::conversation::Role;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Fine-tunes a language model on private texts with DP-SGD.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainParams {
    /// The public model to start from: `builtin:base`, `hf:owner/name@revision`, a folder, or `stage:NAME` for a `pretrain` stage among the needs.
    pub model: String,
    /// The privacy budget of the released row: a number, `"inf"` for no privacy, 0 for the base model, not fine-tuned.
    pub epsilon: Epsilon,
    /// The failure probability of the guarantee.
    #[serde(default)]
    pub delta: Delta,
    /// Passes over the data, in expectation.
    #[serde(default = "epochs")]
    #[schemars(range(min = 0.01, max = 10000.0))]
    pub epochs: f64,
    /// Expected number of examples in a step, or of people where these are sampled; the sampling rate is this over their number. `auto`: the smallest power of two from which twice as much would hardly lower the noise at as many `epochs`, with at least 50 steps; one number for all rows, from the row with the least epsilon and the declared `examples`.
    #[serde(default = "batch_size")]
    #[schemars(schema_with = "number_or_auto")]
    pub batch_size: u64,
    /// Peak learning rate of Adam.
    #[serde(default = "learning_rate")]
    #[schemars(range(min = 0.0, max = 10.0))]
    pub learning_rate: f64,
    /// Learning rate after the warm-up.
    #[serde(default)]
    pub schedule: Schedule,
    /// Share of the steps in which the learning rate rises from zero.
    #[serde(default = "warmup")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub warmup: f64,
    /// Decoupled weight decay: what is taken off a matrix in a step is the learning rate times this share of it. Biases and norms
    /// do not decay.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub weight_decay: f64,
    /// Adam's decay of the first moment.
    #[serde(default = "beta1")]
    #[schemars(range(min = 0.0, max = 0.9999))]
    pub beta1: f64,
    /// Adam's decay of the second moment.
    #[serde(default = "beta2")]
    #[schemars(range(min = 0.0, max = 0.99999))]
    pub beta2: f64,
    /// Bound on the L2 norm of one example's gradient, or of a person's where these are sampled.
    #[serde(default = "max_grad_norm")]
    #[schemars(range(min = 1e-6, max = 1e6))]
    pub max_grad_norm: f64,
    /// How each example's gradient is bounded.
    #[serde(default)]
    pub clipping: Clipping,
    /// What of the model is trained; everything else stays as it is in the public model.
    #[serde(default)]
    pub parameters: Trainable,
    /// Rank of the LoRA adapters.
    #[serde(default = "lora_rank")]
    #[schemars(range(min = 1, max = 1024))]
    pub lora_rank: u64,
    /// Scale of the LoRA adapters; the product is multiplied by this over the rank.
    #[serde(default = "lora_alpha")]
    #[schemars(range(min = 0.001, max = 10000.0))]
    pub lora_alpha: f64,
    /// How the weights under LoRA adapters are held, which are not trained: `bf16` and `int8` round matrices (linear layers, embeddings, output layer) once, as they are read, and take a half or a quarter of the memory. The adapter is trained against the rounded weights, and `sample` and `export` take the same ones. Not `precision`: products are computed in that.
    #[serde(default, skip_serializing_if = "BasePrecision::is_f32")]
    pub base_precision: BasePrecision,
    /// Longest training sequence in tokens; longer texts are truncated, never split.
    #[serde(default = "max_length")]
    #[schemars(range(min = 2, max = 8192))]
    pub max_length: u64,
    /// Public vocabulary of keywords: `builtin:feelings`, `builtin:words`, or a file of words, one a line. Of the rows whose text holds one, half are trained with the first after their label in the prompt (`joy, hopeful: ...`), so that `sample` can ask for keywords; empty: none.
    #[serde(default)]
    pub keywords: String,
    /// Which tokens the loss counts; of conversations also those of one role alone.
    #[serde(default)]
    pub loss_on: LossOn,
    /// How conversations are written: `plain` (`User: ...`, a line a turn) or `model` (the model's own chat template, where it is a plain frame around each turn).
    #[serde(default, skip_serializing_if = "ChatFormat::is_plain")]
    pub chat_template: ChatFormat,
    /// Weight of the prompt-mismatch loss, 0 for none: teaches the model to tell a text's label from a wrong one (Bayes' rule over the two prompts), with `loss_on = "text"`. Doubles the work of a step; no cost in privacy.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub prompt_mismatch: f64,
    /// Average of the iterates that is kept as the model.
    #[serde(default)]
    pub averaging: Averaging,
    /// What is done to the noised gradient of each matrix before the optimizer sees it; no cost in privacy, as nothing but the noised gradient is read. `singular-values`: what its singular values owe to noise is taken off, and matrices in which nothing stands above the noise stay as they are.
    #[serde(default, skip_serializing_if = "Denoising::is_none")]
    pub denoising: Denoising,
    /// Where noise and sampling coins come from.
    #[serde(default)]
    pub noise: NoiseMode,
    /// Arithmetic of forward and backward; norms, clipping and master weights are always f32.
    #[serde(default)]
    pub precision: Precision,
    /// A stated sampling rate, with `steps`, for true add/remove adjacency; replaces `batch_size` and `epochs`.
    #[serde(default)]
    #[schemars(range(min = 1e-9, max = 1.0))]
    pub sampling_rate: Option<f64>,
    /// A stated number of steps, with `sampling_rate`.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub steps: Option<u64>,
    /// With `[privacy] unit = "user"`: whether a step samples people or their records. `users`: a coin for each person, some of their records, bounded as one. `examples`: a coin for each record, each bounded by itself, a person accounted as the group of `max_per_unit` records that they are. Left out: `users`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_sampling: Option<UnitSampling>,
    /// Most records of a person who takes part in a step, drawn by secret coins; their gradients are averaged and bounded as one. Left out: 4, or `max_per_unit` where that is less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub examples_per_unit: Option<u64>,
    /// Number of canaries inserted for an `audit` stage; each is included by a coin of its own.
    #[serde(default)]
    #[schemars(range(max = 100000))]
    pub canaries: u64,
    /// Keys of this stage whose public input is known to hold texts of the private data, such as `["keywords"]`: without it such an input is refused. Every claim states them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declared_overlap: Vec<String>,
    /// One budget shared with other mechanisms; filled in from `[privacy] split`, never written by hand.
    #[serde(default)]
    #[schemars(skip)]
    pub budget: Option<BudgetParams>,
}

/// Most records of a person in a step where nothing is said.
const EXAMPLES_PER_UNIT: u64 = 4;

impl TrainParams {
    /// Most records in a step of a person who has at most `max_per_unit`; none where records are sampled, not people.
    pub fn examples_per_unit(&self, max_per_unit: u64) -> Option<u64> {
        match self.unit_sampling.unwrap_or_default() {
            UnitSampling::Users => {
                let asked = self.examples_per_unit.unwrap_or(EXAMPLES_PER_UNIT);
                Some(asked.min(max_per_unit))
            }
            UnitSampling::Examples => None,
        }
    }
}

/// What only changes speed or memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainPerformance {
    /// Most tokens (padding included) computed at once. Where `max_length` is above 256, fewer are in proportion, so that attention takes no more memory.
    #[serde(default = "micro_batch_tokens")]
    #[schemars(range(min = 1))]
    pub micro_batch_tokens: u64,
    /// Most examples computed at once.
    #[serde(default = "micro_batch_size")]
    #[schemars(range(min = 1))]
    pub micro_batch_size: u64,
    /// Whether the backward pass computes the activations of each block anew instead of keeping those of all blocks: much less memory, and a step takes about twice as long. `auto`: where the estimate is otherwise above half of the device's memory. Results are the same to the last bit.
    #[serde(default)]
    pub activation_checkpointing: ActivationCheckpointing,
    /// Steps between checkpoints.
    #[serde(default = "checkpoint_every")]
    #[schemars(range(min = 1))]
    pub checkpoint_every: u64,
}

/// Length of sequences up to which a micro-batch has all of its tokens.
const USUAL_LENGTH: u64 = 256;

impl TrainPerformance {
    /// Most tokens that are computed at once where sequences are so long: `micro_batch_tokens`, and beyond 256 tokens a sequence
    /// fewer in proportion, since attention keeps a number for every pair of tokens of a sequence. Never less than one sequence.
    pub fn tokens_at(&self, longest: u64) -> u64 {
        if longest <= USUAL_LENGTH {
            return self.micro_batch_tokens;
        }
        let fewer = self.micro_batch_tokens.saturating_mul(USUAL_LENGTH) / longest;
        fewer.max(longest)
    }
}

impl Default for TrainPerformance {
    fn default() -> Self {
        Self {
            micro_batch_tokens: micro_batch_tokens(),
            micro_batch_size: micro_batch_size(),
            activation_checkpointing: ActivationCheckpointing::default(),
            checkpoint_every: checkpoint_every(),
        }
    }
}

/// What an experiment file may say of a number that dpx can choose. Plans, keys and records hold the number: the type knows no word.
fn number_or_auto(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "oneOf": [{ "type": "integer", "minimum": 1 }, { "const": "auto" }],
    })
}

const fn epochs() -> f64 {
    3.0
}
const fn batch_size() -> u64 {
    256
}
const fn learning_rate() -> f64 {
    1e-3
}
const fn warmup() -> f64 {
    0.05
}
const fn beta1() -> f64 {
    0.9
}
const fn beta2() -> f64 {
    0.999
}
const fn max_grad_norm() -> f64 {
    1.0
}
const fn lora_rank() -> u64 {
    8
}
const fn lora_alpha() -> f64 {
    16.0
}
const fn max_length() -> u64 {
    64
}
const fn micro_batch_tokens() -> u64 {
    4096
}
const fn micro_batch_size() -> u64 {
    128
}
const fn checkpoint_every() -> u64 {
    20
}

/// Learning rate after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Stays.
    Constant,
    /// Falls to zero in a straight line.
    #[default]
    Linear,
    /// Falls to zero along half a cosine.
    Cosine,
}

/// How each example's gradient is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Clipping {
    /// Scaled by min(1, C / norm) over all parameters together (Abadi et al. 2016).
    #[default]
    Flat,
    /// Scaled by C / (norm + 0.01) (Bu et al. 2022, AUTO-S).
    Automatic,
    /// Each tensor has a bound of its own, C over the root of their number.
    PerLayer,
}

/// Which parameters are trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trainable {
    /// Every parameter.
    #[default]
    All,
    /// Low-rank adapters beside the linear layers of attention and feed-forward.
    Lora,
    /// Biases and norms alone (Bu et al. 2022, DP-BiTFiT).
    Bias,
    /// The output layer alone.
    Head,
}

/// How the frozen weights under LoRA adapters are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BasePrecision {
    /// Single precision.
    #[default]
    F32,
    /// Matrices in bfloat16, rounded to nearest.
    Bf16,
    /// Matrices in whole numbers of 8 bits, with a scale for each row of the stored tensor.
    Int8,
}

impl BasePrecision {
    /// Whether nothing is rounded.
    pub const fn is_f32(&self) -> bool {
        matches!(self, Self::F32)
    }

    /// What happened to matrices, where anything did.
    pub const fn rounded(self) -> Option<&'static str> {
        match self {
            Self::F32 => None,
            Self::Bf16 => Some("matrices rounded to bfloat16"),
            Self::Int8 => Some("matrices rounded to 8 bits, with a scale for each row"),
        }
    }

    /// As it is written in an experiment file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }
}

/// Whether activations are computed anew in the backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ActivationCheckpointing {
    /// Where memory asks for it.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// Which tokens the loss counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LossOn {
    /// The text and the end token, not the prompt.
    #[default]
    Text,
    /// Every token.
    All,
    /// The turns of `user` alone, in conversations.
    User,
    /// The turns of `assistant` alone, in conversations.
    Assistant,
}

impl LossOn {
    /// The role whose turns alone count.
    pub const fn role(self) -> Option<Role> {
        match self {
            Self::Text | Self::All => None,
            Self::User => Some(Role::User),
            Self::Assistant => Some(Role::Assistant),
        }
    }
}

/// How conversations are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChatFormat {
    /// A line a turn, `User: ...`.
    #[default]
    Plain,
    /// The model's own chat template.
    Model,
}

impl ChatFormat {
    /// Whether turns are lines.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(crate) const fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }
}

/// Average of the iterates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Averaging {
    /// The last iterate.
    #[default]
    None,
    /// Exponential moving average over about a tenth of the steps.
    Ema,
    /// Mean over the last half of the steps.
    Tail,
}

/// What is done to noised gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Denoising {
    /// Nothing.
    #[default]
    None,
    /// Optimal shrinkage of each matrix' singular values for the noise that was added (Gavish and Donoho 2017; Dadsetan and Rudzicz 2025).
    SingularValues,
}

impl Denoising {
    /// Whether nothing is done.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(crate) const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

/// Where noise and coins come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseMode {
    /// A secret key from the operating system: the guarantee holds.
    #[default]
    Secure,
    /// Derived from the seed: reproducible, and never to be released.
    Seeded,
}

/// Arithmetic of forward and backward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// bfloat16 products with f32 sums, where the device has them.
    Bf16,
}
