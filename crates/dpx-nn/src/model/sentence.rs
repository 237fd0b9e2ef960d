//! What sentence-transformers lays over a body: pooling, dense layers, normalization, a prompt, a shorter context.

use super::ModelError;
use super::weights::Weights;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// What lies over the body of an encoder of sentence-transformers.
pub const MODULES_FILE: &str = "modules.json";

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

/// What becomes of a pooled embedding.
#[derive(Debug, Clone)]
enum Step {
    Dense(Dense),
    /// To length 1.
    Normalize,
}

/// The modules of a folder; a folder without any pools by the mean.
#[derive(Debug, Clone)]
pub(super) struct Modules {
    pub(super) pooling: Pooled,
    /// Put before every text.
    pub(super) prompt: String,
    /// Longest text in tokens, where it is stated.
    pub(super) max_seq_len: Option<usize>,
    steps: Vec<Step>,
}

/// Where the longest text of a model is stated, the first that is there.
const LENGTHS: [&str; 7] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

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
            steps: Vec::new(),
        }
    }

    /// Reads `modules.json` and what it names, for hidden states of a width.
    ///
    /// # Errors
    /// When there is a module or a pooling that is not known, one stands where it makes no sense, or a file cannot be understood.
    pub(super) fn read(folder: &Path, width: usize) -> Result<Self, ModelError> {
        let mut modules = Self::none();
        let Some(list) = listed(folder)? else {
            return Ok(modules);
        };
        let mut width = width;
        for (kind, place) in list {
            match kind {
                Module::Transformer => {}
                Module::Pooling => modules.pooling = pooling(&place.join("config.json"))?,
                Module::Dense => modules.steps.push(Step::Dense(dense(&place, &mut width)?)),
                Module::Normalize => modules.steps.push(Step::Normalize),
            }
        }
        modules.max_seq_len = length(folder)?;
        let path = folder.join("config_sentence_transformers.json");
        if let Some(config) = object(&path)? {
            modules.prompt = prompt(&config, &path)?;
        }
        Ok(modules)
    }

    /// Width of an embedding made of hidden states of a width.
    pub(super) fn width(&self, hidden: usize) -> usize {
        let widths = self.steps.iter().rev().find_map(|step| match step {
            Step::Dense(dense) => Some(dense.bias.len()),
            Step::Normalize => None,
        });
        widths.unwrap_or(hidden)
    }

    /// What becomes of a pooled embedding, step by step.
    pub(super) fn finish(&self, mut embedding: Vec<f32>) -> Vec<f32> {
        for step in &self.steps {
            match step {
                Step::Dense(dense) => embedding = dense.forward(&embedding),
                Step::Normalize => normalize(&mut embedding),
            }
        }
        embedding
    }

    /// The modules in words, pooling first.
    pub(super) fn told(&self) -> Vec<String> {
        let pooling = match self.pooling {
            Pooled::First => "cls",
            Pooled::Mean => "mean",
            Pooled::Last => "lasttoken",
        };
        let steps = self.steps.iter().map(|step| match step {
            Step::Dense(dense) => format!(
                "Dense ({} to {}, {})",
                dense.weight.len() / dense.bias.len().max(1),
                dense.bias.len(),
                if dense.tanh { "Tanh" } else { "Identity" }
            ),
            Step::Normalize => "Normalize".to_owned(),
        });
        std::iter::once(format!("Pooling ({pooling})"))
            .chain(steps)
            .collect()
    }
}

/// A module of a kind that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Module {
    Transformer,
    Pooling,
    Dense,
    Normalize,
}

/// Looks at the list of modules alone, where the files that it names are not here yet.
///
/// # Errors
/// When there is a module that is not known, or one stands where it makes no sense.
pub(super) fn look(folder: &Path) -> Result<(), ModelError> {
    listed(folder).map(drop)
}

/// The modules of `modules.json`, each with its folder; none where there is no such file.
fn listed(folder: &Path) -> Result<Option<Vec<(Module, PathBuf)>>, ModelError> {
    let path = folder.join(MODULES_FILE);
    let Some(list) = object(&path)? else {
        return Ok(None);
    };
    let wrong = || {
        ModelError::malformed(
            &path,
            "expected a list of modules, each with `type` and `path`",
        )
    };
    let unsupported = |problem: String| ModelError::unsupported(&path, problem);
    let mut read: Vec<(Module, PathBuf)> = Vec::new();
    for module in list.as_array().ok_or_else(wrong)? {
        let kind = module
            .get("type")
            .and_then(Value::as_str)
            .ok_or_else(wrong)?;
        let name = module.get("path").and_then(Value::as_str).unwrap_or("");
        // A name with more than a folder in it could lead out of the model.
        if name.contains(['/', '\\']) || name == ".." {
            return Err(wrong());
        }
        let known = match kind.rsplit('.').next().unwrap_or(kind) {
            "Transformer" => Module::Transformer,
            "Pooling" => Module::Pooling,
            "Dense" => Module::Dense,
            "Normalize" => Module::Normalize,
            _ => {
                return Err(unsupported(format!(
                    "a module is of `type` `{kind}`; supported: Transformer, Pooling, Dense, Normalize"
                )));
            }
        };
        let fits = match (known, read.len()) {
            (Module::Transformer, at) => at == 0,
            (Module::Pooling, at) => at == 1,
            (Module::Dense | Module::Normalize, at) => at > 1,
        };
        if !fits {
            return Err(unsupported(format!(
                "`{kind}` is module {}; supported: one Transformer, one Pooling, then Dense and Normalize in any order",
                read.len() + 1
            )));
        }
        if known == Module::Transformer && !name.is_empty() {
            return Err(unsupported(format!(
                "the `path` of `{kind}` is `{name}`; supported is a model in the folder itself: move the files of `{name}` up and \
                 write an empty `path`"
            )));
        }
        read.push((known, folder.join(name)));
    }
    if read.iter().all(|(kind, _)| *kind != Module::Pooling) {
        return Err(unsupported(
            "no module is of `type` Pooling; without it there is no embedding of a text".into(),
        ));
    }
    Ok(Some(read))
}

/// To length 1.
fn normalize(embedding: &mut [f32]) {
    let squares = embedding.iter().map(|x| f64::from(*x) * f64::from(*x));
    let norm = squares.sum::<f64>().sqrt().max(1e-12);
    for value in embedding {
        *value = (f64::from(*value) / norm) as f32;
    }
}

/// The longest text in tokens: as sentence-transformers states it, else as the tokenizer does.
fn length(folder: &Path) -> Result<Option<usize>, ModelError> {
    let whole = |config: &Value, key: &str| {
        let length = config.get(key).and_then(Value::as_u64);
        length.and_then(|length| usize::try_from(length).ok())
    };
    for name in LENGTHS {
        let path = folder.join(name);
        let Some(config) = object(&path)? else {
            continue;
        };
        if config.get("do_lower_case").and_then(Value::as_bool) == Some(true) {
            return Err(ModelError::unsupported(
                path,
                "`do_lower_case` is `true`, by which texts are lowered before the tokenizer reads them; supported is a tokenizer that \
                 lowers them itself, and `false` here",
            ));
        }
        if let Some(length) = whole(&config, "max_seq_length") {
            return Ok(Some(length));
        }
        break;
    }
    let tokenizer = object(&folder.join("tokenizer_config.json"))?;
    Ok(tokenizer.and_then(|config| whole(&config, "model_max_length")))
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

    /// A folder with modules of these kinds, in this order.
    fn ordered(kinds: &[&str]) -> tempfile::TempDir {
        let dir = modules(json!({"pooling_mode": "mean"}));
        let place = |kind: &str| match kind {
            "Pooling" => "1_Pooling",
            "Dense" => "2_Dense",
            _ => "",
        };
        let list: Value = kinds
            .iter()
            .map(|kind| json!({"path": place(kind), "type": format!("sentence_transformers.models.{kind}")}))
            .collect();
        put(dir.path(), "modules.json", &list);
        dir
    }

    #[test]
    fn modules_are_applied_in_the_order_of_the_file() {
        let dir = ordered(&["Transformer", "Pooling", "Normalize", "Dense"]);
        let modules = Modules::read(dir.path(), 2).unwrap();
        // (3, 4) becomes (0.6, 0.8), and that (1 + 2 * 0.8, 1 + 3 * 0.6).
        let found = modules.finish(vec![3.0, 4.0]);
        assert!((found[0] - 2.6).abs() < 1e-6 && (found[1] - 2.8).abs() < 1e-6);
        assert_eq!(
            modules.told(),
            ["Pooling (mean)", "Normalize", "Dense (2 to 2, Identity)"]
        );
        for kinds in [
            &["Transformer", "Pooling", "Pooling"][..],
            &["Transformer", "Dense", "Pooling"],
            &["Pooling"],
            &["Transformer", "Transformer", "Pooling"],
            &["Transformer"],
        ] {
            let dir = ordered(kinds);
            let error = Modules::read(dir.path(), 2).unwrap_err().to_string();
            assert!(
                error.contains("modules.json") && error.contains("Pooling"),
                "{error}"
            );
        }
    }

    #[test]
    fn lengths_are_found_under_all_names_and_lowered_texts_are_refused() {
        let dir = ordered(&["Transformer", "Pooling"]);
        let length = || Modules::read(dir.path(), 2).map(|modules| modules.max_seq_len);
        assert_eq!(length().unwrap(), None);
        put(
            dir.path(),
            "tokenizer_config.json",
            &json!({"model_max_length": 99}),
        );
        assert_eq!(length().unwrap(), Some(99));
        put(
            dir.path(),
            "sentence_roberta_config.json",
            &json!({"max_seq_length": 12, "do_lower_case": false}),
        );
        assert_eq!(length().unwrap(), Some(12));
        put(
            dir.path(),
            "sentence_bert_config.json",
            &json!({"max_seq_length": 12, "do_lower_case": true}),
        );
        let error = length().unwrap_err().to_string();
        assert!(
            error.contains("sentence_bert_config.json") && error.contains("`do_lower_case`"),
            "{error}"
        );
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
