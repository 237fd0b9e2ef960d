//! What sentence-transformers lays over a body: pooling, dense layers, normalization, a prompt, a shorter context.

use super::ModelError;
use super::weights::Weights;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Which hidden states make up an embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pooled {
    /// The first token's.
    First,
    Mean,
    /// The last token's.
    Last,
}

/// A linear layer over embeddings, with an activation.
#[derive(Debug, Clone)]
struct Dense {
    /// `[outputs, inputs]`.
    weight: Vec<f32>,
    bias: Vec<f32>,
    tanh: bool,
}

/// The modules of a folder; a folder without any pools by the mean.
#[derive(Debug, Clone)]
pub(super) struct Modules {
    pub(super) pooling: Pooled,
    /// Put before every text.
    pub(super) prompt: String,
    /// Longest text in tokens, where it is stated.
    pub(super) max_seq_len: Option<usize>,
    dense: Vec<Dense>,
    normalize: bool,
}

/// A JSON file of a folder, where it is there.
fn object(path: &Path) -> Result<Option<Value>, ModelError> {
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read(path).map_err(|error| ModelError::read(path, error))?;
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| ModelError::malformed(path, format!("not JSON: {error}")))
}

impl Modules {
    /// Pooling by the mean, and nothing else.
    pub(super) const fn none() -> Self {
        Self {
            pooling: Pooled::Mean,
            prompt: String::new(),
            max_seq_len: None,
            dense: Vec::new(),
            normalize: false,
        }
    }

    /// Reads `modules.json` and what it names, for hidden states of a width.
    ///
    /// # Errors
    /// When there is a module or a pooling that is not known, or a file cannot be understood.
    pub(super) fn read(folder: &Path, width: usize) -> Result<Self, ModelError> {
        let mut modules = Self::none();
        let path = folder.join("modules.json");
        let Some(list) = object(&path)? else {
            return Ok(modules);
        };
        let wrong = || {
            ModelError::malformed(
                &path,
                "expected a list of modules, each with `type` and `path`",
            )
        };
        let mut width = width;
        for module in list.as_array().ok_or_else(wrong)? {
            let kind = module
                .get("type")
                .and_then(Value::as_str)
                .ok_or_else(wrong)?;
            let place = module.get("path").and_then(Value::as_str).unwrap_or("");
            // A name with more than a folder in it could lead out of the model.
            if place.contains(['/', '\\']) || place == ".." {
                return Err(wrong());
            }
            let place = folder.join(place);
            match kind.rsplit('.').next() {
                Some("Transformer") => {}
                Some("Pooling") => modules.pooling = pooling(&place.join("config.json"))?,
                Some("Dense") => modules.dense.push(dense(&place, &mut width)?),
                Some("Normalize") => modules.normalize = true,
                _ => {
                    return Err(ModelError::unsupported(
                        &path,
                        format!(
                            "a module is of `type` `{kind}`; supported: Transformer, Pooling, Dense, Normalize"
                        ),
                    ));
                }
            }
        }
        modules.max_seq_len = object(&folder.join("sentence_bert_config.json"))?
            .and_then(|config| config.get("max_seq_length")?.as_u64())
            .map(|length| length as usize);
        let path = folder.join("config_sentence_transformers.json");
        if let Some(config) = object(&path)? {
            modules.prompt = prompt(&config, &path)?;
        }
        Ok(modules)
    }

    /// Width of an embedding made of hidden states of a width.
    pub(super) fn width(&self, hidden: usize) -> usize {
        self.dense.last().map_or(hidden, |dense| dense.bias.len())
    }

    /// What becomes of a pooled embedding.
    pub(super) fn finish(&self, mut embedding: Vec<f32>) -> Vec<f32> {
        for dense in &self.dense {
            embedding = dense.forward(&embedding);
        }
        if self.normalize {
            let squares = embedding.iter().map(|x| f64::from(*x) * f64::from(*x));
            let norm = squares.sum::<f64>().sqrt().max(1e-12);
            for value in &mut embedding {
                *value = (f64::from(*value) / norm) as f32;
            }
        }
        embedding
    }
}

impl Dense {
    fn forward(&self, input: &[f32]) -> Vec<f32> {
        let rows = self.weight.chunks_exact(input.len());
        rows.zip(&self.bias)
            .map(|(row, bias)| {
                let products = row
                    .iter()
                    .zip(input)
                    .map(|(w, x)| f64::from(*w) * f64::from(*x));
                let sum = products.sum::<f64>() + f64::from(*bias);
                (if self.tanh { sum.tanh() } else { sum }) as f32
            })
            .collect()
    }
}

/// The prompt that is used unless another is asked for.
fn prompt(config: &Value, path: &Path) -> Result<String, ModelError> {
    let Some(name) = config.get("default_prompt_name").and_then(Value::as_str) else {
        return Ok(String::new());
    };
    let found = config.get("prompts").and_then(|prompts| prompts.get(name));
    found
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| {
            ModelError::malformed(
                path,
                format!("`default_prompt_name` is `{name}`, but `prompts` has none of this name"),
            )
        })
}

/// The pooling of a `1_Pooling/config.json`, in the older form (a flag for each) or the newer one.
fn pooling(path: &PathBuf) -> Result<Pooled, ModelError> {
    let Some(config) = object(path)? else {
        return Err(ModelError::malformed(
            path,
            "it is missing, although `modules.json` names it",
        ));
    };
    let empty = Map::new();
    let table = config.as_object().unwrap_or(&empty);
    let mut modes: Vec<&str> = Vec::new();
    match table.get("pooling_mode") {
        Some(Value::String(mode)) => modes.push(mode),
        Some(Value::Array(list)) => modes.extend(list.iter().filter_map(Value::as_str)),
        _ => {
            let set = table
                .iter()
                .filter(|(_, value)| **value == Value::Bool(true));
            modes.extend(set.filter_map(|(key, _)| key.strip_prefix("pooling_mode_")));
        }
    }
    if table.get("include_prompt") == Some(&Value::Bool(false)) {
        return Err(ModelError::unsupported(
            path,
            "`include_prompt` is `false`; only pooling over prompt and text is supported",
        ));
    }
    match modes.as_slice() {
        ["cls" | "cls_token"] => Ok(Pooled::First),
        ["mean" | "mean_tokens"] => Ok(Pooled::Mean),
        ["lasttoken"] => Ok(Pooled::Last),
        _ => Err(ModelError::unsupported(
            path,
            format!(
                "`pooling_mode` is `{}`; supported: one of `cls`, `mean`, `lasttoken`",
                modes.join("`, `")
            ),
        )),
    }
}

/// The dense layer of a folder; `width` becomes that of its output.
fn dense(folder: &Path, width: &mut usize) -> Result<Dense, ModelError> {
    let path = folder.join("config.json");
    let config = object(&path)?.unwrap_or(Value::Null);
    let size = |key: &str| {
        let size = config.get(key).and_then(Value::as_u64);
        size.map(|size| size as usize)
            .ok_or_else(|| ModelError::malformed(&path, format!("`{key}` is missing or no size")))
    };
    let flag =
        |key: &str, default: bool| config.get(key).and_then(Value::as_bool).unwrap_or(default);
    let (inputs, outputs) = (size("in_features")?, size("out_features")?);
    if inputs != *width {
        return Err(ModelError::malformed(
            &path,
            format!("`in_features` is {inputs}, but embeddings have {width} numbers"),
        ));
    }
    for (key, only) in [
        ("module_input_name", "sentence_embedding"),
        ("module_output_name", "sentence_embedding"),
    ] {
        if let Some(name) = config
            .get(key)
            .and_then(Value::as_str)
            .filter(|name| *name != only)
        {
            return Err(ModelError::unsupported(
                &path,
                format!("`{key}` is `{name}`; only `{only}` is supported"),
            ));
        }
    }
    if flag("use_residual", false) {
        return Err(ModelError::unsupported(
            &path,
            "`use_residual` is `true`; only `false` is supported",
        ));
    }
    let activation = config.get("activation_function").and_then(Value::as_str);
    let tanh = match activation.map(|name| name.rsplit('.').next().unwrap_or(name)) {
        None | Some("Tanh") => true,
        Some("Identity") => false,
        Some(other) => {
            return Err(ModelError::unsupported(
                &path,
                format!("`activation_function` is `{other}`; supported: `Tanh`, `Identity`"),
            ));
        }
    };
    let mut weights = Weights::open(folder, "")?;
    let weight = weights.take("linear.weight", &[outputs, inputs])?;
    let bias = if flag("bias", true) {
        weights.take("linear.bias", &[outputs])?
    } else {
        vec![0.0; outputs]
    };
    weights.finish(|_| false)?;
    *width = outputs;
    Ok(Dense { weight, bias, tanh })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::weights::{StoredAs, write};
    use serde_json::json;

    fn put(folder: &Path, name: &str, value: &Value) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, value.to_string()).unwrap();
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "made where it is handed over"
    )]
    fn modules(pooling: Value) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let kind = |name: &str| format!("sentence_transformers.models.{name}");
        put(
            dir.path(),
            "modules.json",
            &json!([{"path": "", "type": kind("Transformer")}, {"path": "1_Pooling", "type": kind("Pooling")},
                {"path": "2_Dense", "type": kind("Dense")}, {"path": "3_Normalize", "type": kind("Normalize")}]),
        );
        put(dir.path(), "1_Pooling/config.json", &pooling);
        put(
            dir.path(),
            "2_Dense/config.json",
            &json!({"in_features": 2, "out_features": 2, "bias": true, "activation_function": "torch.nn.modules.linear.Identity"}),
        );
        let tensors = [
            (
                "linear.weight".to_owned(),
                vec![2, 2],
                vec![0.0, 2.0, 3.0, 0.0],
            ),
            ("linear.bias".to_owned(), vec![2], vec![1.0, 1.0]),
        ];
        write(&dir.path().join("2_Dense"), tensors, StoredAs::F32).unwrap();
        dir
    }

    #[test]
    fn modules_are_read_and_applied_in_order() {
        let dir =
            modules(json!({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}));
        put(
            dir.path(),
            "sentence_bert_config.json",
            &json!({"max_seq_length": 17}),
        );
        put(
            dir.path(),
            "config_sentence_transformers.json",
            &json!({"prompts": {"query": "query: "}, "default_prompt_name": "query"}),
        );
        let modules = Modules::read(dir.path(), 2).unwrap();
        assert_eq!(modules.pooling, Pooled::First);
        assert_eq!(
            (modules.max_seq_len, modules.prompt.as_str()),
            (Some(17), "query: ")
        );
        assert_eq!(modules.width(2), 2);
        // (1, 1) becomes (3, 4), and that divided by 5.
        assert_eq!(modules.finish(vec![1.0, 1.0]), [0.6, 0.8]);
    }

    #[test]
    fn what_is_not_known_is_named() {
        let error = |pooling: Value| {
            let dir = modules(pooling);
            Modules::read(dir.path(), 2).unwrap_err().to_string()
        };
        assert!(error(json!({"pooling_mode": "max"})).contains("`max`"));
        let two = json!({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true});
        assert!(error(two).contains("mean_tokens"));
        let dir = modules(json!({"pooling_mode": "mean"}));
        let error = Modules::read(dir.path(), 3).unwrap_err().to_string();
        assert!(error.contains("`in_features`"), "{error}");
        put(
            dir.path(),
            "modules.json",
            &json!([{"path": "", "type": "a.CNN"}]),
        );
        let error = Modules::read(dir.path(), 2).unwrap_err().to_string();
        assert!(error.contains("`a.CNN`"), "{error}");
    }

    #[test]
    fn without_modules_the_mean_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let modules = Modules::read(dir.path(), 2).unwrap();
        assert_eq!(modules.pooling, Pooled::Mean);
        assert_eq!(modules.finish(vec![3.0, 4.0]), [3.0, 4.0]);
    }
}
