//! `builtin:encoder`: a static sentence encoder, potion-base-8M, with its license and the README that says where it is from.
//!
//! Bytes alone, apart from the other assets: whoever does not name it does not compile 8 MB.

/// Files of the model: name and content.
pub const FILES: &[(&str, &[u8])] = &[
    ("config.json", include_bytes!("../encoder/config.json")),
    (
        "model.safetensors",
        include_bytes!("../encoder/model.safetensors"),
    ),
    (
        "tokenizer.json",
        include_bytes!("../encoder/tokenizer.json"),
    ),
    // Goes along wherever the model is copied to.
    ("LICENSE.txt", include_bytes!("../LICENSE")),
];

/// Where it is from, and what it cannot do.
pub const README: &str = include_str!("../README.md");
