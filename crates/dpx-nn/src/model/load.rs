//! Bodies from folders, and which tensors of a folder a body has no use for.

use super::sentence::{self, Modules};
use super::{
    Architecture, Bert, Body, Decoder, Family, ModelConfig, ModelError, Weights, config, decoder,
};
use crate::device::DeviceExt;
use crate::text::Tokenizer;
use crate::{Array, IS_POINTER, LFS_POINTER, Role, gguf};
use dpx_schema::Device;
use dpx_schema::params::BasePrecision;
use std::io::Read;
use std::path::Path;

/// Looks at the files of a model without reading its numbers: whether its family is computed, and its weights and tokenizer are
/// files that can be read. What is not there is left to whoever needs it.
///
/// # Errors
/// What cannot be computed or read, with what to do.
pub fn look(folder: &Path) -> Result<(), ModelError> {
    let config = ModelConfig::read(folder)?;
    // Those of GPTQ and AWQ before `config.json` told of it.
    for name in ["quantize_config.json", "quant_config.json"] {
        let path = folder.join(name);
        if path.is_file() {
            return Err(ModelError::unsupported(
                path,
                format!(
                    "the weights beside it are quantized; {}",
                    config::INSTEAD_OF_QUANTIZED
                ),
            ));
        }
    }
    let there = ["model.safetensors", "model.safetensors.index.json"];
    if there.iter().any(|name| folder.join(name).exists())
        || gguf::find(folder).is_ok_and(|file| file.is_some())
    {
        drop(Weights::open(folder, config.prefix())?);
    } else if let Some(other) = OTHER_WEIGHTS.iter().find(|name| folder.join(name).exists()) {
        return Err(ModelError::unsupported(
            folder.join(other),
            "weights of this format are not read: write them as safetensors with `transformers` \
             (AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(OTHER))",
        ));
    }
    for name in ["tokenizer.json", "tokenizer.model"] {
        let mut start = [0; LFS_POINTER.len()];
        let path = folder.join(name);
        let found = std::fs::File::open(&path).and_then(|mut file| file.read_exact(&mut start));
        if found.is_ok() && start == LFS_POINTER {
            return Err(ModelError::malformed(path, format!("it {IS_POINTER}")));
        }
    }
    Ok(())
}

/// What a model is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// Write texts.
    Generator,
    /// Learn to classify texts.
    Classifier,
    /// Classify the tokens of texts as it has learnt to.
    TokenClassifier,
    /// Turn texts into vectors.
    Encoder,
}

/// Whether a model of such a configuration does what it is to do; `path` is what messages call it.
///
/// # Errors
/// What it is instead, and which models do.
pub fn suits(config: &ModelConfig, used: Use, path: &Path) -> Result<(), ModelError> {
    let family = config.family();
    let refused = |problem: String| Err(ModelError::unsupported(path, problem));
    match used {
        Use::Generator if !family.is_causal() => refused(format!(
            "`model_type` is `{}`, which writes no text; models of these types do: {}",
            family.model_type(),
            Family::list(Family::is_causal)
        )),
        Use::Classifier if family == Family::Model2Vec => refused(format!(
            "`model_type` is `model2vec`, a table of static embeddings, which serves as an encoder alone; classifiers are made of {}",
            Family::list(|family| family != Family::Model2Vec)
        )),
        Use::TokenClassifier if config.head != super::Head::TokenClassification => refused(
            "`architectures` names no token classifier; expected `...ForTokenClassification`"
                .into(),
        ),
        _ => Ok(()),
    }
}

/// Whether the modules of sentence-transformers that an encoder's folder lists are known; the files that they name need not be there.
///
/// # Errors
/// The first one that is not known, or stands where it makes no sense.
pub fn look_at_modules(folder: &Path, config: &ModelConfig) -> Result<(), ModelError> {
    match config.architecture {
        // What lists these is not read: a text is the mean of its tokens.
        Architecture::Static(_) => Ok(()),
        Architecture::Decoder(_) | Architecture::Encoder(_) => sentence::look(folder),
    }
}

/// Looks at the files of a model for what it is to do: [`look`] and [`suits`], whether the modules of an encoder are known, whether there
/// are weights, and whether the tokenizer can be read and has no more tokens than a generator embeds.
///
/// # Errors
/// What cannot be computed or read, with what to do.
pub fn look_for(folder: &Path, used: Use) -> Result<(), ModelError> {
    look(folder)?;
    let config = ModelConfig::read(folder)?;
    suits(&config, used, folder)?;
    if used == Use::Encoder && !matches!(config.architecture, Architecture::Static(_)) {
        drop(Modules::read(folder, config.hidden())?);
    }
    drop(Weights::open(folder, config.prefix())?);
    let tokenizer =
        Tokenizer::load(folder).map_err(|error| ModelError::Input(error.to_string()))?;
    let (known, embedded) = (tokenizer.vocabulary_size(), config.vocabulary());
    if used == Use::Generator && known > embedded {
        return Err(ModelError::malformed(
            folder,
            format!(
                "its tokenizer has {known} tokens, but `vocab_size` of its `config.json` is {embedded}: they do not belong together"
            ),
        ));
    }
    Ok(())
}

/// Looks at a GGUF file of so many bytes that is not here yet, of which what stands before the data is read: whether model and
/// tokenizer are computed. Gives its configuration as far as that tells it. `name` is what messages call the file.
///
/// # Errors
/// What cannot be computed or read, with what to do.
pub fn look_at_gguf(reader: impl Read, size: u64, name: &Path) -> Result<ModelConfig, ModelError> {
    let raw = gguf::Gguf::read_from(reader, size)
        .and_then(|found| {
            gguf::tensors(&found)?;
            gguf::tokenizer(&found)?;
            gguf::config(None, &found)
        })
        .map_err(|problem| ModelError::unsupported(name, problem))?;
    ModelConfig::parse(raw, name)
}

/// Weights that dpx does not read.
const OTHER_WEIGHTS: [&str; 5] = [
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "tf_model.h5",
    "flax_model.msgpack",
    "consolidated.00.pth",
];

/// Reads a body onto a device.
pub(super) fn body(
    config: &ModelConfig,
    weights: &mut Weights,
    device: Device,
) -> Result<Body, ModelError> {
    device.usable()?;
    let value = |name: &str, _: Role, shape: &[usize]| array(weights, name, shape);
    Ok(match &config.architecture {
        Architecture::Decoder(stack) => {
            // Without its output layer: whoever needs it reads a language model.
            let mut stack = stack.clone();
            stack.tied = true;
            Body::Decoder(Decoder::build(stack, device, value)?)
        }
        Architecture::Encoder(stack) => Body::Bert(Bert::build(stack.clone(), device, value)?),
        Architecture::Static(_) => {
            return Err(ModelError::Input(
                "a `model2vec` model is a table of static embeddings: it serves as an encoder, never as the body of another model"
                    .into(),
            ));
        }
    })
}

/// Takes an output layer that is stored beside an embedding of other values for what it is, whatever `tie_word_embeddings` says,
/// as `transformers` does.
pub(super) fn untie_where_stored(
    config: &mut ModelConfig,
    weights: &mut Weights,
) -> Result<(), ModelError> {
    let Architecture::Decoder(stack) = &mut config.architecture else {
        return Ok(());
    };
    if !stack.tied || !stack.family.is_causal() {
        return Ok(());
    }
    let shape = [stack.sizes.vocabulary, stack.sizes.hidden];
    let [tokens, head] = decoder::tables(stack.family);
    if !weights.contains(&tokens) || !weights.contains(&head) {
        return Ok(());
    }
    if weights.take(&tokens, &shape)? != weights.take(&head, &shape)? {
        stack.tied = false;
        config
            .raw
            .insert("tie_word_embeddings".into(), false.into());
    }
    Ok(())
}

/// Reads one tensor of a model whose matrices are frozen, and rounds it where it is one.
pub(super) fn frozen(
    weights: &mut Weights,
    name: &str,
    shape: &[usize],
    precision: BasePrecision,
) -> Result<Array, ModelError> {
    match weights.take_rounded(name, shape, precision)? {
        Some(matrix) => Ok(Array::rounded(matrix)),
        None => array(weights, name, shape),
    }
}

/// Reads one tensor.
pub(super) fn array(
    weights: &mut Weights,
    name: &str,
    shape: &[usize],
) -> Result<Array, ModelError> {
    Ok(Array::from_vec(weights.take(name, shape)?, shape))
}

/// Buffers that files carry beside the parameters: known by name and without effect.
pub fn is_buffer(config: &ModelConfig, name: &str) -> bool {
    match &config.architecture {
        Architecture::Decoder(stack) => {
            let buffer = [
                ".attn.bias",
                ".attn.masked_bias",
                ".attention.bias",
                ".attention.masked_bias",
                ".rotary_emb.inv_freq",
            ];
            buffer.iter().any(|end| name.ends_with(end))
                || name == "rotary_emb.inv_freq"
                || (stack.tied && OUTPUT_LAYERS.contains(&name))
        }
        Architecture::Static(_) => false,
        Architecture::Encoder(stack) => {
            matches!(
                name,
                "embeddings.position_ids" | "embeddings.token_type_ids"
            ) || (!stack.position_table && name == "embeddings.position_embeddings.weight")
        }
    }
}

/// What the output layers of language models are called.
const OUTPUT_LAYERS: [&str; 2] = ["lm_head.weight", "embed_out.weight"];

/// Tensors of heads, which a bare body leaves out.
pub(super) fn is_head(config: &ModelConfig, name: &str) -> bool {
    let of_classifier = ["classifier.", "pre_classifier.", "score.", "qa_outputs."];
    of_classifier.iter().any(|head| name.starts_with(head)) || is_pretraining_head(config, name)
}

/// Tensors of heads that pretraining leaves, among them BERT's pooler, which some classifiers have no use for.
pub(super) fn is_pretraining_head(config: &ModelConfig, name: &str) -> bool {
    let heads: &[&str] = match config.family() {
        Family::Bert => &["pooler.", "cls."],
        Family::Roberta | Family::XlmRoberta | Family::Mpnet => &["pooler.", "lm_head."],
        Family::DistilBert => &["vocab_transform.", "vocab_layer_norm.", "vocab_projector."],
        Family::Electra => &[
            "discriminator_predictions.",
            "generator_predictions.",
            "generator_lm_head.",
        ],
        Family::DebertaV2 => &["pooler.", "cls.", "lm_predictions.", "mask_predictions."],
        Family::ModernBert => &["head.", "decoder."],
        _ => &OUTPUT_LAYERS,
    };
    heads.iter().any(|head| name.starts_with(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_not_read_are_named_with_what_to_do() {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/llama-tiny");
        let folder = tempfile::tempdir().unwrap();
        let put =
            |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        let copy =
            |name: &str| std::fs::copy(fixture.join(name), folder.path().join(name)).unwrap();
        let remove = |name: &str| std::fs::remove_file(folder.path().join(name)).unwrap();
        let told = || look(folder.path()).unwrap_err().to_string();
        copy("config.json");
        look(folder.path()).unwrap();
        put("pytorch_model.bin", b"PK");
        assert!(told().contains("pytorch_model.bin") && told().contains("save_pretrained"));
        copy("model.safetensors");
        look(folder.path()).unwrap();
        let pointer = [LFS_POINTER, b"v1\noid sha256:00\nsize 1\n"].concat();
        for name in ["tokenizer.json", "model.safetensors", "config.json"] {
            put(name, &pointer);
            assert!(
                told().contains(name) && told().contains("git lfs pull"),
                "{}",
                told()
            );
        }
        copy("config.json");
        copy("model.safetensors");
        remove("tokenizer.json");
        put("quantize_config.json", b"{}");
        assert!(told().contains("quantize_config.json") && told().contains("quantized"));
        remove("quantize_config.json");
        remove("model.safetensors");
        put("a.gguf", &pointer);
        assert!(
            told().contains("a.gguf") && told().contains("git lfs pull"),
            "{}",
            told()
        );
    }

    #[test]
    fn a_model_is_looked_at_for_what_it_is_to_do() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
        let folder = tempfile::tempdir().unwrap();
        let made = |name: &str, files: &[&str]| {
            for file in files {
                let from = fixtures.join(name).join(file);
                std::fs::copy(from, folder.path().join(file)).unwrap();
            }
        };
        let told = |used: Use| look_for(folder.path(), used).unwrap_err().to_string();
        let has = |told: &str, wanted: &str| assert!(told.contains(wanted), "{told}");
        made("llama-tiny", &["config.json"]);
        has(&told(Use::Generator), "no `model.safetensors`");
        made("llama-tiny", &["model.safetensors"]);
        has(&told(Use::Generator), "holds no tokenizer");
        let tokenizer = |tokens: usize| {
            let words: serde_json::Map<String, serde_json::Value> = (0..tokens)
                .map(|id| (format!("w{id}"), id.into()))
                .collect();
            let content = serde_json::json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
                "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
                "model": {"type": "WordLevel", "vocab": words, "unk_token": "w0"}});
            std::fs::write(folder.path().join("tokenizer.json"), content.to_string()).unwrap();
        };
        tokenizer(97);
        for used in [Use::Generator, Use::Classifier, Use::Encoder] {
            look_for(folder.path(), used).unwrap();
        }
        has(&told(Use::TokenClassifier), "ForTokenClassification");
        tokenizer(98);
        has(&told(Use::Generator), "98 tokens, but `vocab_size`");
        look_for(folder.path(), Use::Encoder).unwrap();
        std::fs::write(folder.path().join("tokenizer.json"), "{").unwrap();
        has(&told(Use::Encoder), "tokenizer.json");
        made("bert-tiny-encoder", &["config.json", "model.safetensors"]);
        has(&told(Use::Generator), "`bert`, which writes no text");
        made(
            "model2vec-int8",
            &["config.json", "model.safetensors", "tokenizer.json"],
        );
        has(&told(Use::Classifier), "`model2vec`");
        look_for(folder.path(), Use::Encoder).unwrap();
    }
}
