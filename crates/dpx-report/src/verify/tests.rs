//! Every tampering is found, also those of whoever writes the checksums and the pages anew.

use super::*;
use crate::release::{
    CARD_FILE, CHECKSUMS_FILE, Format, OFFICER_FILE, Prior, Selection, Statement, card, checksums,
    fixture, page,
};
use crate::texts;
use dpx_accounting::{Adjacency, Claim, DpEvent};
use dpx_schema::{NoiseSource, PublicSchema};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const CSV: &str = "sample-epsilon=3.csv";
const JSONL: &str = "sample-epsilon=3.jsonl";
const PARQUET: &str = "sample-epsilon=3.parquet";

/// Replaces text in a file; it has to be there.
fn replace(folder: &Path, file: &str, from: &str, to: &str) {
    let path = folder.join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has no {from:?}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// Changes the bytes of a file.
fn rewrite(folder: &Path, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = folder.join(file);
    let mut bytes = fs::read(&path).unwrap();
    let before = bytes.clone();
    change(&mut bytes);
    assert_ne!(bytes, before, "nothing was changed");
    fs::write(path, bytes).unwrap();
}

/// Makes the release one of another version, parquet files included.
fn of_another_version(folder: &Path) {
    restate(folder, |statement| {
        statement.dpx_version = "0.0.9".to_owned();
    });
    let statement = statement(folder);
    for texts in &statement.texts {
        let csv = fs::read(folder.join(format!("{}.csv", texts.name))).unwrap();
        let table = texts::Texts::read(&csv).unwrap();
        let own = table.parquet(&statement.labels).unwrap();
        let bytes = table.parquet_like(&statement.labels, "0.0.9", &own);
        let path = folder.join(format!("{}.parquet", texts.name));
        fs::write(path, bytes.unwrap()).unwrap();
    }
}

/// Where the footer of a parquet file lies.
fn footer(bytes: &[u8]) -> std::ops::Range<usize> {
    let end = bytes.len() - 8;
    let length = u32::from_le_bytes(bytes[end..end + 4].try_into().unwrap());
    end - length as usize..end
}

/// Adds a field of text behind the last one of the footer, as Thrift writes it: every reader passes over it.
fn unknown_field(bytes: &mut Vec<u8>) {
    let footer = footer(bytes);
    let field = b"\x88\x06hidden";
    let length = (footer.len() + field.len()) as u32;
    let stop = footer.end - 1;
    assert_eq!(bytes[stop], 0);
    bytes.splice(stop..stop, *field);
    let end = bytes.len() - 8;
    bytes[end..end + 4].copy_from_slice(&length.to_le_bytes());
}

fn copy(from: &Path, to: &Path) {
    for file in folder::walk(from, &mut Failures::default()).unwrap() {
        let path = to.join(&file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(from.join(&file), path).unwrap();
    }
}

/// Writes the checksums of what is there.
fn sum(folder: &Path) {
    let there = folder::walk(folder, &mut Failures::default()).unwrap();
    let sums: BTreeMap<String, String> = there
        .into_iter()
        .filter(|path| path != CHECKSUMS_FILE)
        .map(|path| {
            let sum = checksums::sha256(&folder.join(&path)).unwrap();
            (path, sum)
        })
        .collect();
    fs::write(folder.join(CHECKSUMS_FILE), checksums::write(&sums)).unwrap();
}

/// Writes a statement with the pages that follow from it.
fn state(folder: &Path, statement: &Statement) {
    fs::write(folder.join(STATEMENT_FILE), statement.to_json().unwrap()).unwrap();
    fs::write(folder.join(OFFICER_FILE), page(statement)).unwrap();
    fs::write(folder.join(CARD_FILE), card(statement)).unwrap();
}

fn statement(folder: &Path) -> Statement {
    serde_json::from_slice(&fs::read(folder.join(STATEMENT_FILE)).unwrap()).unwrap()
}

/// Changes the statement, and the pages with it.
fn restate(folder: &Path, change: impl FnOnce(&mut Statement)) {
    let mut statement = statement(folder);
    let before = statement.clone();
    change(&mut statement);
    assert_ne!(statement, before, "nothing was changed");
    state(folder, &statement);
}

/// Changes the JSON of a claim: its fields cannot be set otherwise.
fn changed(claim: &Claim, change: impl FnOnce(&mut serde_json::Value)) -> Claim {
    let mut value = serde_json::to_value(claim).unwrap();
    change(&mut value);
    serde_json::from_value(value).unwrap()
}

fn lowered(claim: &Claim, field: &str) -> Claim {
    changed(claim, |value| {
        let place = value["certified"].pointer_mut(field).unwrap();
        *place = serde_json::json!(place.as_f64().unwrap() * 0.98);
    })
}

/// All bounds of a claim a little lower: only the events tell.
fn understated(claim: &Claim) -> Claim {
    let fields = [
        "/epsilon",
        "/rdp",
        "/prv/lower",
        "/prv/upper",
        "/connect_the_dots",
    ];
    fields
        .iter()
        .fold(claim.clone(), |claim, field| lowered(&claim, field))
}

fn own(statement: &mut Statement) -> &mut Claim {
    statement.claim.as_mut().unwrap()
}

fn total(statement: &mut Statement) -> &mut Claim {
    statement.total.as_mut().unwrap()
}

fn first_run(statement: &mut Statement) -> &mut crate::Run {
    statement.runs.values_mut().next().unwrap()
}

/// What the attacker does besides the change itself.
#[derive(Clone, Copy, PartialEq)]
enum Sums {
    Kept,
    Written,
}
use Sums::{Kept, Written};

type Tampering = (&'static str, &'static str, Sums, fn(&Path));

/// Name, the point that has to fail, whether the checksums are written anew, the change.
const TAMPERINGS: &[Tampering] = &[
    ("a text changed", "checksums", Kept, |folder| {
        replace(folder, CSV, "one", "two");
    }),
    ("a statement changed", "checksums", Kept, |folder| {
        replace(folder, STATEMENT_FILE, "feelings", "feeling");
    }),
    ("an officer's page changed", "checksums", Kept, |folder| {
        replace(folder, OFFICER_FILE, "protected", "safe");
    }),
    ("a card changed", "checksums", Kept, |folder| {
        replace(folder, CARD_FILE, "may", "never");
    }),
    ("a parquet file cut off", "checksums", Kept, |folder| {
        let bytes = fs::read(folder.join(PARQUET)).unwrap();
        fs::write(folder.join(PARQUET), &bytes[..bytes.len() - 1]).unwrap();
    }),
    ("a file removed", "checksums", Kept, |folder| {
        fs::remove_file(folder.join(JSONL)).unwrap();
    }),
    ("a file added", "checksums", Kept, |folder| {
        fs::write(folder.join("more.csv"), "").unwrap();
    }),
    ("no checksums", "checksums", Kept, |folder| {
        fs::remove_file(folder.join(CHECKSUMS_FILE)).unwrap();
    }),
    ("a checksum removed", "checksums", Kept, |folder| {
        let text = fs::read_to_string(folder.join(CHECKSUMS_FILE)).unwrap();
        let (_, rest) = text.split_once('\n').unwrap();
        fs::write(folder.join(CHECKSUMS_FILE), rest).unwrap();
    }),
    ("a checksum twice", "checksums", Kept, |folder| {
        let text = fs::read_to_string(folder.join(CHECKSUMS_FILE)).unwrap();
        let (first, _) = text.split_once('\n').unwrap();
        fs::write(folder.join(CHECKSUMS_FILE), format!("{first}\n{text}")).unwrap();
    }),
    ("checksums with a comment", "checksums", Kept, |folder| {
        let text = fs::read_to_string(folder.join(CHECKSUMS_FILE)).unwrap();
        fs::write(folder.join(CHECKSUMS_FILE), format!("{text}# checked\n")).unwrap();
    }),
    (
        "a checksum of a file outside",
        "checksums",
        Kept,
        |folder| {
            let text = fs::read_to_string(folder.join(CHECKSUMS_FILE)).unwrap();
            let outside = format!("{}  ../{CSV}\n", "0".repeat(64));
            fs::write(folder.join(CHECKSUMS_FILE), format!("{outside}{text}")).unwrap();
        },
    ),
    (
        "a file added with its checksum",
        "files",
        Written,
        |folder| {
            fs::write(folder.join("train.jsonl"), "{}\n").unwrap();
        },
    ),
    ("a file added to the model", "files", Written, |folder| {
        fs::write(folder.join("model/train-epsilon=3/optimizer.bin"), "").unwrap();
    }),
    (
        "a file removed with its checksum",
        "files",
        Written,
        |folder| {
            fs::remove_file(folder.join(PARQUET)).unwrap();
        },
    ),
    ("a hidden file", "files", Written, |folder| {
        fs::write(folder.join(".notes"), "").unwrap();
    }),
    ("a link for a file", "folder", Written, |folder| {
        fs::rename(folder.join(CSV), folder.join("elsewhere")).unwrap();
        std::os::unix::fs::symlink("elsewhere", folder.join(CSV)).unwrap();
    }),
    ("an empty folder", "folder", Written, |folder| {
        fs::create_dir(folder.join("data")).unwrap();
    }),
    (
        "a text changed in the csv alone",
        "texts",
        Written,
        |folder| {
            replace(folder, CSV, "one", "two");
        },
    ),
    (
        "a text changed in the jsonl alone",
        "texts",
        Written,
        |folder| {
            replace(folder, JSONL, "one", "two");
        },
    ),
    ("another parquet file", "texts", Written, |folder| {
        let labels = statement(folder).labels;
        let csv = b"text,label\nother,joy\nmore,joy\n";
        let beside = tempfile::tempdir().unwrap();
        texts::write(beside.path(), "x", csv, &labels).unwrap();
        fs::copy(beside.path().join("x.parquet"), folder.join(PARQUET)).unwrap();
    }),
    (
        "a parquet file that names labels otherwise",
        "texts",
        Written,
        |folder| {
            let labels = ["fear: \"no\"", "joy"].map(str::to_owned);
            let csv = fs::read(folder.join(CSV)).unwrap();
            let beside = tempfile::tempdir().unwrap();
            texts::write(beside.path(), "x", &csv, &labels).unwrap();
            fs::copy(beside.path().join("x.parquet"), folder.join(PARQUET)).unwrap();
        },
    ),
    ("a text less in every format", "texts", Written, |folder| {
        let labels = statement(folder).labels;
        texts::write(
            folder,
            "sample-epsilon=3",
            b"text,label\nmore,joy\n",
            &labels,
        )
        .unwrap();
    }),
    ("a label that is not declared", "texts", Written, |folder| {
        replace(folder, CSV, ",joy", ",love");
        replace(folder, JSONL, "\"joy\"", "\"love\"");
    }),
    ("a number of texts", "texts", Written, |folder| {
        restate(folder, |statement| statement.texts[0].rows = 5_000);
    }),
    ("labels in another order", "texts", Written, |folder| {
        restate(folder, |statement| statement.labels.swap(0, 1));
    }),
    (
        "a lower epsilon on the officer's page",
        "PRIVACY.md",
        Written,
        |folder| {
            let text = fs::read_to_string(folder.join(OFFICER_FILE)).unwrap();
            let claim = statement(folder).claim.unwrap().to_string();
            fs::write(
                folder.join(OFFICER_FILE),
                text.replace(&claim, "(0.10, 4.0e-4)-DP"),
            )
            .unwrap();
        },
    ),
    (
        "a warning less on the officer's page",
        "PRIVACY.md",
        Written,
        |folder| {
            replace(
                folder,
                OFFICER_FILE,
                "What their scores told whoever chose is bounded by nothing.",
                "",
            );
        },
    ),
    (
        "a sentence more on the officer's page",
        "PRIVACY.md",
        Written,
        |folder| {
            let text = fs::read_to_string(folder.join(OFFICER_FILE)).unwrap();
            fs::write(
                folder.join(OFFICER_FILE),
                text + "\nApproved by the regulator.\n",
            )
            .unwrap();
        },
    ),
    (
        "a lower epsilon on the card",
        "README.md",
        Written,
        |folder| {
            let text = fs::read_to_string(folder.join(CARD_FILE)).unwrap();
            let claim = statement(folder).total.unwrap().to_string();
            fs::write(
                folder.join(CARD_FILE),
                text.replace(&claim, "(0.10, 4.0e-4)-DP"),
            )
            .unwrap();
        },
    ),
    (
        "a promise that nothing coincides",
        "README.md",
        Written,
        |folder| {
            replace(
                folder,
                CARD_FILE,
                "Short phrases may coincide with training texts.",
                "No text was written by a person.",
            );
        },
    ),
    (
        "another license on the card",
        "README.md",
        Written,
        |folder| {
            replace(folder, CARD_FILE, "cc-by-4.0", "cc0-1.0");
        },
    ),
    ("an unknown key", "schema", Written, |folder| {
        replace(folder, STATEMENT_FILE, "{\n", "{\n  \"audited\": true,\n");
    }),
    ("an unknown key in a claim", "schema", Written, |folder| {
        replace(
            folder,
            STATEMENT_FILE,
            "\"unit\": \"example\"",
            "\"unit\": \"example\", \"safe\": true",
        );
    }),
    ("a key twice", "schema", Written, |folder| {
        replace(
            folder,
            STATEMENT_FILE,
            "\"license\"",
            "\"study\": \"other\",\n  \"license\"",
        );
    }),
    ("an event twice", "schema", Written, |folder| {
        let text = fs::read_to_string(folder.join(STATEMENT_FILE)).unwrap();
        let key = format!("\"{}\": {{", statement(folder).runs.keys().next().unwrap());
        let twice = format!("{key}\"type\": \"gaussian\", \"noise_multiplier\": 90.0}},\n{key}");
        fs::write(folder.join(STATEMENT_FILE), text.replacen(&key, &twice, 1)).unwrap();
    }),
    (
        "another form of the same statement",
        "schema",
        Written,
        |folder| {
            replace(folder, STATEMENT_FILE, "\n  ", "\n\t");
        },
    ),
    ("a later version", "schema", Written, |folder| {
        restate(folder, |statement| statement.version += 1);
    }),
    ("half a statement", "schema", Written, |folder| {
        let text = fs::read_to_string(folder.join(STATEMENT_FILE)).unwrap();
        fs::write(folder.join(STATEMENT_FILE), &text[..text.len() / 2]).unwrap();
    }),
    ("a name that leads outside", "schema", Written, |folder| {
        restate(folder, |statement| {
            statement.texts[0].name = "../sample".to_owned();
        });
    }),
    (
        "a file of a model that leads outside",
        "schema",
        Written,
        |folder| {
            restate(folder, |statement| {
                statement.models[0].files[0] = "../../x".to_owned();
            });
        },
    ),
    ("a language that is none", "schema", Written, |folder| {
        restate(folder, |statement| {
            statement.language = vec!["English".to_owned()];
        });
    }),
    (
        "a list of what is not covered made shorter",
        "schema",
        Written,
        |folder| {
            restate(folder, |statement| drop(statement.not_covered.pop()));
        },
    ),
    ("lower bounds, everywhere", "claim", Written, |folder| {
        restate(folder, |statement| {
            *own(statement) = understated(own(statement));
        });
    }),
    (
        "a lower bound of one accountant",
        "claim",
        Written,
        |folder| {
            restate(folder, |statement| {
                *own(statement) = lowered(own(statement), "/rdp");
            });
        },
    ),
    (
        "another accountant than the one that certified",
        "claim",
        Written,
        |folder| {
            restate(folder, |statement| {
                *own(statement) = changed(own(statement), |value| {
                    let named = value["certified"]["accountant"] == "rdp";
                    value["certified"]["accountant"] = if named { "prv" } else { "rdp" }.into();
                });
            });
        },
    ),
    (
        "less noise than the bounds are for",
        "claim",
        Written,
        |folder| {
            restate(folder, |statement| {
                let name = statement.runs.keys().next().unwrap().clone();
                for claim in [&mut statement.claim, &mut statement.total] {
                    let claim = claim.as_mut().unwrap();
                    *claim = changed(claim, |value| {
                        value["events"][&name]["noise_multiplier"] = 0.5.into();
                    });
                }
            });
        },
    ),
    (
        "an event left out of the claim",
        "claim",
        Written,
        |folder| {
            restate(folder, |statement| {
                let name = statement.runs.keys().next().unwrap().clone();
                *own(statement) = changed(own(statement), |value| {
                    value["events"].as_object_mut().unwrap().remove(&name);
                });
            });
        },
    ),
    (
        "a run left out everywhere but behind the texts",
        "claim",
        Written,
        |folder| {
            restate(folder, |statement| {
                let name = statement.runs.keys().next().unwrap().clone();
                statement.runs.remove(&name);
            });
        },
    ),
    (
        "a set of texts without its run",
        "claim",
        Written,
        |folder| {
            restate(folder, |statement| {
                for texts in &mut statement.texts {
                    texts.runs.pop();
                }
            });
        },
    ),
    ("a larger delta, everywhere", "claim", Written, |folder| {
        restate(folder, |statement| {
            let larger = |claim: &mut Claim| {
                *claim = changed(claim, |value| value["delta"] = 0.01.into());
            };
            larger(own(statement));
            larger(total(statement));
            if let Selection::Undeclared { claim, .. } = &mut statement.selection {
                larger(claim);
            }
            for prior in &mut statement.prior {
                larger(prior.claim.as_mut().unwrap());
            }
        });
    }),
    ("no batch size of a training", "claim", Written, |folder| {
        restate(folder, |statement| {
            for run in statement.runs.values_mut() {
                run.expected_batch_size = None;
            }
        });
    }),
    ("a seventh data set of one", "claim", Written, |folder| {
        restate(folder, |statement| {
            for run in statement.runs.values_mut() {
                run.data_set = 7;
            }
        });
    }),
    (
        "more steps than anybody waits for",
        "claim",
        Written,
        |folder| {
            restate(folder, |statement| {
                *own(statement) = changed(own(statement), |value| {
                    for event in value["events"].as_object_mut().unwrap().values_mut() {
                        if event["steps"].is_u64() {
                            event["steps"] = 1_000_000_000.into();
                        }
                    }
                });
            });
        },
    ),
    ("noise from a seed", "claim", Written, |folder| {
        restate(folder, |statement| {
            first_run(statement).noise = NoiseSource::Seeded;
        });
    }),
    (
        "a number of records kept secret",
        "claim",
        Written,
        |folder| {
            restate(folder, |statement| first_run(statement).examples = None);
        },
    ),
    ("more canaries than records", "claim", Written, |folder| {
        restate(folder, |statement| first_run(statement).canaries = 5_000);
    }),
    ("another unit", "claim", Written, |folder| {
        restate(folder, |statement| {
            *own(statement) = changed(own(statement), |value| value["unit"] = "token".into());
        });
    }),
    ("no claim at all", "claim", Written, |folder| {
        restate(folder, |statement| {
            statement.claim = None;
            statement.not_covered.clear();
        });
    }),
    (
        "an earlier release forgotten",
        "composition",
        Written,
        |folder| {
            restate(folder, |statement| statement.prior.clear());
        },
    ),
    (
        "a total that is the release alone",
        "composition",
        Written,
        |folder| {
            restate(folder, |statement| {
                statement.total = statement.claim.clone();
                let total = statement.total.clone().unwrap();
                for group in &mut statement.groups {
                    group.epsilon = total.group(group.records).unwrap().epsilon;
                }
            });
        },
    ),
    (
        "lower bounds of the total",
        "composition",
        Written,
        |folder| {
            restate(folder, |statement| {
                *total(statement) = understated(total(statement));
            });
        },
    ),
    (
        "lower bounds of an earlier release",
        "composition",
        Written,
        |folder| {
            restate(folder, |statement| {
                let prior: &mut Prior = &mut statement.prior[0];
                prior.claim = prior.claim.as_ref().map(understated);
            });
        },
    ),
    (
        "a choice that is not told",
        "composition",
        Written,
        |folder| {
            restate(folder, |statement| {
                statement.selection = Selection::None {
                    unprotected: Vec::new(),
                }
            });
        },
    ),
    (
        "a choice without the rows that were chosen",
        "composition",
        Written,
        |folder| {
            restate(folder, |statement| {
                let earlier = statement.prior[0].claim.clone().unwrap();
                if let Selection::Undeclared { claim, .. } = &mut statement.selection {
                    *claim = earlier;
                }
            });
        },
    ),
    (
        "a promise of the publisher's own among what is said of public inputs",
        "schema",
        Written,
        |folder| {
            restate(folder, |statement| {
                statement
                    .provenance
                    .push("Everything here is (0.10, 1e-9)-DP.".to_owned());
            });
        },
    ),
    ("an adjacency that no run has", "claim", Written, |folder| {
        restate(folder, |statement| {
            first_run(statement).adjacency = Adjacency::AddRemove;
        });
    }),
    (
        "a choice said to be of rows that are not here",
        "composition",
        Written,
        |folder| {
            restate(folder, |statement| {
                statement.selection = Selection::Declared {
                    rows: vec!["sample@epsilon=9".to_owned()],
                };
            });
        },
    ),
    (
        "another batch than the rate is for",
        "claim",
        Written,
        |folder| {
            restate(folder, |statement| {
                let run = statement
                    .runs
                    .values_mut()
                    .find(|run| run.kind == dpx_schema::Kind::Train)
                    .unwrap();
                run.expected_batch_size = Some(2);
            });
        },
    ),
    ("training said to be counting", "claim", Written, |folder| {
        restate(folder, |statement| {
            statement
                .runs
                .values_mut()
                .for_each(|run| run.kind = dpx_schema::Kind::Counts);
        });
    }),
    (
        "votes of a norm that no vote has",
        "claim",
        Written,
        |folder| {
            restate(folder, |statement| {
                let mut runs = statement.runs.values_mut();
                let run = runs
                    .find(|run| run.kind == dpx_schema::Kind::Teacher)
                    .unwrap();
                run.kind = dpx_schema::Kind::Select;
                run.max_grad_norm = 0.5;
            });
        },
    ),
    ("rounding that no run has", "claim", Written, |folder| {
        restate(folder, |statement| {
            first_run(statement).rounding_allowance = 7.0;
        });
    }),
    (
        "a run calibrated for a delta that hides nothing",
        "claim",
        Written,
        |folder| {
            restate(folder, |statement| {
                first_run(statement).calibrated_for_delta = 0.9;
            });
        },
    ),
    (
        "an estimate below both bounds",
        "claim",
        Written,
        |folder| {
            restate(folder, |statement| {
                *own(statement) = changed(own(statement), |value| {
                    value["certified"]["prv"]["estimate"] = serde_json::json!(0.1);
                });
            });
        },
    ),
    ("a day that never was", "schema", Written, |folder| {
        restate(folder, |statement| {
            statement.date = "2026-02-31".to_owned();
        });
    }),
    ("a promise for a version", "schema", Written, |folder| {
        restate(folder, |statement| {
            statement.dpx_version = "0.1.0 (certified)".to_owned();
        });
    }),
    ("a promise for a scrubber", "schema", Written, |folder| {
        restate(folder, |statement| {
            statement
                .scrubbing
                .push("an independent auditor".to_owned());
        });
    }),
    (
        "quotation marks that say nothing",
        "texts",
        Written,
        |folder| {
            let path = folder.join(CSV);
            let csv = fs::read_to_string(&path).unwrap();
            let header = csv.lines().next().unwrap().to_owned();
            let quoted = header
                .split(',')
                .map(|name| format!("\"{name}\""))
                .collect::<Vec<_>>();
            fs::write(&path, csv.replacen(&header, &quoted.join(","), 1)).unwrap();
        },
    ),
    (
        "bytes that no reader sees in a parquet file",
        "texts",
        Written,
        |folder| {
            let path = folder.join(PARQUET);
            let mut bytes = fs::read(&path).unwrap();
            let end = bytes.len() - 8;
            let footer = u32::from_le_bytes(bytes[end..end + 4].try_into().unwrap()) as usize;
            bytes.splice(end - footer..end - footer, *b"hidden");
            fs::write(&path, bytes).unwrap();
        },
    ),
    (
        "bytes between the columns of a parquet file of another version",
        "texts",
        Written,
        |folder| {
            of_another_version(folder);
            rewrite(folder, PARQUET, |bytes| {
                let at = footer(bytes).start;
                bytes.splice(at..at, *b"hidden");
            });
        },
    ),
    (
        "a parquet file of another version that says it is of this one",
        "texts",
        Written,
        |folder| {
            restate(folder, |statement| {
                statement.dpx_version = "0.0.9".to_owned()
            });
        },
    ),
    (
        "a field of the footer that nobody knows",
        "texts",
        Written,
        |folder| rewrite(folder, PARQUET, unknown_field),
    ),
    (
        "a field of the footer that nobody knows, of another version",
        "texts",
        Written,
        |folder| {
            of_another_version(folder);
            rewrite(folder, PARQUET, unknown_field);
        },
    ),
    (
        "a least value that no text has",
        "texts",
        Written,
        |folder| {
            of_another_version(folder);
            rewrite(folder, PARQUET, |bytes| {
                // The texts in statistics, which no reader of texts looks at.
                let footer = footer(bytes);
                let mut places = footer.filter(|&at| bytes[at..].starts_with(b"=1+1"));
                let last = places.next_back().unwrap();
                bytes[last..last + 4].copy_from_slice(b"=1+0");
            });
        },
    ),
    ("a key more in a parquet file", "texts", Written, |folder| {
        let beside = tempfile::tempdir().unwrap();
        let columns = ["text", "label", "note"];
        let csv = format!("{}\none,joy,x\nmore,joy,x\n", columns.join(","));
        texts::write(
            beside.path(),
            "x",
            csv.as_bytes(),
            &statement(folder).labels,
        )
        .unwrap();
        fs::copy(beside.path().join("x.parquet"), folder.join(PARQUET)).unwrap();
    }),
    ("a byte order mark", "texts", Written, |folder| {
        rewrite(folder, CSV, |bytes| {
            drop(bytes.splice(0..0, *b"\xef\xbb\xbf"))
        });
    }),
    (
        "an empty line at the end of a csv",
        "texts",
        Written,
        |folder| {
            rewrite(folder, CSV, |bytes| bytes.push(b'\n'));
        },
    ),
    (
        "lines of a csv that end otherwise",
        "texts",
        Written,
        |folder| {
            replace(folder, CSV, ",joy\n", ",joy\r\n");
        },
    ),
    ("a column more in a csv", "texts", Written, |folder| {
        replace(folder, CSV, "text,label\n", "text,label,note\n");
        replace(folder, CSV, ",joy\n", ",joy,hidden\n");
        replace(folder, CSV, "\"\"\"\n", "\"\"\",hidden\n");
    }),
    (
        "a key more in a line of the jsonl",
        "texts",
        Written,
        |folder| {
            replace(folder, JSONL, "{", "{\"note\":\"hidden\",");
        },
    ),
    (
        "a key twice in a line of the jsonl",
        "texts",
        Written,
        |folder| {
            replace(folder, JSONL, "{", "{\"text\":\"hidden\",");
        },
    ),
    ("spaces behind the jsonl", "texts", Written, |folder| {
        rewrite(folder, JSONL, |bytes| bytes.extend(*b" \t \n"));
    }),
    (
        "letters of the jsonl written otherwise",
        "texts",
        Written,
        |folder| {
            replace(folder, JSONL, "one", "\\u006fne");
        },
    ),
    (
        "a probability that is none, in every format",
        "texts",
        Written,
        |folder| {
            let csv = fs::read_to_string(folder.join("taught-epsilon=3.csv")).unwrap();
            let csv = csv.replace("0.750000", "112233445566.750000");
            let labels = statement(folder).labels;
            texts::write(folder, "taught-epsilon=3", csv.as_bytes(), &labels).unwrap();
        },
    ),
    (
        "groups of sizes that the publisher likes",
        "groups",
        Written,
        |folder| {
            restate(folder, |statement| {
                let group = statement.groups[7];
                statement.groups = vec![group; 50_000];
            });
        },
    ),
    (
        "an epsilon that no accountant could find",
        "claim",
        Written,
        |folder| {
            restate(folder, |statement| {
                *own(statement) = changed(own(statement), |value| {
                    let certified = &mut value["certified"];
                    let small = serde_json::json!(1e-3);
                    certified["prv"] =
                        serde_json::json!({"lower": 0.0, "estimate": 0.0, "upper": small});
                    certified["epsilon"] = small;
                    certified["accountant"] = "prv".into();
                });
            });
        },
    ),
    (
        "another adjacency of the total",
        "composition",
        Written,
        |folder| {
            restate(folder, |statement| {
                *total(statement) = changed(total(statement), |value| {
                    value["adjacency"] = "add-remove".into();
                });
            });
        },
    ),
    ("no total", "composition", Written, |folder| {
        restate(folder, |statement| {
            statement.total = None;
            statement.groups.clear();
        });
    }),
    ("a lower epsilon of a group", "groups", Written, |folder| {
        restate(folder, |statement| {
            let group = &mut statement.groups[3];
            group.epsilon = dpx_accounting::EpsilonBound::new(group.epsilon.value() * 0.9).unwrap();
        });
    }),
    ("the largest group left out", "groups", Written, |folder| {
        restate(folder, |statement| statement.groups.truncate(7));
    }),
    ("groups out of order", "groups", Written, |folder| {
        restate(folder, |statement| {
            statement.groups[2].epsilon = dpx_accounting::EpsilonBound::INFINITE;
        });
    }),
    ("a model of other labels", "models", Written, |folder| {
        let path = folder.join("model/train-epsilon=3/dpx_schema.json");
        let mut schema = PublicSchema::load(&path).unwrap();
        schema.labels.push("anger".to_owned());
        schema.save(&path).unwrap();
    }),
];

#[test]
fn every_tampering_is_found_at_its_point() {
    assert!(TAMPERINGS.len() >= 40, "{}", TAMPERINGS.len());
    let whole = tempfile::tempdir().unwrap();
    fixture::write(whole.path());
    let before = verify(whole.path()).unwrap();
    assert!(before.holds(), "{:#?}", before.checks);
    let mut missed = Vec::new();
    for (name, point, sums, change) in TAMPERINGS {
        let folder = tempfile::tempdir().unwrap();
        copy(whole.path(), folder.path());
        change(folder.path());
        if *sums == Written {
            sum(folder.path());
        }
        let found = verify(folder.path()).unwrap();
        let check = found
            .checks
            .iter()
            .find(|check| check.point == *point)
            .unwrap();
        if check.failures.is_empty() || found.holds() {
            missed.push(format!("{name}: {:?}", found.checks));
        }
        // The checksums alone tell whatever was not done to them too.
        let told = &found.checks[1].failures;
        if *sums == Written && !told.is_empty() && *point != "folder" {
            missed.push(format!(
                "{name}: the checksums were written anew, and fail: {told:?}"
            ));
        }
        // Nobody is sent to another file for a thing that stands in this one.
        assert!(check.failures.iter().all(|failure| !failure.is_empty()));
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

/// A release of another version is checked as strictly, but for how pages are compressed.
#[test]
fn a_release_of_another_version_holds_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    fixture::write(folder.path());
    of_another_version(folder.path());
    sum(folder.path());
    let found = verify(folder.path()).unwrap();
    assert!(found.holds(), "{:#?}", found.checks);
}

/// Expensive bounds are computed where everything that is cheap holds, and a claim that could not hold is told as that.
#[test]
fn what_is_cheap_is_refused_before_what_is_expensive() {
    let whole = tempfile::tempdir().unwrap();
    fixture::write(whole.path());
    let sound = statement(whole.path());
    let mut failures = Failures::default();
    assert!(recheck::Recheck::new(&sound).goes_on("the groups", &mut failures));
    let mut statement = sound.clone();
    *own(&mut statement) = lowered(own(&mut statement), "/rdp");
    let recheck = recheck::Recheck::new(&statement);
    assert!(!recheck.goes_on("the groups", &mut failures));
    recheck.tell(
        &[recheck::Whose::Release, recheck::Whose::Total],
        &mut failures,
    );
    let told = failures.0.join("\n");
    assert!(
        told.contains("the RDP epsilon")
            && told.contains("the total: epsilon was not computed again"),
        "{told}"
    );
    // As many earlier releases as somebody likes to invent, each with other events.
    let mut statement = sound;
    let prior = statement.prior[0].clone();
    statement.prior = (0..4_000)
        .map(|number| Prior {
            claim: prior.claim.as_ref().map(|claim| {
                changed(claim, |value| {
                    for event in value["events"].as_object_mut().unwrap().values_mut() {
                        event["noise_multiplier"] = (9.0 + 1e-4 * f64::from(number)).into();
                    }
                })
            }),
            ..prior.clone()
        })
        .collect();
    let mut failures = Failures::default();
    recheck::Recheck::new(&statement).tell(&[recheck::Whose::Release], &mut failures);
    assert!(
        failures.0.len() == 1 && failures.0[0].contains("no epsilon was checked"),
        "{:?}",
        failures.0
    );
}

#[test]
fn a_page_with_other_line_ends_is_told_as_that() {
    let folder = tempfile::tempdir().unwrap();
    fixture::write(folder.path());
    let path = folder.path().join(OFFICER_FILE);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace('\n', "\r\n")).unwrap();
    let found = verify(folder.path()).unwrap();
    let mut checks = found.checks.iter();
    let check = checks.find(|check| check.point == OFFICER_FILE).unwrap();
    let told = &check.failures[0];
    assert!(
        told.starts_with("line 1 ") && told.contains("CRLF"),
        "{told}"
    );
}

/// What only whoever ran the study knows: the limit that docs/verify.md states.
#[test]
fn cheaper_events_that_are_consistent_everywhere_are_not_found() {
    let (mut release, mut disclosure) = fixture::release();
    let mut parts = Vec::new();
    for (_, record) in &mut release.records {
        if let dpx_schema::PrivacyRecord::Private(run) = record {
            run.event = match run.event {
                DpEvent::Gaussian { .. } => DpEvent::gaussian(50.0),
                _ => DpEvent::poisson_sampled_gaussian(20.0 / 1_020.0, 50.0, 50),
            }
            .unwrap();
            parts.push(run.part());
        }
    }
    disclosure.selection = Selection::None {
        unprotected: Vec::new(),
    };
    disclosure.prior.clear();
    disclosure.total = Some(fixture::claim(&parts));
    let statement = release
        .statement(&disclosure, &fixture::publication())
        .unwrap();
    assert_eq!(statement.format, Format::Release);
    assert_eq!(
        statement.claim.as_ref().unwrap().adjacency(),
        Adjacency::ZeroOut
    );
    let folder = tempfile::tempdir().unwrap();
    release.write(folder.path(), &statement).unwrap();
    assert!(verify(folder.path()).unwrap().holds());
}

#[test]
fn a_folder_of_something_else_fails_at_every_point_that_can_be_checked() {
    let folder = tempfile::tempdir().unwrap();
    assert!(verify(&folder.path().join("none")).is_err());
    let found = verify(folder.path()).unwrap();
    assert!(!found.holds() && found.statement.is_none());
    let unchecked = found.checks.iter().filter(|check| !check.checked).count();
    assert_eq!(
        (found.checks.len(), unchecked),
        (POINTS.len(), POINTS.len() - 3)
    );
}
