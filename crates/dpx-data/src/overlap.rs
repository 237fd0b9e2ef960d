//! Whether a text that is called public holds private texts: by pieces of 13 words, and by whole texts where they are shorter.
//!
//! Words are runs of letters and digits, without case; where nothing parts words, as in Chinese, each sign is one. A text with
//! escapes of JSON, entities or tags of HTML is compared without them as well. A private text of 13 words or more is found by any 13 words in a row, one
//! of 8 to 12 words by all of its words, both also where a public file breaks them into lines; one of 6 or 7 by a line that
//! equals it. Shorter texts ("thank you so much") stand in any large corpus: they count where more than a few lines, and more
//! than a fiftieth of the short lines or texts, are equal; and fields of tables, as which clauses between commas count too,
//! where more than a fifth are; and turns of conversations of fewer than 8 words, where more than half are. So do texts of 8 to 12 words that lines break only where the text itself makes a stop ("Hi! What
//! do you want to talk about?"): whoever writes a line a sentence may have written both by chance.

mod decoded;
mod hashes;
mod words;

use super::fault::fault;
use decoded::decoded;
use hashes::Hashes;
use std::collections::{HashMap, HashSet};
use words::{Tail, Words};

/// Words of a piece.
const PIECE: usize = 13;
/// From so many words on, a whole private text counts also where it is a part of a public line.
const EMBEDDED: usize = 8;
/// From so many words on, a single line that equals a private text counts, if that is a whole record.
const TELLING: usize = 6;
/// Share of the distinct short lines or short texts above which equal ones are no coincidence.
const COMMON_SHARE: f64 = 0.02;
/// The same for fields of tables, as which clauses between commas count too.
const COMMON_FIELD_SHARE: f64 = 0.2;
/// The same for short turns of conversations ("how are you"), of which any two collections have many in common.
const COMMON_TURN_SHARE: f64 = 0.5;
/// Equal short lines up to this number may be a coincidence whatever their share is.
const COMMON_LINES: usize = 3;
/// What parts the fields of a line.
const SEPARATORS: [char; 5] = ['\t', ',', ';', '|', '"'];
/// Line numbers that are told.
const SHOWN: usize = 20;

/// What a public text has in common with private ones: numbers alone, no content. It is a function of the private texts.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Overlap {
    /// Lines that hold private texts, or pieces of them.
    pub lines: u64,
    /// The numbers of the first of them, counted from 1.
    pub first: Vec<u64>,
    /// Short lines that equal a private text, and places where sentences of neighboring lines together do,
    /// few enough to be a coincidence.
    pub coincidences: u64,
}

impl Overlap {
    /// Whether nothing was found.
    pub const fn is_none(&self) -> bool {
        self.lines == 0
    }

    fn new(mut lines: Vec<u64>, coincidences: u64) -> Self {
        lines.sort_unstable();
        lines.dedup();
        let count = lines.len() as u64;
        lines.truncate(SHOWN);
        Self {
            lines: count,
            first: lines,
            coincidences,
        }
    }
}

/// Private texts, ready to be looked for.
#[derive(Debug)]
pub struct PrivateTexts<'a> {
    texts: Vec<&'a str>,
    pieces: Hashes,
    /// Of texts shorter than a piece. They are few and stay in the processor's cache: a public word begins one piece, but up
    /// to five shorter texts, each to be looked for.
    shorter: Hashes,
    /// Which numbers of words below [`PIECE`] a private text has.
    lengths: [bool; PIECE],
    /// Distinct short texts.
    short: usize,
    /// Distinct texts of [`EMBEDDED`] words or more that are shorter than a piece.
    whole: usize,
    /// Texts of fewer words are short.
    telling: usize,
    /// Shares of short lines, and of short fields, above which equal ones are no coincidence.
    shares: [f64; 2],
}

impl<'a> PrivateTexts<'a> {
    /// Takes in texts, each a record: eight bytes for each word.
    pub fn new(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::read(texts, TELLING, [COMMON_SHARE, COMMON_FIELD_SHARE])
    }

    /// Takes in turns of conversations, of which one says less than a text that is a whole record.
    pub fn of_turns(turns: impl IntoIterator<Item = &'a str>) -> Self {
        Self::read(turns, EMBEDDED, [COMMON_TURN_SHARE; 2])
    }

    fn read(texts: impl IntoIterator<Item = &'a str>, telling: usize, shares: [f64; 2]) -> Self {
        let texts: Vec<&str> = texts.into_iter().collect();
        let (mut pieces, mut shorter) = (Vec::new(), Vec::new());
        let mut lengths = [false; PIECE];
        let (mut short, mut whole) = (HashSet::new(), HashSet::new());
        let mut words = Words::default();
        for text in &texts {
            forms(&mut words, text, |words, is_written| {
                let count = words.ends.len();
                if fault!(ShortTextsIgnored) && count < PIECE {
                    return;
                }
                if count < PIECE {
                    lengths[count] |= count > 0;
                    if !is_written {
                        // A text is one text, in however many forms it is looked for.
                    } else if (1..telling).contains(&count) {
                        short.insert(words.hash(0, count));
                    } else if count >= EMBEDDED {
                        whole.insert(words.hash(0, count));
                    }
                }
                let hashes = if count < PIECE {
                    &mut shorter
                } else {
                    &mut pieces
                };
                hashes.extend(words.windows().map(|(hash, _)| hash));
            });
        }
        Self {
            texts,
            pieces: Hashes::new(pieces),
            shorter: Hashes::new(shorter),
            lengths,
            short: short.len(),
            whole: whole.len(),
            telling,
            shares,
        }
    }

    /// The texts of a table that dpx wrote: its first column, without the header.
    pub fn of_table(csv: &str) -> Vec<String> {
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(csv.as_bytes());
        let rows = reader.records().filter_map(Result::ok);
        rows.filter_map(|row| row.get(0).map(str::to_owned))
            .collect()
    }

    fn has(&self, hash: u64, words: usize) -> bool {
        if words == PIECE {
            self.pieces.has(hash)
        } else {
            self.shorter.has(hash)
        }
    }

    /// Looks for the private texts in a public one. Hashes that agree are confirmed by their words.
    pub fn overlap(&self, public: &str) -> Overlap {
        let candidates = self.candidates(public);
        let confirmed = self.confirmed(&candidates);
        let mut telling = Vec::new();
        // What may be a coincidence: where it is, and which texts it equals.
        let mut open = [(); 3].map(|()| (Vec::new(), HashSet::new()));
        for candidate in &candidates.found {
            let Some(joined) = confirmed.get(&(candidate.hash, candidate.digest)) else {
                continue;
            };
            let kind = match candidate.what {
                What::Telling => None,
                What::Broken(breaks) if breaks & joined != 0 => None,
                What::ShortLine => Some(0),
                What::ShortField => Some(1),
                What::Broken(_) => Some(2),
            };
            match kind {
                None => telling.push(candidate.line),
                Some(kind) => {
                    let (lines, texts) = &mut open[kind];
                    lines.push(candidate.line);
                    texts.insert(candidate.hash);
                }
            }
        }
        let mut coincidences = 0;
        let [lines, fields] = candidates.short;
        let among = [
            (self.shares[0], lines, self.short),
            (self.shares[1], fields, self.short),
            (COMMON_SHARE, candidates.lines, self.whole),
        ];
        for ((lines, texts), (share, public, private)) in open.into_iter().zip(among) {
            let common = |of: usize| texts.len() as f64 > share * of as f64;
            if texts.len() > COMMON_LINES && (common(public) || common(private)) {
                telling.extend(lines);
            } else {
                coincidences += lines.len() as u64;
            }
        }
        Overlap::new(telling, coincidences)
    }

    /// The first place in each line at which a hash agrees, and every one at which the whole of a text does across lines.
    fn candidates(&self, public: &str) -> Candidates {
        let mut found: Vec<Candidate> = Vec::new();
        let (mut short_lines, mut short_fields) = (HashSet::new(), HashSet::new());
        // The words of the lines before that a piece can begin in.
        let mut tail = Tail::default();
        let (mut words, mut field) = (Words::default(), Words::default());
        let mut lines = 0;
        for (written, number) in public.lines().zip(1..) {
            let plain = decoded(written).filter(|_| !fault!(EscapesUnread));
            // The form without escapes last: what crosses the ends of lines is looked for in that.
            let forms = match &plain {
                None => [None, Some(written)],
                Some(plain) => [Some(written), Some(plain.as_str())],
            };
            let mut hit: Option<Hit> = None;
            for line in forms.into_iter().flatten() {
                words.read(line);
                let count = words.ends.len();
                if count == 0 {
                    continue;
                }
                if hit.is_some_and(|(.., what)| what == What::Telling) {
                    continue;
                }
                if count < self.telling {
                    let hash = words.hash(0, count);
                    short_lines.insert(hash);
                    if self.has(hash, count) {
                        hit = Some((hash, words.digest(0, count), number, What::ShortLine));
                    }
                } else if count < EMBEDDED {
                    let hash = words.hash(0, count);
                    if self.has(hash, count) {
                        hit = Some((hash, words.digest(0, count), number, What::Telling));
                    }
                } else if let Some((hash, at, length)) = self.embedded(&words) {
                    hit = Some((hash, words.digest(at, length), number, What::Telling));
                }
                // A line of a table or of JSON: a text stands among labels and names.
                if hit.is_none() && line.contains(SEPARATORS) {
                    for part in line.split(SEPARATORS) {
                        field.read(part);
                        let count = field.ends.len();
                        if count == 0 || count >= EMBEDDED {
                            continue;
                        }
                        let hash = field.hash(0, count);
                        short_fields.insert(hash);
                        if hit.is_none() && self.has(hash, count) {
                            hit = Some((hash, field.digest(0, count), number, What::ShortField));
                        }
                    }
                }
            }
            if words.ends.is_empty() && hit.is_none() {
                continue;
            }
            lines += 1;
            let mut piece = None;
            tail.push(&words, number, |hash, length, place| {
                let wanted = length == PIECE || self.lengths[length] && !fault!(ShortLinesAlone);
                if !wanted || fault!(LinesAlone) || !self.has(hash, length) {
                    return;
                }
                let (digest, line, breaks) = place();
                if length == PIECE {
                    piece.get_or_insert((hash, digest, line, What::Telling));
                } else {
                    found.push(Candidate {
                        hash,
                        digest,
                        line,
                        what: What::Broken(breaks),
                    });
                }
            });
            // A piece says more than a short line.
            if piece.is_some() && hit.is_none_or(|(.., what)| what != What::Telling) {
                hit = piece;
            }
            if let Some((hash, digest, line, what)) = hit
                && found
                    .last()
                    .is_none_or(|last| last.line != line || last.what != What::Telling)
            {
                found.push(Candidate {
                    hash,
                    digest,
                    line,
                    what,
                });
            }
        }
        Candidates {
            found,
            short: [short_lines.len(), short_fields.len()],
            lines,
        }
    }

    /// The first whole private text of 8 to 12 words, or piece, within a line: hash, first word, words.
    fn embedded(&self, words: &Words) -> Option<(u64, usize, usize)> {
        let count = words.ends.len();
        (0..=count - EMBEDDED).find_map(|at| {
            (EMBEDDED..=PIECE.min(count - at))
                .filter(|&length| length == PIECE || self.lengths[length])
                .map(|length| (words.hash(at, length), at, length))
                .find(|&(hash, _, length)| self.has(hash, length))
        })
    }

    /// Which of the candidates are private texts word by word, with the words behind which one of these texts goes on without a
    /// stop, a bit each.
    fn confirmed(&self, candidates: &Candidates) -> HashMap<(u64, [u8; 16]), u16> {
        let open: HashSet<u64> = candidates.found.iter().map(|one| one.hash).collect();
        let mut confirmed: HashMap<(u64, [u8; 16]), u16> = HashMap::new();
        if open.is_empty() {
            return confirmed;
        }
        let mut words = Words::default();
        for text in &self.texts {
            forms(&mut words, text, |words, _| {
                let length = words.ends.len().min(PIECE);
                for (hash, at) in words.windows() {
                    if open.contains(&hash) {
                        *confirmed
                            .entry((hash, words.digest(at, length)))
                            .or_default() |= words.joined(at, length);
                    }
                }
            });
        }
        confirmed
    }
}

/// A place at which a hash agrees: it, the digest of its words, the line.
type Hit = (u64, [u8; 16], u64, What);

/// Reads a private text as it is written, and without escapes where it has some.
fn forms(words: &mut Words, text: &str, mut take: impl FnMut(&Words, bool)) {
    words.read(text);
    take(words, true);
    if let Some(plain) = decoded(text) {
        words.read(&plain);
        take(words, false);
    }
}

struct Candidates {
    /// In the order of their lines.
    found: Vec<Candidate>,
    /// Distinct short lines, and distinct fields of fewer than [`EMBEDDED`] words.
    short: [usize; 2],
    /// Lines with words.
    lines: usize,
}

struct Candidate {
    hash: u64,
    digest: [u8; 16],
    line: u64,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// A piece, or a text of six words or more.
    Telling,
    /// A line of fewer words than count by themselves (`telling`).
    ShortLine,
    /// A field of fewer than [`EMBEDDED`] words.
    ShortField,
    /// A text of [`EMBEDDED`] words or more, shorter than a piece, that lines break behind these words: a bit each.
    Broken(u16),
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization;

    fn found(private: &[&str], public: &str) -> Overlap {
        PrivateTexts::new(private.iter().copied()).overlap(public)
    }

    const LONG: &str = "I never told anybody, but in March we moved to a house by the old mill.";

    #[test]
    fn thirteen_words_are_found_wherever_they_stand() {
        let public = "nothing here\nas she wrote: never told anybody but in march WE moved to - a house by the\nnor here";
        let overlap = found(&["another text", LONG], public);
        assert_eq!((overlap.lines, overlap.first), (1, vec![2]));
        // Twelve of them are not.
        let fewer = "never told anybody but in march we moved to a house";
        assert!(found(&[LONG], fewer).is_none());
    }

    #[test]
    fn lines_that_break_a_text_hide_nothing() {
        broken_lines();
    }

    pub(crate) fn broken_lines() {
        let words: Vec<&str> = LONG.split(' ').collect();
        for wide in 1..words.len() {
            let public: Vec<String> = words.chunks(wide).map(|line| line.join(" ")).collect();
            let public = format!("one more line\n\n{}\nand the end", public.join("\n"));
            let overlap = found(&[LONG], &public);
            assert!(overlap.lines >= 1, "{wide} words a line");
            assert_eq!(overlap.first[0], 3, "{wide} words a line");
        }
    }

    #[test]
    fn lines_that_break_a_shorter_text_hide_nothing() {
        broken_short_texts();
    }

    pub(crate) fn broken_short_texts() {
        for text in [
            "we both know that he did it twice",
            "she said he had stopped eating again on the ninth",
            "on the ninth of march she told the doctor about her son",
        ] {
            let words: Vec<&str> = text.split(' ').collect();
            assert!((EMBEDDED..PIECE).contains(&words.len()));
            for wide in 1..words.len() {
                let lines: Vec<String> = words.chunks(wide).map(|line| line.join(" ")).collect();
                for around in ["", "and so on"] {
                    let public = format!(
                        "one more line\n\nthen {} {around}\nand the end",
                        lines.join("\n")
                    );
                    let overlap = found(&[LONG, text], &public);
                    assert_eq!(
                        (overlap.lines, overlap.first),
                        (1, vec![3]),
                        "{wide} words a line: {public}"
                    );
                }
            }
        }
    }

    /// Sentences that many people say stand behind one another by chance.
    #[test]
    fn a_line_that_ends_where_a_text_stops_may_be_chance() {
        let text = "Hi! What do you want to talk about tonight?";
        let overlap = found(&[text], "hi\nwhat do you want to talk about tonight");
        assert_eq!((overlap.lines, overlap.coincidences), (0, 1));
        // Where the text goes on, it is no chance; nor where another private text does.
        for (private, public) in [
            ([text, LONG], "hi what do you\nwant to talk about tonight"),
            ([text, LONG], "hi\nwhat do you want to talk\nabout tonight"),
            (
                [text, "hi what do you want to talk about tonight"],
                "hi\nwhat do you want to talk about tonight",
            ),
        ] {
            assert_eq!(found(&private, public).first, [1], "{public}");
        }
        // A corpus of private texts, a line a sentence.
        let texts: Vec<String> = (0..60)
            .map(|number| format!("Yes, thanks. The parcel number {number} came on Monday."))
            .collect();
        let private = PrivateTexts::new(texts.iter().map(String::as_str));
        let sentences = |texts: &[String]| texts.join("\n").replace("thanks. ", "thanks.\n");
        let filler = "one more line\n".repeat(1000);
        let few = private.overlap(&format!("{filler}{}", sentences(&texts[..3])));
        assert_eq!((few.lines, few.coincidences), (0, 3));
        let many = private.overlap(&format!("{filler}{}", sentences(&texts)));
        assert_eq!((many.lines, many.first[0]), (60, 1001));
    }

    #[test]
    fn shorter_texts_count_whole() {
        short_texts();
    }

    pub(crate) fn short_texts() {
        let eight = "we both know that he did it twice";
        assert_eq!(found(&[eight], &format!("joy,\"{eight}\"")).first, [1]);
        assert!(found(&[eight], "we both know that he did it once").is_none());
        let six = "he has been ill since May";
        assert_eq!(found(&[six], "HE has been ill, since may!").first, [1]);
        assert!(found(&[six], "joy: he has been ill since may").is_none());
        let short = found(&["thank you"], "thank you\nthank you\nno");
        assert_eq!((short.lines, short.coincidences), (0, 2));
    }

    /// A list of private names that is called a list of keywords.
    #[test]
    fn many_equal_short_lines_are_no_coincidence() {
        let names: Vec<String> = (0..50)
            .map(|number| format!("Ann Smith {number}"))
            .collect();
        let public = format!("some\nother\nwords\n{}", names.join("\n"));
        let overlap = PrivateTexts::new(names.iter().map(String::as_str)).overlap(&public);
        assert_eq!((overlap.lines, overlap.first[0]), (50, 4));
        assert_eq!(overlap.first.len(), SHOWN);
        // A table of them, with labels.
        let table: Vec<String> = names.iter().map(|name| format!("{name},joy")).collect();
        let texts = names.iter().map(String::as_str);
        assert_eq!(
            PrivateTexts::new(texts).overlap(&table.join("\n")).lines,
            50
        );
        // The same among many other private texts, and in a list of little else.
        let others: Vec<String> = (0..9000).map(|number| format!("text {number}")).collect();
        let texts = names.iter().chain(&others).map(String::as_str);
        assert_eq!(PrivateTexts::new(texts).overlap(&public).lines, 50);
    }

    /// What everybody says in a conversation is nobody's.
    #[test]
    fn short_turns_are_common_to_all_conversations() {
        let turns: Vec<String> = (0..100).map(|number| format!("say {number}")).collect();
        let all = || turns.iter().map(String::as_str);
        let corpus = |equal: usize| {
            let others = (0..900).map(|number| format!("other {number}"));
            turns.iter().take(equal).cloned().chain(others)
        };
        let public = |equal| corpus(equal).collect::<Vec<_>>().join("\n");
        assert_eq!(PrivateTexts::new(all()).overlap(&public(30)).lines, 30);
        let found = PrivateTexts::of_turns(all()).overlap(&public(30));
        assert_eq!((found.lines, found.coincidences), (0, 30));
        assert_eq!(PrivateTexts::of_turns(all()).overlap(&public(60)).lines, 60);
        // A longer turn tells by itself; what a whole record of six words tells, a turn does not.
        let one = "we both know that he did it twice";
        assert_eq!(PrivateTexts::of_turns([one]).overlap(one).lines, 1);
        let one = "what do you want to do";
        assert_eq!(PrivateTexts::new([one]).overlap(one).lines, 1);
        assert_eq!(PrivateTexts::of_turns([one]).overlap(one).coincidences, 1);
    }

    #[test]
    fn texts_of_a_table_are_those_of_its_first_column() {
        let csv =
            "text,label\n\"one, \"\"two\"\"\n and three\",joy\nfour,\"a, \"\"b\"\"\"\n,fear\n";
        let expected = ["one, \"two\"\n and three", "four", ""];
        assert_eq!(PrivateTexts::of_table(csv), expected);
    }

    /// The private file itself, as other programs write it.
    #[test]
    fn escapes_and_tags_hide_nothing() {
        escaped();
    }

    pub(crate) fn escaped() {
        let words: Vec<&str> = LONG.split(' ').collect();
        let french = "l'été dernier elle a quitté l'hôtel très tôt, même après nous avoir déjà payé la forêt";
        let russian =
            "в марте мы переехали в дом у старой мельницы и никому об этом так и не сказали";
        let unicode = |text: &str| -> String {
            let units = text.encode_utf16();
            units
                .map(|unit| match u8::try_from(unit) {
                    Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
                    _ => format!("\\u{unit:04x}"),
                })
                .collect()
        };
        for (private, public) in [
            (words.join("\n"), words.join("\\n")),
            (LONG.to_owned(), words.join("<br>")),
            (LONG.to_owned(), words.join("</p>\n<p>")),
            (LONG.to_owned(), words.join("&nbsp;")),
            (words.join("<br>"), words.join("\\u003cbr\\u003e")),
            (words.join("<br>"), words.join("\n")),
            (french.to_owned(), unicode(french)),
            (russian.to_owned(), unicode(russian)),
            (
                french.to_owned(),
                french.replace('é', "&eacute;").replace('ê', "&#234;"),
            ),
        ] {
            for line in [
                public.clone(),
                format!("{{\"text\": \"{public}\", \"label\": \"neg\"}}"),
            ] {
                let overlap = found(&[&private], &format!("one more line\n{line}\nand the end"));
                assert_eq!(overlap.first.first(), Some(&2), "{line}");
            }
        }
        // As it is written it is found as well.
        let path =
            r"we copied all of it to C:\new\table\under\friends and then it was gone for good";
        assert_eq!(found(&[path], &format!("x {path}")).lines, 1);
        let six = "<b>he has been ill since May</b>";
        assert_eq!(found(&["he has been ill since May"], six).lines, 1);
        // Nothing is found where nothing is.
        assert!(found(&[LONG], &words[..9].join("<br>")).is_none());
    }

    /// Where nothing parts words, a text within a longer line is one all the same.
    #[test]
    fn texts_without_spaces_are_found_within_others() {
        unspaced();
    }

    pub(crate) fn unspaced() {
        let chinese = "三月九日她告诉医生，她的儿子又不吃东西了";
        let japanese = "三月に私たちは古い水車のそばの家に引っ越したが誰にも言わなかった";
        for private in [chinese, japanese] {
            for public in [
                format!("用户说{private}谢谢你"),
                format!("id17{private}end"),
                private.replace('，', "\n"),
            ] {
                assert!(!found(&[private], &public).is_none(), "{public}");
            }
            assert!(found(&[private], "今天天气很好，我们一起去公园散步吧").is_none());
        }
        // Polite words in one script are one word.
        let thanks = found(
            &["ありがとうございました"],
            "こちらこそ、ありがとうございました。",
        );
        assert!(thanks.is_none(), "{thanks:?}");
    }

    #[test]
    fn composed_and_decomposed_letters_are_one() {
        let text = "d\u{e9}j\u{e0} vu hier soir chez Zo\u{e9} et ses amis";
        let other: String = text.nfd().collect();
        assert_eq!(found(&[text], &other).lines, 1);
    }

    #[test]
    fn a_hash_that_agrees_by_chance_is_not_confirmed() {
        let private = PrivateTexts::new([LONG]);
        let mut candidates = private.candidates(LONG);
        assert_eq!(private.confirmed(&candidates).len(), 1);
        candidates.found[0].digest = [0; 16];
        let digest = candidates.found[0].digest;
        let hash = candidates.found[0].hash;
        assert!(!private.confirmed(&candidates).contains_key(&(hash, digest)));
    }

    #[test]
    fn what_is_built_in_has_nothing_in_common() {
        let emotions = crate::builtin::emotions();
        let rows = emotions.splits().into_iter().flat_map(|(_, rows)| rows);
        let private = PrivateTexts::new(rows.map(|row| row.text.as_str()));
        let dialogue = crate::builtin::dialogue().join("\n");
        let overlap = private.overlap(&dialogue);
        assert!(overlap.is_none(), "{overlap:?}");
        assert!(overlap.coincidences > 0, "short lines are looked at");
        let words: Vec<String> = crate::builtin::words()
            .into_iter()
            .map(|(word, _)| word)
            .collect();
        assert!(private.overlap(&words.join("\n")).is_none());
        // One text of the data in it is found.
        let is_long = |row: &&crate::Row| row.text.split(' ').count() > 9;
        let text = &emotions.test.iter().find(is_long).unwrap().text;
        let leaky = format!("{dialogue}\n{text}");
        let found = private.overlap(&leaky);
        assert!(
            found.lines >= 1 && found.first.contains(&32_001),
            "{found:?}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Against a direct comparison of words, over few words so that much agrees.
        #[test]
        fn it_agrees_with_a_direct_comparison(
            private in prop::collection::vec(prop::collection::vec(0u8..3, 1..18), 1..6),
            public in prop::collection::vec(prop::collection::vec(0u8..3, 0..30), 0..8),
        ) {
            let word = |number: &u8| ["a", "b", "c"][usize::from(*number)];
            let joined = |text: &Vec<u8>| text.iter().map(word).collect::<Vec<_>>().join(" ");
            let texts: Vec<String> = private.iter().map(joined).collect();
            let lines: Vec<String> = public.iter().map(joined).collect();
            let overlap = PrivateTexts::new(texts.iter().map(String::as_str)).overlap(&lines.join("\n"));
            // The direct way, without texts and lines of fewer than six words.
            let all: Vec<(u8, u64)> = public
                .iter()
                .zip(1u64..)
                .flat_map(|(line, number)| line.iter().map(move |&word| (word, number)))
                .collect();
            let mut expected = HashSet::new();
            for text in &private {
                if text.len() >= EMBEDDED {
                    let length = text.len().min(PIECE);
                    for piece in text.windows(length) {
                        for place in all.windows(length) {
                            if place.iter().map(|(word, _)| word).eq(piece) {
                                expected.insert(place[0].1);
                            }
                        }
                    }
                } else if text.len() >= TELLING {
                    for (line, number) in public.iter().zip(1u64..) {
                        if line == text {
                            expected.insert(number);
                        }
                    }
                }
            }
            let has_short = private.iter().any(|text| text.len() < TELLING);
            if !has_short {
                // A line whose own beginning is known may hide that a piece crosses from it into the next.
                prop_assert_eq!(overlap.is_none(), expected.is_empty(), "{:?} {:?}", overlap, expected);
                prop_assert!(overlap.first.iter().all(|line| expected.contains(line)));
            }
        }
    }
}
