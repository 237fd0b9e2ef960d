//! The few fields of a `tokenizer.model` that a tokenizer is made of, read from its protocol buffer.

use super::{Kind, Piece, Pieces};

/// Longest file that is read.
const MAX_BYTES: usize = 100_000_000;

enum Field<'a> {
    Number(u64),
    Bits([u8; 4]),
    Bytes(&'a [u8]),
    Other,
}

/// The fields of a message, in order.
struct Message<'a>(&'a [u8]);

const DAMAGED: &str = "it is no model of sentencepiece, or damaged";

impl<'a> Message<'a> {
    fn number(&mut self) -> Result<u64, String> {
        let mut number = 0_u64;
        for place in 0..10 {
            let (byte, rest) = self.0.split_first().ok_or(DAMAGED)?;
            self.0 = rest;
            number |= u64::from(byte & 127) << (7 * place);
            if byte & 128 == 0 {
                return Ok(number);
            }
        }
        Err(DAMAGED.into())
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], String> {
        let count = usize::try_from(count)
            .ok()
            .filter(|count| *count <= self.0.len());
        let (bytes, rest) = self.0.split_at(count.ok_or(DAMAGED)?);
        self.0 = rest;
        Ok(bytes)
    }

    /// The next field with its number.
    fn field(&mut self) -> Result<Option<(u64, Field<'a>)>, String> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.number()?;
        let field = match key & 7 {
            0 => Field::Number(self.number()?),
            1 => {
                self.take(8)?;
                Field::Other
            }
            2 => {
                let count = self.number()?;
                Field::Bytes(self.take(count)?)
            }
            5 => Field::Bits(self.take(4)?.try_into().map_err(|_| DAMAGED)?),
            _ => return Err(DAMAGED.into()),
        };
        Ok(Some((key >> 3, field)))
    }
}

fn piece(bytes: &[u8], number: usize) -> Result<Piece, String> {
    let mut piece = Piece {
        text: String::new(),
        score: 0.0,
        kind: Kind::Normal,
    };
    let mut message = Message(bytes);
    while let Some(field) = message.field()? {
        match field {
            (1, Field::Bytes(text)) => {
                let text = std::str::from_utf8(text);
                text.map_err(|_| format!("piece {number} is no UTF-8: {DAMAGED}"))?
                    .clone_into(&mut piece.text);
            }
            (2, Field::Bits(score)) => piece.score = f32::from_le_bytes(score),
            (3, Field::Number(kind)) => {
                piece.kind = Kind::of(kind)
                    .ok_or_else(|| format!("piece {number} is of the unknown type {kind}"))?;
            }
            _ => {}
        }
    }
    if piece.score.is_finite() {
        Ok(piece)
    } else {
        Err(format!(
            "piece {number} has the score {}: {DAMAGED}",
            piece.score
        ))
    }
}

/// Reads a model of the kinds unigram and BPE.
///
/// # Errors
/// When it is damaged, or something of it is not supported.
pub(in crate::text) fn read(bytes: &[u8]) -> Result<Pieces, String> {
    if bytes.len() > MAX_BYTES {
        return Err(format!(
            "it has {} bytes; at most {MAX_BYTES} are read",
            bytes.len()
        ));
    }
    let mut found = Pieces {
        vocabulary: Vec::new(),
        unigram: true,
        byte_fallback: false,
        unknown: 0,
        dummy_prefix: true,
        remove_extra_whitespaces: true,
        escape_whitespaces: true,
        charsmap: Vec::new(),
        user_defined_added: false,
    };
    let mut message = Message(bytes);
    while let Some(field) = message.field()? {
        match field {
            (1, Field::Bytes(bytes)) => {
                found.vocabulary.push(piece(bytes, found.vocabulary.len())?);
            }
            (2, Field::Bytes(bytes)) => trainer(bytes, &mut found)?,
            (3, Field::Bytes(bytes)) => normalizer(bytes, &mut found)?,
            _ => {}
        }
    }
    let unknown = found.vocabulary.get(found.unknown);
    if unknown.is_none_or(|piece| piece.kind != Kind::Unknown) {
        return Err(format!(
            "piece {} does not stand for the unknown: {DAMAGED}",
            found.unknown
        ));
    }
    Ok(found)
}

fn trainer(bytes: &[u8], found: &mut Pieces) -> Result<(), String> {
    let mut message = Message(bytes);
    while let Some(field) = message.field()? {
        match field {
            (3, Field::Number(1)) => found.unigram = true,
            (3, Field::Number(2)) => found.unigram = false,
            (3, Field::Number(_)) => {
                return Err("it is of the kind word or char of sentencepiece; unigram and BPE are read: write `tokenizer.json` with `transformers`".into());
            }
            (24, Field::Number(1)) => {
                return Err("`treat_whitespace_as_suffix` is set, which dpx does not know: write `tokenizer.json` with `transformers`".into());
            }
            (35, Field::Number(flag)) => found.byte_fallback = flag != 0,
            (40, Field::Number(id)) => found.unknown = usize::try_from(id).map_err(|_| DAMAGED)?,
            _ => {}
        }
    }
    Ok(())
}

fn normalizer(bytes: &[u8], found: &mut Pieces) -> Result<(), String> {
    let mut message = Message(bytes);
    while let Some(field) = message.field()? {
        match field {
            (2, Field::Bytes(rules)) => found.charsmap = rules.to_vec(),
            (3, Field::Number(flag)) => found.dummy_prefix = flag != 0,
            (4, Field::Number(flag)) => found.remove_extra_whitespaces = flag != 0,
            (5, Field::Number(flag)) => found.escape_whitespaces = flag != 0,
            _ => {}
        }
    }
    Ok(())
}
