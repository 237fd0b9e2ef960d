//! Which families of models there are, and what they are called.

/// A family of models: one `model_type` of `config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the names are those of the papers and of `transformers`"
)]
pub enum Family {
    /// GPT-2 (Radford et al. 2019).
    Gpt2,
    /// GPT-NeoX and Pythia (Black et al. 2022).
    GptNeox,
    /// Llama (Touvron et al. 2023), SmolLM2.
    Llama,
    /// Mistral (Jiang et al. 2023).
    Mistral,
    /// Qwen2 and Qwen2.5.
    Qwen2,
    Qwen3,
    SmolLm3,
    /// Phi-3 and Phi-4 (Abdin et al. 2024).
    Phi3,
    /// OLMo 2 (OLMo et al. 2024).
    Olmo2,
    /// Gemma 3, text only.
    Gemma3,
    /// BERT (Devlin et al. 2018).
    Bert,
    /// RoBERTa (Liu et al. 2019).
    Roberta,
    /// XLM-RoBERTa (Conneau et al. 2020).
    XlmRoberta,
    /// DistilBERT (Sanh et al. 2019).
    DistilBert,
    /// ELECTRA (Clark et al. 2020).
    Electra,
    /// MPNet (Song et al. 2020).
    Mpnet,
    /// DeBERTa-v2 and -v3 (He et al. 2021).
    DebertaV2,
    /// ModernBERT (Warner et al. 2024).
    ModernBert,
    /// Static embeddings of model2vec.
    Model2Vec,
}

struct Called {
    model_type: &'static str,
    /// Before the body's tensors in files that hold a head too.
    prefix: &'static str,
    /// What the names of its classes in `transformers` begin with.
    class: &'static str,
}

const fn called(model_type: &'static str, prefix: &'static str, class: &'static str) -> Called {
    Called {
        model_type,
        prefix,
        class,
    }
}

impl Family {
    /// All families, in the order in which messages list them.
    pub const ALL: [Self; 19] = [
        Self::Gpt2,
        Self::GptNeox,
        Self::Llama,
        Self::Mistral,
        Self::Qwen2,
        Self::Qwen3,
        Self::SmolLm3,
        Self::Phi3,
        Self::Olmo2,
        Self::Gemma3,
        Self::Bert,
        Self::Roberta,
        Self::XlmRoberta,
        Self::DistilBert,
        Self::Electra,
        Self::Mpnet,
        Self::DebertaV2,
        Self::ModernBert,
        Self::Model2Vec,
    ];

    const fn called(self) -> Called {
        match self {
            Self::Gpt2 => called("gpt2", "transformer.", "GPT2"),
            Self::GptNeox => called("gpt_neox", "gpt_neox.", "GPTNeoX"),
            Self::Llama => called("llama", "model.", "Llama"),
            Self::Mistral => called("mistral", "model.", "Mistral"),
            Self::Qwen2 => called("qwen2", "model.", "Qwen2"),
            Self::Qwen3 => called("qwen3", "model.", "Qwen3"),
            Self::SmolLm3 => called("smollm3", "model.", "SmolLM3"),
            Self::Phi3 => called("phi3", "model.", "Phi3"),
            Self::Olmo2 => called("olmo2", "model.", "Olmo2"),
            Self::Gemma3 => called("gemma3_text", "model.", "Gemma3"),
            Self::Bert => called("bert", "bert.", "Bert"),
            Self::Roberta => called("roberta", "roberta.", "Roberta"),
            Self::XlmRoberta => called("xlm-roberta", "roberta.", "XLMRoberta"),
            Self::DistilBert => called("distilbert", "distilbert.", "DistilBert"),
            Self::Electra => called("electra", "electra.", "Electra"),
            Self::Mpnet => called("mpnet", "mpnet.", "MPNet"),
            Self::DebertaV2 => called("deberta-v2", "deberta.", "DebertaV2"),
            Self::ModernBert => called("modernbert", "model.", "ModernBert"),
            Self::Model2Vec => called("model2vec", "", "Static"),
        }
    }

    /// The family of a `model_type`, where it is supported.
    pub fn of(model_type: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|family| family.model_type() == model_type)
    }

    /// Its name in `model_type` of `config.json`.
    pub const fn model_type(self) -> &'static str {
        self.called().model_type
    }

    /// Whether it writes text: its blocks see earlier tokens alone.
    pub(crate) const fn is_causal(self) -> bool {
        match self {
            Self::Gpt2
            | Self::GptNeox
            | Self::Llama
            | Self::Mistral
            | Self::Qwen2
            | Self::Qwen3
            | Self::SmolLm3
            | Self::Phi3
            | Self::Olmo2
            | Self::Gemma3 => true,
            Self::Bert
            | Self::Roberta
            | Self::XlmRoberta
            | Self::DistilBert
            | Self::Electra
            | Self::Mpnet
            | Self::DebertaV2
            | Self::ModernBert
            | Self::Model2Vec => false,
        }
    }

    /// Prefix of the body's tensors in files that hold a head too.
    pub const fn prefix(self) -> &'static str {
        self.called().prefix
    }

    /// The class of `transformers` for one of its heads.
    pub(crate) fn class_name(self, head: super::Head) -> String {
        use super::Head;
        let suffix = match (head, self) {
            (Head::CausalLm, Self::Gpt2) => "LMHeadModel",
            (Head::CausalLm, _) => "ForCausalLM",
            (Head::Encoder, Self::Gemma3) => "TextModel",
            (Head::Encoder, _) => "Model",
            (Head::SequenceClassification, Self::Gemma3) => "TextForSequenceClassification",
            (Head::SequenceClassification, _) => "ForSequenceClassification",
            (Head::TokenClassification, _) => "ForTokenClassification",
        };
        format!("{}{suffix}", self.called().class)
    }

    /// The names of the families that fulfil a condition, as messages list them: "`gpt2`, `llama` and `bert`".
    pub fn list(condition: impl Fn(Self) -> bool) -> String {
        let names: Vec<String> = Self::ALL
            .into_iter()
            .filter(|family| condition(*family))
            .map(|family| format!("`{}`", family.model_type()))
            .collect();
        match names.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
            None => String::new(),
        }
    }
}
