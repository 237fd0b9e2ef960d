//! Which families of models there are, and what they are called.

/// A family of models: one `model_type` of `config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// GPT-2 (Radford et al. 2019).
    Gpt2,
    /// Llama (Touvron et al. 2023).
    Llama,
    /// BERT (Devlin et al. 2018).
    Bert,
    /// MPNet (Song et al. 2020).
    Mpnet,
}

impl Family {
    /// All families, in the order in which messages list them.
    pub const ALL: [Self; 4] = [Self::Gpt2, Self::Llama, Self::Bert, Self::Mpnet];

    /// The family of a `model_type`, where it is supported.
    pub fn of(model_type: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|family| family.model_type() == model_type)
    }

    /// Its name in `model_type`.
    pub const fn model_type(self) -> &'static str {
        match self {
            Self::Gpt2 => "gpt2",
            Self::Llama => "llama",
            Self::Bert => "bert",
            Self::Mpnet => "mpnet",
        }
    }

    /// Whether it writes text: its blocks see earlier tokens alone.
    pub const fn is_causal(self) -> bool {
        matches!(self, Self::Gpt2 | Self::Llama)
    }

    /// Prefix of the body's tensors in files that hold a head too.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Gpt2 => "transformer.",
            Self::Llama => "model.",
            Self::Bert => "bert.",
            Self::Mpnet => "mpnet.",
        }
    }

    /// What the names of its classes in `transformers` begin with.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Gpt2 => "GPT2",
            Self::Llama => "Llama",
            Self::Bert => "Bert",
            Self::Mpnet => "MPNet",
        }
    }

    /// What the name of its class for next-token prediction ends in.
    pub(super) const fn causal_suffix(self) -> &'static str {
        match self {
            Self::Gpt2 => "LMHeadModel",
            _ => "ForCausalLM",
        }
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
