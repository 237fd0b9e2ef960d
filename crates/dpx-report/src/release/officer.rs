//! `PRIVACY.md`: one page for a privacy officer, in plain words.
//!
//! The order is that in which NIST SP 800-226 has a guarantee evaluated: the promise and its parameters, the unit of
//! privacy, composition, then what lies around the mechanism. A function of the statement alone.

use super::statement::{Author, ExportForm, GROUPS, Prior, Selection, Statement};
use super::words::{belief, claimed, code, factor, listed, neighbors, promise, strength};
use dpx_schema::counted;
use dpx_schema::{Kind, Unit, privacy::describe};
use std::collections::BTreeMap;
use std::fmt::Write;

pub(crate) fn page(statement: &Statement) -> String {
    let mut page = format!(
        "# Privacy of this release\nStudy {}, released {} with dpx {}. This page follows from `privacy.json`, word for word; `dpx verify` in this folder checks that, and computes every number again.\n\n",
        code(&statement.study),
        statement.date,
        statement.dpx_version
    );
    let several = match statement.unit() {
        Unit::Example => "People with several records",
        Unit::User => "Several people together",
    };
    let sections = [
        ("What is protected", protected(statement)),
        ("What is not protected", unprotected(statement)),
        ("Who is protected", unit(statement)),
        ("What epsilon means", epsilon(statement)),
        (several, groups(statement)),
        ("Earlier releases of the same people", prior(statement)),
        ("How the released rows were chosen", selection(statement)),
        ("Canaries", canaries(statement)),
        ("Public bounds", bounds(statement)),
        ("Scrubbing", scrubbing(statement)),
        ("How to check this", check(statement)),
    ];
    for (number, (title, text)) in sections.into_iter().enumerate() {
        let _ = writeln!(page, "## {}. {title}\n{}\n", number + 1, text.trim_end());
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn protected(statement: &Statement) -> String {
    let what = files(statement);
    let (come, were, all) = if statement.export.is_some() {
        ("comes", "was", "it")
    } else {
        ("come", "were", "all of them together")
    };
    let Some(claim) = &statement.claim else {
        return format!("No private data were used. {what} {come} from public data alone.");
    };
    let of = records(statement);
    let promise = promise(
        claim.epsilon(),
        statement.unit(),
        statement.has_several_owners(),
    );
    format!(
        "{what} {were} made from {of} under differential privacy: **{claim}** for {all}. {promise} This holds whatever else they know and however much they compute, now and later."
    )
}

/// What is released, as the beginning of a sentence.
fn files(statement: &Statement) -> String {
    if let Some(export) = &statement.export {
        return match export.form {
            ExportForm::Model => "The language model here".to_owned(),
            ExportForm::Adapter => "The adapter of a language model here".to_owned(),
        };
    }
    let texts = counted(statement.rows(), "text");
    match statement.models.len() {
        0 => format!("The {texts} here"),
        models => format!("The {texts} and {} here", counted(models as u64, "model")),
    }
}

/// How many private records there were, as far as that is public, data set by data set.
fn records(statement: &Statement) -> String {
    let mut sizes: BTreeMap<u64, Option<u64>> = BTreeMap::new();
    for run in statement.runs.values() {
        let own = run
            .examples
            .map(|examples| examples.saturating_sub(run.canaries));
        let known = sizes.entry(run.data_set).or_default();
        *known = (*known).max(own);
    }
    let of_one = |size: &Option<u64>| match (size, statement.unit()) {
        (Some(size), Unit::Example) => counted(*size, "private record"),
        (None, Unit::Example) => "private records".to_owned(),
        (Some(size), Unit::User) => format!("the private records of {}", Unit::User.counted(*size)),
        (None, Unit::User) => "the private records of people".to_owned(),
    };
    let all: Vec<String> = sizes.values().map(of_one).collect();
    if let [one] = all.as_slice() {
        return one.clone();
    }
    format!(
        "{} ({})",
        counted(all.len() as u64, "private data set"),
        all.join("; ")
    )
}

fn unprotected(statement: &Statement) -> String {
    let mut items = vec![
        format!(
            "What holds for many people: differential privacy hides single {}, not what a group has in common.",
            statement.unit().plural()
        ),
        "What the publisher states to be public: the labels, the settings in `privacy.json`, and what the public inputs already held.".to_owned(),
        if statement.export.is_some() {
            "Chance: what the model writes may coincide with training texts in short phrases, and a name in it may be that of a real person.".to_owned()
        } else {
            format!(
                "Chance: {}. Short phrases may coincide with training texts, and a name in a text may be that of a real person.",
                generated(statement)
            )
        },
    ];
    if statement.claim.is_some() {
        items.push(format!(
            "Records that the {} only scored on (test and validation records): the promise is to the records that were learned from.",
            if statement.export.is_some() {
                "model was"
            } else {
                "texts were"
            }
        ));
        items.push("Anything against whoever holds the private data, the cache or the internal results of the study: none of that is in this folder.".to_owned());
        items.extend(
            statement
                .not_covered
                .iter()
                .map(|item| format!("Not covered: {item}.")),
        );
    }
    if !statement.declared_overlap.is_empty() {
        items.push(format!(
            "Texts that stand both in the private data and in {}, which the publisher declared to overlap: they were public already and are not protected.",
            listed(&statement.declared_overlap)
        ));
    }
    items
        .iter()
        .fold(String::new(), |list, item| list + "- " + item + "\n")
}

/// What wrote the texts.
pub(super) fn generated(statement: &Statement) -> String {
    let by = |author| statement.texts.iter().any(|texts| texts.author == author);
    match (by(Author::Model), by(Author::Counts)) {
        (true, false) => "the texts were generated by a model",
        (false, _) => "the texts were drawn word by word from noisy counts by a program",
        (true, true) => {
            "the texts were generated by a model or drawn word by word from noisy counts"
        }
    }
    .to_owned()
}

fn unit(statement: &Statement) -> String {
    let Some(claim) = &statement.claim else {
        return "Nobody's records were used.".to_owned();
    };
    let unit = match statement.unit() {
        Unit::Example => "One record: a single text, cut at a public length. Somebody who wrote one record is protected as stated; somebody who wrote several is protected less (section 5), also where the same record was stored twice.".to_owned(),
        Unit::User => people(statement),
    };
    let undisclosed = statement
        .runs
        .values()
        .any(|run| run.adjacency != claim.adjacency());
    format!(
        "{unit} The guarantee compares {}.{}",
        neighbors(claim.adjacency(), statement.unit()),
        if undisclosed {
            format!(
                " For runs that were calibrated under add/remove adjacency that is no weaker, and their number of {} is not disclosed.",
                statement.unit().plural()
            )
        } else {
            String::new()
        }
    )
}

/// What protects people, run by run.
fn people(statement: &Statement) -> String {
    let mut text = "One person, with all of their records. Whose a record is was said by a column of the data; somebody who appears there under two names is two people, and protected less.\n\n".to_owned();
    for (name, run) in &statement.runs {
        if let Some(bounds) = &run.bounds {
            let _ = writeln!(text, "- {}: {}.", code(name), bounds.meaning());
        }
    }
    text + "\n"
}

fn epsilon(statement: &Statement) -> String {
    let Some(total) = &statement.total else {
        return if statement.declared_overlap.is_empty() {
            "Epsilon is 0: no private record can have any influence.".to_owned()
        } else {
            format!(
                "No mechanism looked at private records. Epsilon is 0 for those that do not stand in {}, which the publisher declared to hold some of them; to these nothing is promised.",
                listed(&statement.declared_overlap)
            )
        };
    };
    let whom = statement.unit().word();
    let bound = total.epsilon();
    let certified = total.certified();
    let mut text = format!(
        "Everything that the ledger counts to the same people and that was ever released, this folder included, is **{total}** together. In words: whoever suspects something of one {whom} sees the odds of the suspicion change by a factor of at most {}. A suspicion held to be as likely as not (50 %) may rise to {}, one of 1 % to {}, and no further. {} With a probability of at most delta = {} this may fail.\n\n",
        factor(bound),
        belief(0.5, bound),
        belief(0.01, bound),
        strength(bound, whom),
        total.delta()
    );
    text.push_str(
        "| accountant | epsilon of this release | of everything |\n| --- | --- | --- |\n",
    );
    let own = statement.claim.as_ref().unwrap_or(total).certified();
    for (name, own, all) in [
        ("Renyi (RDP)", own.rdp, certified.rdp),
        ("PRV, upper bound", own.prv.upper, certified.prv.upper),
        (
            "privacy loss distribution (connect-the-dots)",
            own.connect_the_dots,
            certified.connect_the_dots,
        ),
        ("**stated: the least**", own.epsilon, certified.epsilon),
    ] {
        let _ = writeln!(text, "| {name} | {own:.4} | {all:.4} |");
    }
    text.push_str("\nEvery number is an upper bound, rounded up.");
    text
}

fn groups(statement: &Statement) -> String {
    if statement.total.is_none() {
        return "Nobody's records were used.".to_owned();
    }
    let cells = |cell: &dyn Fn(&super::statement::Group) -> String| {
        statement.groups.iter().fold(String::new(), |cells, group| {
            cells + " " + &cell(group) + " |"
        })
    };
    let lines = vec!["---"; GROUPS.len() + 1].join(" | ");
    let (whom, header) = match statement.unit() {
        Unit::Example => ("one person with so many records", "records"),
        Unit::User => ("so many people together, such as a family", "people"),
    };
    format!(
        "What everything together promises to {whom}, at the same delta:\n\n| {header} |{}\n| {lines} |\n| epsilon |{}\n| 50 % may rise to |{}\n",
        cells(&|group| group.records.to_string()),
        cells(&|group| format!("{:.2}", group.epsilon)),
        cells(&|group| belief(0.5, group.epsilon)),
    )
}

fn prior(statement: &Statement) -> String {
    let shared = match statement.unit() {
        Unit::Example => "more than one record in a hundred",
        Unit::User => "more than one in a hundred of the people, or of the records,",
    };
    let ledger = format!(
        "Data sets are the same people's where {shared} of the smaller one is in both, or they come from one source. Somebody whose records are also in another data set that shares fewer is promised less: the sum of the claims of both. The ledger of whoever made this release knows"
    );
    if statement.claim.is_none() && statement.prior.is_empty() {
        return "No private data were used: there is nothing to add up.".to_owned();
    }
    let rebuilt = if statement.rebuilt_ledger {
        " That ledger was lost once and made anew from what was still known of runs; releases before that are not in it, and what they promised adds to what stands here."
    } else {
        ""
    };
    if statement.prior.is_empty() {
        return format!("{ledger} of none.{rebuilt}");
    }
    let mut text = format!(
        "{ledger} of {}, and the claims add up: with this one, **{}**.{rebuilt}\n\n| released | study | rows | by itself |\n| --- | --- | --- | --- |\n",
        counted(statement.prior.len() as u64, "earlier release"),
        claimed(statement.total.as_ref())
    );
    for Prior {
        date,
        study,
        rows,
        claim,
    } in &statement.prior
    {
        let _ = writeln!(
            text,
            "| {date} | {} | {} | {} |",
            code(study),
            listed(rows),
            claimed(claim.as_ref())
        );
    }
    text
}

/// Where it stands what was scored.
const KNOWN: &str = "the ledger of whoever made this release and the cache that it was made from";
/// What no ledger of one study tells.
const ELSEWHERE: &str =
    "What was tried in other studies, with another ledger, or without dpx, is not counted here.";

fn selection(statement: &Statement) -> String {
    match &statement.selection {
        Selection::None { unprotected } if unprotected.is_empty() && statement.export.is_some() => {
            format!(
                "As far as {KNOWN} know, nothing was chosen by scores on private data: no other row of this study under a guarantee was scored. {ELSEWHERE}"
            )
        }
        Selection::None { unprotected } if unprotected.is_empty() => {
            format!(
                "As far as {KNOWN} know, nothing was chosen by scores on private data: every row of this study that was scored is here, or costs nothing. {ELSEWHERE}"
            )
        }
        Selection::None { unprotected } => format!(
            "As far as {KNOWN} know, every row of this study under a guarantee that was scored on private data is here, or costs nothing. Scored too, and without a guarantee: {}. What their scores told whoever decided on this release is bounded by nothing. {ELSEWHERE}",
            listed(unprotected)
        ),
        Selection::Declared { rows } => format!(
            "The rows ({}) were named in the experiment file before any candidate was trained, and as far as {KNOWN} know none of them was run twice: the choice costs nothing. {ELSEWHERE}",
            listed(rows)
        ),
        Selection::Undeclared {
            candidates,
            claim,
            unprotected,
        } => {
            let mut text = format!(
                "The rows were chosen among {} that were scored on private data, or may have been ({}): runs of this study that only the ledger knows count as scored. The choice itself tells something of the data; what the candidates themselves tell is covered by counting all of them as if they were released: **{claim}**. The total of section 4 contains it. The scores were computed on private records without noise: that this candidate was preferred, one of so many possible answers, is told to whoever reads this, and no noise protects it.",
                counted(candidates.len() as u64, "candidate"),
                listed(candidates)
            );
            if !unprotected.is_empty() {
                let _ = write!(
                    text,
                    " Scored too, and without a guarantee: {}. What their scores told whoever chose is bounded by nothing.",
                    listed(unprotected)
                );
            }
            text.push(' ');
            text.push_str(ELSEWHERE);
            text
        }
    }
}

fn canaries(statement: &Statement) -> String {
    match statement.canaries() {
        0 => "None were planted.".to_owned(),
        planted => format!(
            "For an audit, {planted} made-up {} of random letters were planted among the private ones. Pieces of them may stand in the texts. They are nobody's data, and the guarantee counts them as {}.",
            match statement.unit() {
                Unit::Example => "records",
                Unit::User => "people with texts",
            },
            statement.unit().plural()
        ),
    }
}

fn bounds(statement: &Statement) -> String {
    if statement.runs.is_empty() {
        return "No private data were used.".to_owned();
    }
    let (bound, units) = match statement.unit() {
        Unit::Example => ("bound on one record", "records"),
        // Section 3 says which of the two it is.
        Unit::User => ("bound on one contribution", "people"),
    };
    let mut text = format!(
        "The publisher states that these numbers were fixed without looking at the data, or are public:\n\n| run | what it did | mechanism | {bound} | {units} | longest record |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for (name, run) in &statement.runs {
        let event = statement
            .claim
            .as_ref()
            .and_then(|claim| claim.events().get(name))
            .map_or_else(String::new, describe);
        let kind = match run.kind {
            Kind::Train => "fine-tuned a language model",
            Kind::Teacher => "trained a classifier",
            Kind::Counts => "counted labels or words",
            Kind::Select => "counted votes for texts of a pool",
            other => other.name(),
        };
        let _ = writeln!(
            text,
            "| {} | {kind} | {event} | {} | {} | {} |",
            code(name),
            run.max_grad_norm,
            run.examples
                .map_or_else(|| "not disclosed".to_owned(), |n| n.to_string()),
            run.max_length
                .map_or_else(|| "–".to_owned(), |n| format!("{n} tokens")),
        );
    }
    text.push_str("\nLonger records are cut off at the longest length, never split.");
    if statement.texts.is_empty() {
        return text;
    }
    let longest: Vec<String> = statement
        .texts
        .iter()
        .map(|texts| texts.max_new_tokens.to_string())
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    let _ = write!(
        text,
        " Released texts have at most {} tokens.",
        longest.join(" or ")
    );
    text
}

fn scrubbing(statement: &Statement) -> String {
    if statement.claim.is_none() {
        return "No private data were used.".to_owned();
    }
    if statement.scrubbing.is_empty() {
        return "The private texts were not scrubbed. The guarantee does not depend on it."
            .to_owned();
    }
    format!(
        "Before anything else saw them, personal data in the private texts were replaced by {}. Scrubbing misses some of it; it is an addition, and no part of the guarantee.",
        listed(&statement.scrubbing)
    )
}

fn check(statement: &Statement) -> String {
    let mut inputs = String::new();
    if !statement.public_inputs.is_empty() {
        inputs = format!(
            " Taken to be public were {}.",
            listed(&statement.public_inputs)
        );
    }
    for sentence in &statement.provenance {
        inputs.push(' ');
        inputs += sentence;
    }
    format!(
        "`dpx verify DIR`, with this folder and nothing else, compares the checksums, computes epsilon again from the events in `privacy.json` with three accountants, and compares this page and the {} card with it. It cannot know whether the events are those that ran, nor who made the folder: that is the publisher's word.{inputs}",
        if statement.export.is_some() {
            "model"
        } else {
            "dataset"
        }
    )
}
