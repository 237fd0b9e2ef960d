//! Made-up facts: how many texts may state one.

use super::values::Resolved;
use crate::experiment::diagnostic::{Code, Diagnostic};
use dpx_schema::params::MOST_COPIES;

/// Checks the keys of facts of a `preprocess` stage.
pub(super) fn check(stage: &Resolved<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let Some(copies) = stage.params["fact_copies"].as_array() else {
        return;
    };
    if stage.params["facts"].is_null() {
        diagnostics.push(stage.no_effect(
            "fact_copies",
            "`fact_copies` has no effect without `facts`, their number",
        ));
        return;
    }
    let fits = |count: &serde_json::Value| {
        count
            .as_u64()
            .is_some_and(|count| (1..=MOST_COPIES).contains(&count))
    };
    if copies.is_empty() || !copies.iter().all(fits) {
        diagnostics.push(
            Diagnostic::at(
                Code::OutOfRange,
                stage.origin("fact_copies"),
                format!("`fact_copies` must list numbers from 1 to {MOST_COPIES}"),
            )
            .help("for example `fact_copies = [1, 4, 16, 64]`"),
        );
    }
}
