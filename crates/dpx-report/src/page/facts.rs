//! Made-up facts that synthetic texts state.

use super::leakage::repeated_share;
use crate::study::{Row, Study};
use crate::table::{Column, NOTHING, Table};
use dpx_stages::metric::facts::FactRecall;
use std::collections::BTreeSet;

/// A line per number of training texts that state a fact, two columns per row of the study.
pub(crate) fn facts(study: &Study) -> Table {
    let rows: Vec<(&Row, &[FactRecall])> = study
        .rows
        .iter()
        .filter_map(|row| Some((row, row.scores.as_ref()?.facts.as_slice())))
        .filter(|(_, facts)| !facts.is_empty())
        .collect();
    let copies: BTreeSet<u64> = rows
        .iter()
        .flat_map(|(_, facts)| facts.iter().map(|one| one.copies))
        .collect();
    let mut columns = vec![
        Column::text("training texts that state it").internal(),
        Column::text("facts").internal(),
    ];
    for (row, _) in &rows {
        columns.push(Column::text(&row.name).internal());
        columns.push(Column::text(&format!("{}, with a wrong thing", row.name)).internal());
    }
    let lines = copies.iter().map(|copies| {
        let own = |facts: &[FactRecall]| facts.iter().find(|one| one.copies == *copies).cloned();
        let all = rows.iter().find_map(|(_, facts)| own(facts));
        let all = all.map_or_else(|| NOTHING.into(), |one| one.stated.total.to_string());
        let mut cells = vec![copies.to_string(), all];
        for (row, facts) in &rows {
            cells.extend(own(facts).map_or_else(
                || [NOTHING.into(), NOTHING.into()],
                |found| {
                    [
                        repeated_share(row, &format!("facts.{copies}"), found.stated),
                        format!("{:.1}%", 100.0 * found.confused.value),
                    ]
                },
            ));
        }
        cells
    });
    Table {
        caption: "Made-up facts that synthetic texts state, by the number of training texts that state each: share of the facts whose name and thing stand in one synthetic text, with 95% Wilson interval or, with replicates, mean ± standard deviation (n); beside it the share whose name stands with the thing of another fact, which is what chance gives; internal".into(),
        columns,
        rows: lines.collect(),
    }
}
