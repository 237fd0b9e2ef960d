//! GPT-2 and Llama for the oracle, written from their papers, and the comparison of `nn`'s models with them.

use super::agreement::{Subject, check};
use super::autodiff::{
    Leaves, attention, columns, cross_entropy, gelu_tanh, layer_norm, rms_norm, rotary, swiglu,
};
use super::{batch, examples};
use dpx_nn::device::Tensor;
use dpx_nn::kernel::Heads;
use dpx_nn::model::Decoder;
use dpx_nn::model::config::{DecoderConfig, Rotary, Sizes};
use dpx_nn::{
    Array, Batch, Initializer, Layout, Network, Parameters, Role, Selection, Sequence, Tape,
};
use dpx_schema::Device;

pub(super) const LORA_RANK: usize = 3;
pub(super) const LORA_ALPHA: f64 = 6.0;
const ROPE_THETA: f64 = 100.0;

/// The part of a sequence that is read, and the targets from `counted_from` on; nothing where there are none.
fn split(ids: &[u32], counted_from: usize) -> Option<(&[u32], usize, &[u32])> {
    let from = counted_from.max(1);
    (ids.len() > from).then(|| (&ids[..ids.len() - 1], from - 1, &ids[from..]))
}

fn scored(x: Tensor<2>, first: usize) -> Tensor<2> {
    let [rows, _] = x.dims();
    x.narrow(0, first, rows - first)
}

/// Radford et al. 2019.
fn gpt2(
    leaves: &Leaves,
    config: &DecoderConfig,
    ids: &[u32],
    counted_from: usize,
) -> Option<Tensor<1>> {
    let (read, first, targets) = split(ids, counted_from)?;
    let scale = LORA_ALPHA / LORA_RANK as f64;
    let sizes = &config.sizes;
    let heads = Heads::new(sizes.heads, sizes.head_dim, true);
    let name = |part: &str| format!("transformer.{part}");
    let norm = |part: &str, x: Tensor<2>| {
        let weight = leaves.vector(&name(&format!("{part}.weight")));
        let bias = leaves.vector(&name(&format!("{part}.bias")));
        layer_norm(x, weight, bias, sizes.norm_epsilon)
    };
    let linear = |part: &str, x| leaves.linear(&name(part), Layout::InOut, scale, x);
    let positions: Vec<u32> = (0..read.len() as u32).collect();
    let mut x =
        leaves.lookup(&name("wte.weight"), read) + leaves.lookup(&name("wpe.weight"), &positions);
    for layer in 0..sizes.layers {
        let part = |part: &str| format!("h.{layer}.{part}");
        let qkv = linear(&part("attn.c_attn"), norm(&part("ln_1"), x.clone()));
        x = x + linear(&part("attn.c_proj"), attention(leaves, &heads, &qkv));
        let inner = gelu_tanh(linear(&part("mlp.c_fc"), norm(&part("ln_2"), x.clone())));
        x = x + linear(&part("mlp.c_proj"), inner);
    }
    let x = scored(norm("ln_f", x), first);
    let logits = x.matmul(leaves.matrix(&name("wte.weight")).transpose());
    Some(cross_entropy(leaves, &logits, targets))
}

/// Touvron et al. 2023.
fn llama(
    leaves: &Leaves,
    config: &DecoderConfig,
    ids: &[u32],
    counted_from: usize,
) -> Option<Tensor<1>> {
    let (read, first, targets) = split(ids, counted_from)?;
    let scale = LORA_ALPHA / LORA_RANK as f64;
    let sizes = &config.sizes;
    let (count, shared, dim) = (sizes.heads, sizes.kv_heads, sizes.head_dim);
    let heads = Heads::grouped(count, shared, dim, true);
    let norm = |name: &str, x| {
        rms_norm(
            x,
            leaves.vector(&format!("{name}.weight")),
            sizes.norm_epsilon,
        )
    };
    let linear = |name: &str, x| leaves.linear(name, Layout::OutIn, scale, x);
    let mut x = leaves.lookup("model.embed_tokens.weight", read);
    for layer in 0..sizes.layers {
        let part = |part: &str| format!("model.layers.{layer}.{part}");
        let normed = norm(&part("input_layernorm"), x.clone());
        let turned = |name: &str| {
            let y = linear(&part(name), normed.clone());
            rotary(leaves, &y, dim, ROPE_THETA)
        };
        let value = linear(&part("self_attn.v_proj"), normed.clone());
        let qkv = Tensor::cat(
            vec![
                turned("self_attn.q_proj"),
                turned("self_attn.k_proj"),
                value,
            ],
            1,
        );
        assert_eq!(columns(&qkv, 0, dim).dims(), [read.len(), dim]);
        x = x + linear(&part("self_attn.o_proj"), attention(leaves, &heads, &qkv));
        let normed = norm(&part("post_attention_layernorm"), x.clone());
        let gate = linear(&part("mlp.gate_proj"), normed.clone());
        let up = linear(&part("mlp.up_proj"), normed);
        x = x + linear(&part("mlp.down_proj"), swiglu(gate, up));
    }
    let x = scored(norm("model.norm", x), first);
    let head = if config.tied {
        "model.embed_tokens.weight"
    } else {
        "lm_head.weight"
    };
    Some(cross_entropy(
        leaves,
        &x.matmul(leaves.matrix(head).transpose()),
        targets,
    ))
}

/// A model of `nn` beside its oracle.
pub(super) struct Model<N> {
    pub(super) network: N,
    oracle: fn(&N, &Leaves, &[u32], usize) -> Option<Tensor<1>>,
    counted_from: usize,
}

impl<N: Network> Subject for Model<N> {
    fn parameters(&self) -> &Parameters {
        self.network.parameters()
    }

    fn tape(&self, examples: &[Vec<u32>]) -> Tape {
        let sequences: Vec<_> = examples
            .iter()
            .map(|ids| Sequence {
                ids,
                counted_from: self.counted_from,
            })
            .collect();
        self.network
            .forward_backward(&Batch::causal(&sequences))
            .unwrap()
    }

    fn oracle(&self, leaves: &Leaves, example: &[u32]) -> Option<Tensor<1>> {
        (self.oracle)(&self.network, leaves, example, self.counted_from)
    }
}

fn gpt2_model() -> Decoder {
    super::model()
}

pub(super) fn llama_model(tied: bool) -> Decoder {
    let sizes = Sizes {
        vocabulary: super::VOCABULARY as usize,
        max_positions: 48,
        hidden: 20,
        intermediate: 36,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 6,
        norm_epsilon: 1e-5,
    };
    let rotary = Rotary::plain(sizes.head_dim, ROPE_THETA);
    let config = DecoderConfig::llama(sizes, rotary, tied);
    let mut random = Initializer::new(21);
    Decoder::build(config, Device::Cpu, |_, role, shape| {
        let mut value = random.normal(shape, 0.2);
        if role == Role::Norm {
            dpx_nn::kernel::add(&mut value, &Array::full(shape, 1.0));
        }
        Ok::<_, std::convert::Infallible>(value)
    })
    .unwrap()
}

/// Adapters whose upper matrices are not zero, so that both of their gradients are felt.
pub(super) fn fill_adapters(parameters: &mut Parameters) {
    let mut random = Initializer::new(4);
    for (_, parameter) in parameters.iter_mut() {
        if parameter.name.ends_with("lora_B.weight") {
            parameter.value = random.normal(parameter.value.shape(), 0.3);
        }
    }
}

pub(super) fn gpt2_subject(network: Decoder, counted_from: usize) -> Model<Decoder> {
    Model {
        network,
        oracle: |network, leaves, ids, from| gpt2(leaves, network.config(), ids, from),
        counted_from,
    }
}

pub(super) fn llama_subject(network: Decoder, counted_from: usize) -> Model<Decoder> {
    Model {
        network,
        oracle: |network, leaves, ids, from| llama(leaves, network.config(), ids, from),
        counted_from,
    }
}

#[test]
fn gpt2_agrees_with_autodiff() {
    check("gpt2", &gpt2_subject(gpt2_model(), 1), &examples());
    check(
        "gpt2 after a prompt",
        &gpt2_subject(gpt2_model(), 3),
        &examples(),
    );
}

#[test]
fn gpt2_with_adapters_agrees_with_autodiff() {
    let mut model = gpt2_model();
    model.add_lora(LORA_RANK, LORA_ALPHA, 1);
    fill_adapters(model.parameters_mut());
    check(
        "gpt2, all with adapters",
        &gpt2_subject(model.clone(), 1),
        &examples(),
    );
    for selection in [Selection::Lora, Selection::Bias, Selection::Head] {
        model.parameters_mut().select(selection);
        check(
            &format!("gpt2, {selection:?}"),
            &gpt2_subject(model.clone(), 1),
            &examples(),
        );
    }
}

#[test]
fn llama_agrees_with_autodiff() {
    for tied in [true, false] {
        check(
            &format!("llama, tied: {tied}"),
            &llama_subject(llama_model(tied), 1),
            &examples(),
        );
    }
    check(
        "llama after a prompt",
        &llama_subject(llama_model(false), 4),
        &examples(),
    );
}

#[test]
fn llama_with_adapters_agrees_with_autodiff() {
    let mut model = llama_model(false);
    model.add_lora(LORA_RANK, LORA_ALPHA, 1);
    fill_adapters(model.parameters_mut());
    check(
        "llama, all with adapters",
        &llama_subject(model.clone(), 1),
        &examples(),
    );
    for selection in [Selection::Lora, Selection::Bias, Selection::Head] {
        model.parameters_mut().select(selection);
        check(
            &format!("llama, {selection:?}"),
            &llama_subject(model.clone(), 1),
            &examples(),
        );
    }
}

/// The oracle's own loss is that of the forward pass that `transformers` confirmed (crates/dpx-nn/src/model/decoder/tests.rs).
#[test]
fn the_oracle_computes_the_losses_of_the_models() {
    let model = gpt2_model();
    let losses = model.forward_loss(&batch(&examples())).unwrap();
    let leaves = Leaves::new(model.parameters());
    for (ids, want) in examples().iter().zip(losses) {
        let (got, _) = leaves.gradient(gpt2(&leaves, model.config(), ids, 1));
        assert!((got - want).abs() < 1e-5, "{got} {want}");
    }
}
