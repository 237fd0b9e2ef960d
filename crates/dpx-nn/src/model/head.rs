//! The layers of a classification head: which hidden states it reads, a dense layer in some families, scores.

use super::{Family, Head, ModelConfig, ModelError};
use crate::kernel::{self, Gelu, Normalized};
use crate::{
    Array, Batch, Layout, Linear, Norm, NormKind, PackedLayout, ParameterId, Parameters, Role, Tape,
};

/// The layers of a head, as `transformers` has them.
#[derive(Debug, Clone)]
pub(super) struct HeadLayers {
    pub(super) pooling: Pooling,
    /// What comes before the scores.
    pub(super) dense: Option<Dense>,
    pub(super) out: Linear,
}

/// What the backward pass of a head needs.
pub(super) struct HeadSaved {
    pub(super) dense: Option<DenseSaved>,
    /// Input of the last layer.
    pub(super) input: Array,
}

/// Which hidden states a head reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pooling {
    /// The first token's.
    First,
    /// Those of the last token that is no padding, or of the first where all are.
    Last {
        padding: Option<u32>,
    },
    Mean,
    /// Every token's.
    Every,
}

impl Pooling {
    /// The row that is read of each example; none may be without rows.
    fn row_of_each(self, batch: &Batch) -> Vec<usize> {
        let ids = batch.ids.as_slice();
        (0..batch.rows.batch())
            .map(|example| {
                let range = batch.rows.range(example);
                match self {
                    Self::Last { padding } => range
                        .clone()
                        .rev()
                        .find(|row| Some(ids[*row]) != padding)
                        .unwrap_or(range.start),
                    _ => range.start,
                }
            })
            .collect()
    }

    /// 1 / length of each example.
    fn shares(rows: &PackedLayout) -> Vec<Option<f32>> {
        rows.lengths()
            .map(|length| Some(1.0 / length as f32))
            .collect()
    }

    /// From hidden states `[tokens, hidden]` to what is read of them.
    pub(super) fn forward(self, hidden: &Array, batch: &Batch) -> Array {
        match self {
            Self::Every => hidden.clone(),
            Self::First | Self::Last { .. } => {
                kernel::gather_rows(hidden, &self.row_of_each(batch))
            }
            Self::Mean => {
                let sums = kernel::column_sums(&batch.rows, hidden);
                kernel::scaled_rows(&sums, &Self::shares(&batch.rows))
            }
        }
    }

    /// The gradient of the hidden states.
    pub(super) fn backward(self, gradient: &Array, batch: &Batch) -> Array {
        let rows = &batch.rows;
        match self {
            Self::Every => gradient.clone(),
            Self::First | Self::Last { .. } => {
                kernel::scatter_rows(gradient, &self.row_of_each(batch), rows.count())
            }
            Self::Mean => {
                let shares = kernel::scaled_rows(gradient, &Self::shares(rows));
                let examples: Vec<usize> = (0..rows.batch()).collect();
                kernel::gather_rows(&shares, &rows.spread(&examples))
            }
        }
    }
}

/// What follows the dense layer of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Activation {
    Tanh,
    Relu,
    Gelu,
}

/// A dense layer before the scores, in ModernBERT with a norm behind it.
#[derive(Debug, Clone)]
pub(super) struct Dense {
    linear: Linear,
    activation: Activation,
    norm: Option<Norm>,
}

/// What the backward pass of a dense layer needs.
pub(super) struct DenseSaved {
    input: Array,
    /// Before a GELU, after another activation.
    activation: Array,
    norm: Option<Normalized>,
}

impl Dense {
    pub(super) fn forward(&self, parameters: &Parameters, input: Array) -> (Array, DenseSaved) {
        let mut activation = self.linear.forward(parameters, &input);
        let mut output = match self.activation {
            Activation::Tanh => {
                kernel::tanh(&mut activation);
                activation.clone()
            }
            Activation::Relu => {
                kernel::relu(&mut activation);
                activation.clone()
            }
            Activation::Gelu => kernel::gelu(&activation, Gelu::Erf),
        };
        let norm = self.norm.map(|norm| {
            let (normed, saved) = norm.forward(parameters, &output);
            output = normed;
            saved
        });
        let saved = DenseSaved {
            input,
            activation,
            norm,
        };
        (output, saved)
    }

    /// The gradient of the input.
    pub(super) fn backward(
        &self,
        parameters: &Parameters,
        rows: &PackedLayout,
        saved: DenseSaved,
        mut gradient: Array,
        tape: &mut Tape,
    ) -> Array {
        if let Some((norm, saved)) = self.norm.zip(saved.norm) {
            gradient = norm.backward(parameters, rows, &saved, &gradient, None, tape);
        }
        let before = &saved.activation;
        match self.activation {
            Activation::Tanh => kernel::tanh_backward(before, &mut gradient),
            Activation::Relu => kernel::relu_backward(before, &mut gradient),
            Activation::Gelu => kernel::gelu_backward(before, &mut gradient, Gelu::Erf),
        }
        self.linear
            .backward(parameters, rows, &saved.input, &gradient, tape)
    }
}

/// Enters the parameters of a head in the registry of a body.
struct Registry<'a, F> {
    parameters: &'a mut Parameters,
    width: usize,
    value: F,
}

impl<F: FnMut(&str, Role, &[usize]) -> Result<Array, ModelError>> Registry<'_, F> {
    fn add(&mut self, name: &str, shape: &[usize]) -> Result<ParameterId, ModelError> {
        // The head is a classifier's own: BERT's pooler counts as part of it.
        let array = (self.value)(name, Role::Head, shape)?;
        let device = self.parameters.device();
        Ok(self.parameters.add(name, Role::Head, array.on(device)))
    }

    fn linear(&mut self, name: &str, outputs: usize, biased: bool) -> Result<Linear, ModelError> {
        let weight = self.add(&format!("{name}.weight"), &[outputs, self.width])?;
        let bias = biased
            .then(|| self.add(&format!("{name}.bias"), &[outputs]))
            .transpose()?;
        Ok(Linear::new(weight, bias, Layout::OutIn))
    }

    fn dense(&mut self, name: &str, activation: Activation) -> Result<Dense, ModelError> {
        Ok(Dense {
            linear: self.linear(name, self.width, true)?,
            activation,
            norm: None,
        })
    }

    /// ModernBERT's dense layer and norm.
    fn modern(&mut self, config: &ModelConfig) -> Result<Dense, ModelError> {
        let flag = |key: &str| {
            let value = config.raw.get(key).and_then(serde_json::Value::as_bool);
            value.unwrap_or(false)
        };
        let linear = self.linear("head.dense", self.width, flag("classifier_bias"))?;
        let weight = self.add("head.norm.weight", &[self.width])?;
        let bias = flag("norm_bias")
            .then(|| self.add("head.norm.bias", &[self.width]))
            .transpose()?;
        let epsilon = config
            .raw
            .get("norm_eps")
            .and_then(serde_json::Value::as_f64);
        Ok(Dense {
            linear,
            activation: Activation::Gelu,
            norm: Some(Norm {
                weight,
                bias,
                epsilon: epsilon.unwrap_or(1e-5) as f32,
                kind: NormKind::Layer,
            }),
        })
    }
}

impl HeadLayers {
    /// Enters the layers of a head behind a body, every value from `value(name, role, shape)`.
    pub(super) fn build(
        config: &ModelConfig,
        parameters: &mut Parameters,
        value: impl FnMut(&str, Role, &[usize]) -> Result<Array, ModelError>,
    ) -> Result<Self, ModelError> {
        let mut registry = Registry {
            parameters,
            width: config.hidden(),
            value,
        };
        let classes = config.labels.len();
        let family = config.family();
        if family.is_causal() {
            return Ok(Self {
                pooling: Pooling::Last {
                    padding: config.pad_token,
                },
                dense: None,
                out: registry.linear("score", classes, false)?,
            });
        }
        let every = config.head == Head::TokenClassification;
        let dense = match family {
            Family::ModernBert => Some(registry.modern(config)?),
            _ if every => None,
            Family::DebertaV2 => {
                let word = config
                    .raw
                    .get("pooler_hidden_act")
                    .and_then(|word| word.as_str());
                let activation = match word {
                    Some("tanh") => Activation::Tanh,
                    _ => Activation::Gelu,
                };
                Some(registry.dense("pooler.dense", activation)?)
            }
            Family::Bert => Some(registry.dense("bert.pooler.dense", Activation::Tanh)?),
            Family::DistilBert => Some(registry.dense("pre_classifier", Activation::Relu)?),
            Family::Electra => Some(registry.dense("classifier.dense", Activation::Gelu)?),
            _ => Some(registry.dense("classifier.dense", Activation::Tanh)?),
        };
        let out = match family {
            Family::Roberta | Family::XlmRoberta | Family::Electra | Family::Mpnet if !every => {
                "classifier.out_proj"
            }
            _ => "classifier",
        };
        let mean = family == Family::ModernBert
            && config
                .raw
                .get("classifier_pooling")
                .and_then(|word| word.as_str())
                == Some("mean");
        Ok(Self {
            pooling: match (every, mean) {
                (true, _) => Pooling::Every,
                (false, true) => Pooling::Mean,
                (false, false) => Pooling::First,
            },
            dense,
            out: registry.linear(out, classes, true)?,
        })
    }
}
