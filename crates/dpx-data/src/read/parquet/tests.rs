//! Tests of reading parquet files; the files are written by the crate itself, or by pyarrow (`crates/dpx-data/tests/cases`).

use super::*;
use ::parquet::basic::{Repetition, Type as Physical};
use ::parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::types::Type;
use std::sync::Arc;

/// Writes columns `text` and `label`.
pub(crate) fn write_parquet(path: &Path, texts: &[&str], labels: &[i64]) {
    write_with(path, texts, labels, WriterProperties::builder().build());
}

/// As `write_parquet`, with the names of a ClassLabel as `datasets` stores them.
pub(crate) fn write_parquet_with_names(
    path: &Path,
    texts: &[&str],
    labels: &[i64],
    names: &[&str],
) {
    let feature = serde_json::json!({"names": names, "_type": "ClassLabel"});
    let info = serde_json::json!({"info": {"features": {"label": feature}}});
    let pair = KeyValue::new("huggingface".to_owned(), info.to_string());
    let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![pair]));
    write_with(path, texts, labels, properties.build());
}

fn write_with(path: &Path, texts: &[&str], labels: &[i64], properties: WriterProperties) {
    let field = |name: &str, physical| {
        let field = Type::primitive_type_builder(name, physical);
        Arc::new(field.with_repetition(Repetition::REQUIRED).build().unwrap())
    };
    let fields = vec![
        field("text", Physical::BYTE_ARRAY),
        field("label", Physical::INT64),
    ];
    let schema = Type::group_type_builder("schema")
        .with_fields(fields)
        .build()
        .unwrap();
    let file = File::create(path).unwrap();
    let properties = Arc::new(properties);
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let values: Vec<ByteArray> = texts.iter().map(|text| (*text).into()).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column
        .typed::<ByteArrayType>()
        .write_batch(&values, None, None)
        .unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column
        .typed::<Int64Type>()
        .write_batch(labels, None, None)
        .unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

const TEXTS: [&str; 6] = [
    "one, \"two\"",
    "zwei\nZeilen",
    "drei ü 🙂",
    "four",
    "five six",
    "four",
];

fn case(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cases/parquet/{name}.parquet"))
}

fn open_case(name: &str) -> Result<Vec<RawRow>, String> {
    read_path(&case(name))
}

fn read_path(path: &Path) -> Result<Vec<RawRow>, String> {
    let mut problems = Problems::default();
    let rows = read(path, &Columns::named("text", "label"), &mut problems)
        .map_err(|error| error.to_string())?;
    problems.check().map_err(|error| error.to_string())?;
    Ok(rows)
}

fn expect(name: &str, labels: [RawLabel; 6]) {
    let rows = open_case(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    let expected: Vec<RawRow> = TEXTS
        .iter()
        .zip(labels)
        .zip(1..)
        .map(|((text, label), line)| RawRow {
            line,
            text: (*text).to_owned(),
            label,
            assumed: false,
            others: Vec::new(),
        })
        .collect();
    assert_eq!(rows, expected, "{name}");
}

#[test]
fn codecs_pages_and_encodings_of_pyarrow() {
    let text = |name: &str| RawLabel::Text(name.to_owned());
    let labels = || ["a", "b", "a", "b", "a", "a"].map(text);
    for codec in ["none", "snappy", "gzip", "brotli", "lz4", "zstd"] {
        for version in [1, 2] {
            expect(&format!("{codec}-v{version}"), labels());
        }
    }
    for encoding in ["plain", "delta_byte_array", "delta_length_byte_array"] {
        for version in [1, 2] {
            expect(&format!("{encoding}-v{version}"), labels());
        }
    }
    for name in [
        "structs",
        "row-groups",
        "label-large_string",
        "label-binary",
        "label-category",
    ] {
        expect(name, labels());
    }
    let mut some = labels();
    some[2] = RawLabel::Missing;
    expect("null-label", some);
}

#[test]
fn labels_of_every_type() {
    let numbers = [0, 1, 0, 1, 0, 0];
    for name in [
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "int-category",
    ] {
        expect(&format!("label-{name}"), numbers.map(RawLabel::Integer));
    }
    for name in ["float32", "float64"] {
        let numbers = numbers.map(|number| RawLabel::Float(number as f64));
        expect(&format!("label-{name}"), numbers);
    }
    let truths = numbers.map(|number| RawLabel::Bool(number == 1));
    expect("label-bool_", truths);
}

#[test]
fn what_cannot_be_read_is_named() {
    for (name, problem) in [
        ("null-text", "2 problems"),
        ("null-text", "null-text.parquet:2: `text` is null"),
        ("null-text", "null-text.parquet:5: `text`"),
        ("label-date", "`label` holds dates"),
        ("label-decimal", "`label` holds decimal numbers"),
        ("label-float16", "`label` holds dates, times or other"),
        ("duplicate", "columns 2 and 3 are both called `label`"),
        ("list-text", "`text` holds lists or structures"),
    ] {
        let error = open_case(name).unwrap_err();
        assert!(error.contains(problem), "{name}: {error}");
    }
    assert_eq!(open_case("empty").unwrap(), []);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    for (bytes, problem) in [
        (&b""[..], "too short"),
        (b"PAR1PAR1", "metadata is damaged"),
        (b"PAR?PAR?PAR?", "does not end as one"),
        (b"PAR1\x05\0\0\0PARE", "encrypted"),
        (b"PAR1\xff\xff\xff\xffPAR1", "damaged"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = read_path(&path).unwrap_err();
        assert!(error.contains(problem), "{error}");
    }
}

/// A footer with a schema of groups, each within the one before it, or of one with many children.
fn with_schema(elements: &[(bool, i32)]) -> Vec<u8> {
    let mut footer = vec![0x15, 2, 0x19, 0xfc];
    let varint = |mut value: u64, bytes: &mut Vec<u8>| {
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
    };
    varint(elements.len() as u64, &mut footer);
    for (group, children) in elements {
        // name, then num_children where it is a group.
        footer.extend([0x48, 1, b'g']);
        if *group {
            footer.push(0x15);
            varint((*children as u64) << 1, &mut footer);
        }
        footer.push(0);
    }
    footer.push(0);
    let mut bytes = b"PAR1".to_vec();
    bytes.extend(&footer);
    bytes.extend((footer.len() as u32).to_le_bytes());
    bytes.extend(b"PAR1");
    bytes
}

#[test]
fn hostile_schemas_are_refused_before_they_are_built() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let deep: Vec<_> = (0..100_000).map(|place| (place < 99_999, 1)).collect();
    for (elements, problem) in [
        (&deep[..], "nested more than 64 deep"),
        (&[(true, i32::MAX), (false, 0)], "damaged"),
        (&[(true, 1), (true, 2), (false, 0)], "damaged"),
    ] {
        std::fs::write(&path, with_schema(elements)).unwrap();
        let error = read_path(&path).unwrap_err();
        assert!(error.contains(problem), "{error}");
    }
}

/// A small stream of numbers; the tests have to be the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % below
    }
}

#[test]
fn damage_is_an_error_or_harmless_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    // More for a longer search: DPX_TEST_ROUNDS=5000 cargo test -p dpx-data damage
    let rounds = std::env::var("DPX_TEST_ROUNDS").ok();
    let rounds = rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(150);
    let mut numbers = Numbers(7);
    for name in [
        "none-v1",
        "snappy-v1",
        "zstd-v2",
        "brotli-v1",
        "lz4-v2",
        "gzip-v2",
        "structs",
        "delta_byte_array-v2",
        "delta_length_byte_array-v1",
        "label-category",
    ] {
        let whole = std::fs::read(case(name)).unwrap();
        for round in 0..rounds {
            let mut bytes = whole.clone();
            match round % 3 {
                0 => {
                    let at = numbers.next(bytes.len());
                    bytes[at] ^= 1 << numbers.next(8);
                }
                1 => {
                    for _ in 0..4 {
                        let at = numbers.next(bytes.len());
                        bytes[at] = numbers.next(256) as u8;
                    }
                }
                _ => {
                    let from = numbers.next(bytes.len());
                    let to = (from + 1 + numbers.next(64)).min(bytes.len());
                    bytes.drain(from..to);
                }
            }
            std::fs::write(&path, &bytes).unwrap();
            if let Err(error) = read_path(&path) {
                assert!(
                    !error.contains("zwei") && error.contains("a.parquet"),
                    "{name}: {error}"
                );
            }
            let _ = columns(&path);
        }
    }
}

#[test]
fn a_small_file_cannot_fill_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    // One long text, which a dictionary keeps once, in very many rows.
    let text = "x".repeat(400_000);
    let texts = vec![text.as_str(); 2000];
    write_parquet(&path, &texts, &[0; 2000]);
    assert!(std::fs::metadata(&path).unwrap().len() < 3_000_000);
    let error = read_path(&path).unwrap_err();
    assert!(error.contains("expands to more than"), "{error}");
    let longer = "x".repeat(LONGEST + 1);
    write_parquet(&path, &[&longer, "b"], &[0, 1]);
    let error = read_path(&path).unwrap_err();
    assert!(
        error.contains("a.parquet:1: the text is 524289 bytes long"),
        "{error}"
    );
}

#[test]
fn names_of_classes_are_found_in_the_metadata() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/classlabel-other-order/d.parquet");
    let names = label_names(&path, "label").unwrap();
    let expected = ["neg", "pos"].map(str::to_owned).to_vec();
    assert_eq!(names, ClassNames::Listed(expected));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    for (value, expected) in [
        ("{\"info\": ", ClassNames::Unusable),
        ("{}", ClassNames::None),
    ] {
        let pair = KeyValue::new("huggingface".to_owned(), value.to_owned());
        let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![pair]));
        write_with(&path, &["a"], &[0], properties.build());
        assert_eq!(label_names(&path, "label").unwrap(), expected, "{value}");
    }
}

/// Conversations as nested lists, as `datasets` stores them: structures, strings, nulls, lists over several pages.
#[test]
fn conversations_are_lists_of_turns() {
    use ::parquet::basic::LogicalType;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chats.parquet");
    let optional = |name: &str| {
        let field = Type::primitive_type_builder(name, Physical::BYTE_ARRAY);
        let field = field.with_logical_type(Some(LogicalType::String));
        Arc::new(field.with_repetition(Repetition::OPTIONAL).build().unwrap())
    };
    let group = |name: &str, repetition, fields| {
        let group = Type::group_type_builder(name).with_fields(fields);
        Arc::new(group.with_repetition(repetition).build().unwrap())
    };
    let turn = group(
        "element",
        Repetition::OPTIONAL,
        vec![optional("content"), optional("role")],
    );
    let list = group("list", Repetition::REPEATED, vec![turn]);
    let messages = group("messages", Repetition::OPTIONAL, vec![list]);
    let words = group("list", Repetition::REPEATED, vec![optional("element")]);
    let dialog = group("dialog", Repetition::OPTIONAL, vec![words]);
    let schema = Type::group_type_builder("schema")
        .with_fields(vec![messages, dialog])
        .build()
        .unwrap();
    for version in [
        ::parquet::file::properties::WriterVersion::PARQUET_1_0,
        ::parquet::file::properties::WriterVersion::PARQUET_2_0,
    ] {
        let properties = WriterProperties::builder()
            .set_writer_version(version)
            .set_data_page_row_count_limit(20)
            .set_write_batch_size(7)
            .build();
        let file = File::create(&path).unwrap();
        let mut writer =
            SerializedFileWriter::new(file, Arc::new(schema.clone()), Arc::new(properties))
                .unwrap();
        let mut rows = writer.next_row_group().unwrap();
        // Row n has n % 4 turns; of row 3, 7, ... the second content is null. Definition: 4 value, 3 null, 1 empty list.
        let (mut contents, mut roles, mut of_content, mut of_role, mut repetition) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut expected = Vec::new();
        for row in 0..200_usize {
            let mut turns = Vec::new();
            for turn in 0..row % 4 {
                repetition.push(i16::from(turn > 0));
                let role = ["user", "assistant"][turn % 2];
                roles.push(ByteArray::from(role));
                of_role.push(4);
                if row % 4 == 3 && turn == 1 {
                    of_content.push(3);
                    turns.push(serde_json::json!({"role": role, "content": null}));
                } else {
                    let content = format!("turn {turn} of {row}");
                    contents.push(ByteArray::from(content.as_str()));
                    of_content.push(4);
                    turns.push(serde_json::json!({"role": role, "content": content}));
                }
            }
            if row % 4 == 0 {
                repetition.push(0);
                of_content.push(1);
                of_role.push(1);
            }
            expected.push(serde_json::Value::from(turns).to_string());
        }
        let mut write = |values: &[ByteArray], definition: &[i16]| {
            let mut column = rows.next_column().unwrap().unwrap();
            column
                .typed::<ByteArrayType>()
                .write_batch(values, Some(definition), Some(&repetition))
                .unwrap();
            column.close().unwrap();
        };
        write(&contents, &of_content);
        write(&roles, &of_role);
        // The list of strings has one level less.
        let lower: Vec<i16> = of_content
            .iter()
            .map(|level| if *level > 1 { level - 1 } else { 1 })
            .collect();
        write(&contents, &lower);
        rows.close().unwrap();
        writer.close().unwrap();
        let columns = |text| Columns {
            messages: true,
            ..Columns::named(text, "")
        };
        let mut problems = Problems::default();
        let found_in = |text, problems: &mut Problems| read(&path, &columns(text), problems);
        let found = found_in("messages", &mut problems).unwrap();
        assert_eq!(
            found.iter().map(|row| row.text.clone()).collect::<Vec<_>>(),
            expected
        );
        let found = found_in("dialog", &mut problems).unwrap();
        assert_eq!(found.len(), 200);
        assert_eq!(found[6].text, r#"["turn 0 of 6","turn 1 of 6"]"#);
        assert_eq!(found[7].text, r#"["turn 0 of 7",null,"turn 2 of 7"]"#);
        assert_eq!(problems.count(), 0);
        let owners =
            super::super::owners_of(&path, &Columns::named("messages", ""), "dialog").unwrap();
        assert_eq!(
            owners[&7].names.as_deref().unwrap(),
            ["turn 0 of 6", "turn 1 of 6"]
        );
        assert_eq!(
            owners[&8].names.as_deref().unwrap(),
            ["turn 0 of 7", "turn 2 of 7"]
        );
    }
    let error = read(
        &case("structs"),
        &Columns {
            messages: true,
            ..Columns::named("nothing", "")
        },
        &mut Problems::default(),
    )
    .unwrap_err();
    assert!(error.to_string().contains("no column `nothing`"), "{error}");
}

/// A table of both layouts has null where one is not meant.
#[test]
fn keys_of_both_layouts_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chats.parquet");
    let group = |name: &str, repetition, fields| {
        let group = Type::group_type_builder(name).with_fields(fields);
        Arc::new(group.with_repetition(repetition).build().unwrap())
    };
    let field = |name: &str| {
        let field = Type::primitive_type_builder(name, Physical::BYTE_ARRAY);
        Arc::new(field.with_repetition(Repetition::OPTIONAL).build().unwrap())
    };
    let keys = ["content", "role", "from", "value"];
    let turn = group("element", Repetition::OPTIONAL, keys.map(field).to_vec());
    let list = group("list", Repetition::REPEATED, vec![turn]);
    let messages = group("messages", Repetition::OPTIONAL, vec![list]);
    let schema = Type::group_type_builder("schema")
        .with_fields(vec![messages])
        .build()
        .unwrap();
    let file = File::create(&path).unwrap();
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), properties).unwrap();
    let mut rows = writer.next_row_group().unwrap();
    for (value, levels) in [
        ("hi", [4, 3]),
        ("user", [4, 3]),
        ("gpt", [3, 4]),
        ("yes", [3, 4]),
    ] {
        let mut column = rows.next_column().unwrap().unwrap();
        column
            .typed::<ByteArrayType>()
            .write_batch(&[ByteArray::from(value)], Some(&levels), Some(&[0, 1]))
            .unwrap();
        column.close().unwrap();
    }
    rows.close().unwrap();
    writer.close().unwrap();
    let columns = Columns {
        messages: true,
        ..Columns::named("messages", "")
    };
    let found = read(&path, &columns, &mut Problems::default()).unwrap();
    let turns: serde_json::Value = serde_json::from_str(&found[0].text).unwrap();
    assert_eq!(
        turns,
        serde_json::json!([
            {"role": "user", "from": null, "content": "hi", "value": null},
            {"role": null, "from": "gpt", "content": null, "value": "yes"}
        ])
    );
}
