//! Lists in parquet of every shape that people have: what is read, and one clear error for the rest.

use crate::error::Problems;
use crate::messages::conversation;
use crate::read::owners_of;
use crate::read::{Columns, read_file};
use ::parquet::column::writer::ColumnWriter;
use ::parquet::data_type::ByteArray;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

enum Values<'a> {
    Bytes(&'a [&'a [u8]]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    Float(&'a [f32]),
    Double(&'a [f64]),
    Bool(&'a [bool]),
}

/// A leaf: values, definition levels, repetition levels.
type Leaf<'a> = (Values<'a>, &'a [i16], &'a [i16]);

fn write(path: &Path, schema: &str, leaves: &[Leaf<'_>]) {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for (values, definition, repetition) in leaves {
        let mut column = group.next_column().unwrap().unwrap();
        let levels = (Some(*definition), Some(*repetition));
        let written = match (values, column.untyped()) {
            (Values::Bytes(values), ColumnWriter::ByteArrayColumnWriter(writer)) => {
                let values: Vec<ByteArray> =
                    values.iter().map(|value| value.to_vec().into()).collect();
                writer.write_batch(&values, levels.0, levels.1)
            }
            (Values::Int32(values), ColumnWriter::Int32ColumnWriter(writer)) => {
                writer.write_batch(values, levels.0, levels.1)
            }
            (Values::Int64(values), ColumnWriter::Int64ColumnWriter(writer)) => {
                writer.write_batch(values, levels.0, levels.1)
            }
            (Values::Float(values), ColumnWriter::FloatColumnWriter(writer)) => {
                writer.write_batch(values, levels.0, levels.1)
            }
            (Values::Double(values), ColumnWriter::DoubleColumnWriter(writer)) => {
                writer.write_batch(values, levels.0, levels.1)
            }
            (Values::Bool(values), ColumnWriter::BoolColumnWriter(writer)) => {
                writer.write_batch(values, levels.0, levels.1)
            }
            _ => panic!("another type than the schema's"),
        };
        written.unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

/// A list as parquet has it today, of elements that may be null.
fn list(element: &str) -> String {
    format!(
        "message schema {{ optional group people (LIST) {{ repeated group list {{ optional {element}; }} }} }}"
    )
}

/// Definition levels of [`list`]: a value, a null in a list, an empty list, no list.
const VALUE: i16 = 3;
const NULL: i16 = 2;
const EMPTY: i16 = 1;
const NONE: i16 = 0;

/// The people of the rows, or what is told of the column.
fn people(path: &Path) -> Result<Vec<Vec<String>>, String> {
    let found = owners_of(path, &Columns::named("text", ""), "people");
    let found = found.map_err(|error| error.to_string())?;
    found.into_values().map(|row| row.names).collect()
}

/// Rows: two people, one and a null, nobody, no list, one.
const LEVELS: (&[i16], &[i16]) = (
    &[VALUE, VALUE, VALUE, NULL, EMPTY, NONE, VALUE],
    &[0, 1, 0, 1, 0, 0, 0],
);

#[test]
fn people_are_lists_of_numbers_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let expected = |names: [&str; 4]| {
        let one = |name: &str| vec![name.to_owned()];
        vec![
            vec![names[0].to_owned(), names[1].to_owned()],
            one(names[2]),
            vec![],
            vec![],
            one(names[3]),
        ]
    };
    let (definition, repetition) = LEVELS;
    let whole = ["7", "-1", "9007199254740993", "7"];
    let numbers = [7, -1, 9_007_199_254_740_993, 7];
    for (element, values, names) in [
        ("int64 element", Values::Int64(&numbers), whole),
        (
            "int32 element (INTEGER(16, true))",
            Values::Int32(&[7, -1, 8, 7]),
            ["7", "-1", "8", "7"],
        ),
        (
            "int32 element (INTEGER(32, false))",
            Values::Int32(&[7, -1, 8, 7]),
            ["7", "4294967295", "8", "7"],
        ),
        (
            "int64 element (INTEGER(64, false))",
            Values::Int64(&[7, -1, 8, 7]),
            ["7", "18446744073709551615", "8", "7"],
        ),
        (
            "float element",
            Values::Float(&[7.0, 0.1, 8.0, f32::INFINITY]),
            ["7.0", "0.1", "8.0", "inf"],
        ),
        (
            "double element",
            Values::Double(&[7.0, 0.5, 8.0, 7.0]),
            ["7.0", "0.5", "8.0", "7.0"],
        ),
        (
            "binary element (STRING)",
            Values::Bytes(&[b"ann", b"bob", b"7", b"ann"]),
            ["ann", "bob", "7", "ann"],
        ),
    ] {
        write(&path, &list(element), &[(values, definition, repetition)]);
        assert_eq!(people(&path).unwrap(), expected(names), "{element}");
    }
    // Whoever is a number in one file and a string in another is one person, as in JSON.
    let owner = |name: &str| crate::owner::Owner::named(name);
    assert_eq!(owner("7"), owner("7.0"));
    // What is no number is nobody, as among single values.
    let nan = Values::Double(&[f64::NAN]);
    write(&path, &list("double element"), &[(nan, &[VALUE], &[0])]);
    assert_eq!(people(&path).unwrap(), [Vec::<String>::new()]);
}

#[test]
fn lists_of_what_is_nobodys_name_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let one: (&[i16], &[i16]) = (&[VALUE], &[0]);
    let structs = "message schema { optional group people (LIST) { repeated group list { optional group element { optional binary name (STRING); } } } }";
    for (schema, values, level) in [
        (list("boolean element"), Values::Bool(&[true]), VALUE),
        (list("int32 element (DATE)"), Values::Int32(&[1]), VALUE),
        (
            list("int64 element (DECIMAL(9, 2))"),
            Values::Int64(&[1]),
            VALUE,
        ),
        (
            list("int64 element (TIMESTAMP(MILLIS, true))"),
            Values::Int64(&[1]),
            VALUE,
        ),
        (structs.to_owned(), Values::Bytes(&[b"ann"]), 4),
    ] {
        write(&path, &schema, &[(values, &[level], one.1)]);
        let told = people(&path).unwrap_err();
        assert!(
            told.contains("`people` holds lists") && told.contains("strings or numbers"),
            "{schema}: {told}"
        );
        assert!(!told.contains("ann"), "{told}");
    }
}

/// The conversations of a column `messages`: what is told of each row, or of the column.
fn chats(path: &Path) -> Result<Vec<Result<String, String>>, String> {
    let columns = Columns {
        messages: true,
        ..Columns::named("messages", "")
    };
    let mut problems = Problems::default();
    let rows = read_file(path, &columns, &mut problems).map_err(|error| error.to_string())?;
    problems.check().map_err(|error| error.to_string())?;
    let read = |text: &str| conversation(text, "messages", &BTreeMap::new());
    let read = rows.iter().map(|row| read(&row.text));
    Ok(read
        .map(|found| found.map(|found| found.conversation.text()))
        .collect())
}

const CHATS: &str = "message schema { optional group messages (LIST) { repeated group list { optional group element { optional binary role (STRING); optional binary content (STRING); } } } }";

/// Each error names the file and the row, or the column where no row can be read; none quotes what was said.
#[test]
fn conversations_of_unexpected_shapes_are_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let secret: &[&[u8]] = &[b"secret"];
    let of_column = |schema: &str, leaves: &[Leaf<'_>]| {
        write(&path, schema, leaves);
        let told = chats(&path).unwrap_err();
        assert!(
            told.contains("a.parquet")
                && told.contains("`messages` holds no lists of strings, nor of structures"),
            "{schema}: {told}"
        );
        assert!(!told.contains("secret"), "{told}");
    };
    let element = |fields: &str| {
        format!(
            "message schema {{ optional group messages (LIST) {{ repeated group list {{ optional group element {{ {fields} }} }} }} }}"
        )
    };
    // One string in a structure is no list of strings: who speaks is not said.
    let content = element("optional binary content (STRING);");
    of_column(&content, &[(Values::Bytes(secret), &[4], &[0])]);
    let other = element("optional binary text (STRING);");
    of_column(&other, &[(Values::Bytes(secret), &[4], &[0])]);
    // A role as a number, and a role further within.
    let number = element("optional int64 role; optional binary content (STRING);");
    let said = (Values::Bytes(secret), &[4][..], &[0][..]);
    of_column(&number, &[(Values::Int64(&[1]), &[4], &[0]), said]);
    let deep = element(
        "optional group author { optional binary role (STRING); } optional binary content (STRING);",
    );
    let said = (Values::Bytes(secret), &[4][..], &[0][..]);
    of_column(&deep, &[(Values::Bytes(&[b"user"]), &[5], &[0]), said]);
    // Numbers, no list, lists of lists, an older layout of structures with one field.
    let numbers = list("int64 element").replace("people", "messages");
    of_column(&numbers, &[(Values::Int64(&[1]), &[VALUE], &[0])]);
    let single = "message schema { optional group messages { optional binary content (STRING); } }";
    write(&path, single, &[(Values::Bytes(secret), &[2], &[0])]);
    assert!(chats(&path).unwrap_err().contains("holds no lists"));
    let lists = "message schema { optional group messages (LIST) { repeated group list { optional group element (LIST) { repeated group list { optional binary element (STRING); } } } } }";
    of_column(lists, &[(Values::Bytes(secret), &[5], &[0])]);
    let older = "message schema { optional group messages (LIST) { repeated group array { optional binary content (STRING); } } }";
    of_column(older, &[(Values::Bytes(secret), &[3], &[0])]);

    // A row without a list is told by its number; an empty list is a conversation without turns.
    let roles: &[&[u8]] = &[b"user"];
    let levels: (&[i16], &[i16]) = (&[4, 1, 0], &[0, 0, 0]);
    write(
        &path,
        CHATS,
        &[
            (Values::Bytes(roles), levels.0, levels.1),
            (Values::Bytes(secret), levels.0, levels.1),
        ],
    );
    let told = chats(&path).unwrap_err();
    assert!(
        told.contains("a.parquet:3: `messages` is null in this row: leave the row out"),
        "{told}"
    );
    // So is a turn that is no text.
    let levels: (&[i16], &[i16]) = (&[4, 4], &[0, 0]);
    let roles: &[&[u8]] = &[b"user", b"user"];
    let broken: &[&[u8]] = &[b"secret", b"\xff\xfe"];
    write(
        &path,
        CHATS,
        &[
            (Values::Bytes(roles), levels.0, levels.1),
            (Values::Bytes(broken), levels.0, levels.1),
        ],
    );
    let told = chats(&path).unwrap_err();
    assert!(
        told.contains("a.parquet:2: `messages` is not UTF-8"),
        "{told}"
    );
    assert!(!told.contains("secret"), "{told}");
    // Elements that are null, and a null role: an error of the row.
    for role in [2, 3] {
        let levels: (&[i16], &[i16]) = (&[4, role], &[0, 1]);
        let said = if role == 3 { &[4, 4][..] } else { levels.0 };
        let words: &[&[u8]] = if role == 3 {
            &[b"hi", b"secret"]
        } else {
            &[b"hi"]
        };
        write(
            &path,
            CHATS,
            &[
                (Values::Bytes(&[b"user"]), levels.0, levels.1),
                (Values::Bytes(words), said, levels.1),
            ],
        );
        let told = chats(&path).unwrap().remove(0).unwrap_err();
        assert!(
            told.starts_with("turn 2 of `messages` says not who speaks"),
            "{told}"
        );
    }
}

/// Lists as other writers have them.
#[test]
fn older_layouts_of_lists_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let words: &[&[u8]] = &[b"hi", b"yes"];
    let said = "User: hi\nAssistant: yes";
    let bag = "message schema { optional group messages (LIST) { repeated group bag { optional binary array_element (STRING); } } }";
    write(&path, bag, &[(Values::Bytes(words), &[3, 3], &[0, 1])]);
    assert_eq!(chats(&path).unwrap(), [Ok(said.to_owned())]);
    let plain =
        "message schema { optional group messages (LIST) { repeated binary array (STRING); } }";
    write(&path, plain, &[(Values::Bytes(words), &[2, 2], &[0, 1])]);
    assert_eq!(chats(&path).unwrap(), [Ok(said.to_owned())]);
    let bare = "message schema { repeated binary messages (STRING); }";
    write(&path, bare, &[(Values::Bytes(words), &[1, 1], &[0, 1])]);
    assert_eq!(chats(&path).unwrap(), [Ok(said.to_owned())]);
    let roles: &[&[u8]] = &[b"user", b"assistant"];
    let array = "message schema { optional group messages (LIST) { repeated group array { optional binary role (STRING); optional binary content (STRING); } } }";
    let of = |values| (Values::Bytes(values), &[3, 3][..], &[0, 1][..]);
    write(&path, array, &[of(roles), of(words)]);
    assert_eq!(chats(&path).unwrap(), [Ok(said.to_owned())]);
}
