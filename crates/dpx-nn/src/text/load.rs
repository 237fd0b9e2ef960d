//! Reads tokenizers from model folders: the one-file format, the older ones, pieces of sentencepiece, and GGUF files.

use super::{TextError, classes, overrides, rules, sentencepiece};
use crate::{IS_POINTER, LFS_POINTER, gguf};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::{AddedToken, Tokenizer};

/// The tokenizer in a folder with the content of its `tokenizer_config.json`.
pub(super) fn from_folder(folder: &Path) -> Result<(Tokenizer, Map<String, Value>), TextError> {
    let mut config = configuration(folder)?;
    let model = of_model(folder);
    let mut class = classes::class_of(&config, &model);
    let one_file = folder.join("tokenizer.json");
    let pieces = folder.join("tokenizer.model");
    let file = gguf::find(folder).map_err(|problem| malformed(folder, &problem))?;
    let content = if one_file.is_file() {
        Some(read(&one_file)?)
    } else {
        None
    };
    let value = content.as_deref().map(|bytes| value_of(bytes, &one_file));
    let value = value.transpose()?;
    if class == "Llama" && value.as_ref().is_some_and(rules::byte_level) {
        class.clear();
    }
    if content.is_some() || (file.is_none() && !pieces.is_file()) {
        for (key, token) in rules::default_roles(&class) {
            config.entry(key).or_insert(token);
        }
    }
    let (path, mut tokenizer) = if let (Some(bytes), Some(value)) = (&content, value) {
        let tokenizer = parse_with(bytes, value, &one_file, &config, &class)?;
        (one_file.clone(), tokenizer)
    } else if let Some(file) = file {
        let (tokenizer, own) = gguf::Gguf::read(&file)
            .and_then(|found| gguf::tokenizer(&found))
            .map_err(|problem| malformed(&file, &problem))?;
        for (key, value) in own {
            config.entry(key).or_insert(value);
        }
        let tokenizer = parse(tokenizer.to_string().as_bytes(), &file)?;
        (file, tokenizer)
    } else if let Some((vocabulary, merges)) = gpt2_files(folder) {
        let mut tokenizer = unbroken(&vocabulary, || gpt2(&vocabulary, &merges, &config, &class))?;
        if class == "Qwen2" {
            let text = tokenizer.to_string(false).unwrap_or_default();
            let value = value_of(text.as_bytes(), &vocabulary)?;
            tokenizer = parse_with(text.as_bytes(), value, &vocabulary, &config, &class)?;
        }
        (vocabulary, tokenizer)
    } else if pieces.is_file() {
        let tokenizer = sentencepiece::read(&read(&pieces)?)
            .and_then(|found| found.tokenizer(&config))
            .map_err(|problem| malformed(&pieces, &problem))?;
        let tokenizer = parse(tokenizer.to_string().as_bytes(), &pieces)?;
        (pieces, tokenizer)
    } else {
        let vocabulary = folder.join("vocab.txt");
        let others = ["spiece.model", "sentencepiece.bpe.model", "spm.model"];
        if let Some(other) = others.iter().find(|name| folder.join(name).is_file()) {
            return Err(malformed(
                &folder.join(other),
                &"pieces of sentencepiece under this name are put in order by a class of `transformers` that dpx does not know: \
                  write `tokenizer.json` (AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER))",
            ));
        }
        if !vocabulary.is_file() {
            return Err(TextError::NoTokenizer {
                folder: folder.to_owned(),
            });
        }
        let tokenizer = unbroken(&vocabulary, || bert(&vocabulary, &config, &class))?;
        (vocabulary, tokenizer)
    };
    let added_tokens = folder.join("added_tokens.json");
    let added = if added_tokens.is_file() {
        parse_config(&read(&added_tokens)?, &added_tokens)?
    } else {
        Map::new()
    };
    let in_configuration = |problem: String| {
        let config = folder.join("tokenizer_config.json");
        malformed(if config.is_file() { &config } else { &path }, &problem)
    };
    // model2vec reads `tokenizer.json` and nothing else.
    if model.get("model_type") != Some(&"model2vec".into()) {
        overrides::add_tokens(&mut tokenizer, &config, &added).map_err(in_configuration)?;
    }
    // `transformers` 5 takes both from `tokenizer.json` alone, where there is one.
    if !one_file.is_file() {
        overrides::begin_and_end(&mut tokenizer, &config).map_err(in_configuration)?;
    }
    // What breaks on a letter shall break here, where the file has a name.
    unbroken(&path, || {
        let ids = tokenizer
            .encode_fast("a", true)
            .map(|found| found.get_ids().to_vec());
        drop(tokenizer.decode(&ids.unwrap_or_default(), false));
        Ok(())
    })?;
    overrides::check_around(&tokenizer, &config, &class).map_err(in_configuration)?;
    Ok((tokenizer, config))
}

/// What `tokenizer_config.json` says, and `special_tokens_map.json`, which counts for more, but only where the former lists no tokens.
pub(super) fn configuration(folder: &Path) -> Result<Map<String, Value>, TextError> {
    let object = |name: &str| {
        let path = folder.join(name);
        if path.is_file() {
            parse_config(&read(&path)?, &path)
        } else {
            Ok(Map::new())
        }
    };
    let mut config = object("tokenizer_config.json")?;
    if !config.contains_key("added_tokens_decoder") {
        config.append(&mut object("special_tokens_map.json")?);
    }
    Ok(config)
}

/// What the `config.json` of the model says, where it lies beside; nothing is wrong with a tokenizer where it does not.
pub(super) fn of_model(folder: &Path) -> Map<String, Value> {
    let bytes = std::fs::read(folder.join("config.json")).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// Runs code that panics on some damaged files; a panic becomes an error that names the file.
fn unbroken<T>(path: &Path, run: impl FnOnce() -> Result<T, TextError>) -> Result<T, TextError> {
    dpx_schema::guard(run).unwrap_or_else(|| {
        Err(malformed(
            path,
            &"it is damaged: the library that reads tokenizers gave up on it",
        ))
    })
}

/// Parses the content of a `tokenizer.json`.
pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Tokenizer, TextError> {
    unbroken(path, || {
        Tokenizer::from_bytes(bytes).map_err(|error| malformed(path, &error))
    })
}

fn value_of(bytes: &[u8], path: &Path) -> Result<Value, TextError> {
    serde_json::from_slice(bytes).map_err(|error| malformed(path, &error))
}

/// The same, changed as a `tokenizer_config.json` asks for.
fn parse_with(
    bytes: &[u8],
    mut value: Value,
    path: &Path,
    config: &Map<String, Value>,
    class: &str,
) -> Result<Tokenizer, TextError> {
    let before = value.clone();
    overrides::apply(&mut value, config, class)
        .map_err(|problem| malformed(&path.with_file_name("tokenizer_config.json"), &problem))?;
    if value == before {
        return parse(bytes, path);
    }
    parse(value.to_string().as_bytes(), path)
}

/// Parses the content of a `tokenizer_config.json`.
pub(super) fn parse_config(bytes: &[u8], path: &Path) -> Result<Map<String, Value>, TextError> {
    serde_json::from_slice(bytes).map_err(|error| malformed(path, &error))
}

fn gpt2_files(folder: &Path) -> Option<(PathBuf, PathBuf)> {
    [("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe")]
        .map(|(vocabulary, merges)| (folder.join(vocabulary), folder.join(merges)))
        .into_iter()
        .find(|(vocabulary, merges)| vocabulary.is_file() && merges.is_file())
}

fn gpt2(
    vocabulary: &Path,
    merges: &Path,
    config: &Map<String, Value>,
    class: &str,
) -> Result<Tokenizer, TextError> {
    let model = BPE::from_file(&vocabulary.to_string_lossy(), &merges.to_string_lossy())
        .build()
        .map_err(|error| malformed(vocabulary, &error))?;
    let mut tokenizer = Tokenizer::new(model);
    let spaced = config.get("add_prefix_space").and_then(Value::as_bool);
    byte_level(&mut tokenizer, spaced.unwrap_or(false));
    if class == "Roberta" {
        return roberta(tokenizer, vocabulary, config);
    }
    tokenizer
        .add_special_tokens([AddedToken::from("<|endoftext|>", true)])
        .map_err(|error| malformed(vocabulary, &error))?;
    Ok(tokenizer)
}

/// What RoBERTa's class adds: a token before and one behind each text.
fn roberta(
    mut tokenizer: Tokenizer,
    vocabulary: &Path,
    config: &Map<String, Value>,
) -> Result<Tokenizer, TextError> {
    let named = |role: &str, default: &str| {
        let given = config.get(role);
        let given = given.and_then(|value| value.as_str().or_else(|| value["content"].as_str()));
        given.unwrap_or(default).to_owned()
    };
    let with_id = |token: String| {
        let id = tokenizer.token_to_id(&token).ok_or_else(|| {
            malformed(
                vocabulary,
                &format!("the token `{token}` of a RoBERTa vocabulary is missing"),
            )
        })?;
        Ok((token, id))
    };
    let (begin, end) = (
        with_id(named("cls_token", "<s>"))?,
        with_id(named("sep_token", "</s>"))?,
    );
    let others = [
        ("unk_token", "<unk>"),
        ("pad_token", "<pad>"),
        ("mask_token", "<mask>"),
    ];
    let special: Vec<AddedToken> = others
        .map(|(role, default)| (named(role, default), role == "mask_token"))
        .into_iter()
        .chain([&begin, &end].map(|(token, _)| (token.clone(), false)))
        .filter(|(token, _)| tokenizer.token_to_id(token).is_some())
        // The mask takes the space before it away.
        .map(|(token, is_mask)| AddedToken::from(token, true).lstrip(is_mask))
        .collect();
    tokenizer
        .with_post_processor(Some(
            RobertaProcessing::new(end, begin)
                .trim_offsets(false)
                .add_prefix_space(false),
        ))
        .add_special_tokens(special)
        .map_err(|error| malformed(vocabulary, &error))?;
    Ok(tokenizer)
}

/// Gives a byte-level BPE model its pre-tokenizer, decoder and post-processor, as GPT-2 has them.
pub(super) fn byte_level(tokenizer: &mut Tokenizer, prefix_space: bool) {
    tokenizer
        .with_pre_tokenizer(Some(ByteLevel::new(prefix_space, true, true)))
        .with_decoder(Some(ByteLevel::default()))
        .with_post_processor(Some(ByteLevel::new(false, false, true)));
}

fn bert(
    vocabulary: &Path,
    config: &Map<String, Value>,
    class: &str,
) -> Result<Tokenizer, TextError> {
    let model = WordPiece::from_file(&vocabulary.to_string_lossy())
        .unk_token("[UNK]".into())
        .build()
        .map_err(|error| malformed(vocabulary, &error))?;
    let mut tokenizer = Tokenizer::new(model);
    let id = |token: &str| {
        tokenizer.token_to_id(token).ok_or_else(|| {
            malformed(
                vocabulary,
                &format!("the token `{token}` of a BERT vocabulary is missing"),
            )
        })
    };
    let (separator, begin) = (id("[SEP]")?, id("[CLS]")?);
    // BERT's classes lower the case of a cased vocabulary, too, unless they are told not to.
    let lowers = rules::BERT.contains(&class) || tokenizer.token_to_id("The").is_none();
    let given = |key: &str| config.get(key).and_then(Value::as_bool);
    let lowercase = given("do_lower_case").unwrap_or(lowers);
    tokenizer
        .with_normalizer(Some(BertNormalizer::new(
            true,
            given("tokenize_chinese_chars").unwrap_or(true),
            given("strip_accents"),
            lowercase,
        )))
        .map_err(|error| malformed(vocabulary, &error))?
        .with_pre_tokenizer(Some(BertPreTokenizer))
        .with_decoder(Some(tokenizers::decoders::wordpiece::WordPiece::default()))
        .with_post_processor(Some(BertProcessing::new(
            ("[SEP]".into(), separator),
            ("[CLS]".into(), begin),
        )));
    let present: Vec<AddedToken> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        .into_iter()
        .filter(|token| tokenizer.token_to_id(token).is_some())
        .map(|token| AddedToken::from(token, true))
        .collect();
    tokenizer
        .add_special_tokens(present)
        .map_err(|error| malformed(vocabulary, &error))?;
    Ok(tokenizer)
}

fn read(path: &Path) -> Result<Vec<u8>, TextError> {
    let bytes = std::fs::read(path).map_err(|source| TextError::File {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    if bytes.starts_with(LFS_POINTER) {
        return Err(malformed(path, &format!("it {IS_POINTER}")));
    }
    Ok(bytes)
}

fn malformed(path: &Path, error: &dyn std::fmt::Display) -> TextError {
    TextError::Malformed {
        path: path.to_owned(),
        message: error.to_string(),
    }
}

/// The configuration of a tokenizer trained here: one token begins, ends, pads and stands for the unknown, as in GPT-2.
pub(super) fn gpt2_config(end: &str) -> Map<String, Value> {
    let mut config = Map::new();
    for role in ["bos_token", "eos_token", "pad_token", "unk_token"] {
        config.insert(role.into(), json!(end));
    }
    config.insert("tokenizer_class".into(), json!("PreTrainedTokenizerFast"));
    config.insert("add_prefix_space".into(), json!(false));
    config
}
