//! What a study would spend, in words and for programs.

use super::others::Told;
use crate::StudyError;
use dpx_accounting::Claim;
use dpx_engine::experiment::Enforce;
use dpx_schema::{Budget, counted};
use serde_json::{Value, json};
use std::fmt::Write;

/// What a study would spend of the people behind its data.
pub struct Forecast {
    pub(super) budget: Option<Budget>,
    pub(super) enforce: Enforce,
    pub(super) delta: f64,
    pub(super) releases: usize,
    /// Everything that was released before.
    pub(super) released: Option<Claim>,
    /// The same with each row.
    pub(super) rows: Vec<(String, Option<Claim>)>,
    /// The same with one row that is chosen when all were scored; nothing where there is no such choice.
    pub(super) chosen: Option<Claim>,
    /// What the rows were compared with beside one another.
    pub(super) others: Told,
    /// The same with all rows.
    pub(super) all: Option<Claim>,
    /// Everything that was run and everything that is planned, where runs are held to the budget.
    pub(super) run: Option<Claim>,
    /// Instances that are planned without noise.
    pub(super) bare: Vec<String>,
}

impl Forecast {
    fn exceeds(&self, claim: Option<&Claim>) -> bool {
        match (self.budget, claim) {
            (Some(budget), Some(claim)) => claim.epsilon().value() > budget.epsilon,
            _ => false,
        }
    }

    /// Refuses a study whose runs are held to a budget that they would exceed, before anything is spent.
    pub fn refuse_runs(&self) -> Result<(), StudyError> {
        let (Some(budget), Enforce::Train) = (self.budget, self.enforce) else {
            return Ok(());
        };
        let refuse = |what: String| {
            Err(StudyError::refused(format!(
                "the budget of these people is ({}, {:e})-DP (`[privacy] budget` with `enforce = \"train\"`), {what}; nothing was run",
                budget.epsilon, budget.delta
            ))
            .hint("plan fewer or noisier runs, or raise the budget; `dpx plan` shows what each row would spend"))
        };
        if let Some(bare) = self.bare.first() {
            return refuse(format!("and `{bare}` has no guarantee at all"));
        }
        match &self.run {
            Some(claim) if self.exceeds(Some(claim)) => refuse(format!(
                "and everything that was run of them would cost {claim:#.4} with this study"
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// The row that costs most.
    fn dearest(&self) -> Option<&Claim> {
        let claims = self.rows.iter().filter_map(|(_, claim)| claim.as_ref());
        claims.max_by(|a, b| a.epsilon().value().total_cmp(&b.epsilon().value()))
    }

    /// A table for the terminal, with the sentences that its figures need.
    pub fn text(&self) -> String {
        let mut text = match self.budget {
            Some(budget) => format!(
                "Spent of the same people if rows were released; the budget is ({}, {:e})-DP:\n",
                budget.epsilon, budget.delta
            ),
            None => format!(
                "Spent of the same people if rows were released, at delta {:e}:\n",
                self.delta
            ),
        };
        let any = format!("any one of {}", counted(self.rows.len() as u64, "row"));
        const CHOSEN: &str = "any one, chosen by its scores";
        const NO_LONGER: &str = "rows no longer in the file";
        const LOST: &str = "only in the ledger";
        let width = self
            .rows
            .iter()
            .map(|(name, _)| name.chars().count())
            .chain([any.len(), self.chosen.as_ref().map_or(0, |_| CHOSEN.len())])
            .chain(self.others.rows.as_ref().map(|_| NO_LONGER.len()))
            .chain(self.others.lost.as_ref().map(|_| LOST.len()))
            .max()
            .unwrap_or(0);
        let mut line = |name: &str, claim: Option<&Claim>, note: &str| {
            let cost = claim.map_or_else(|| "nothing".to_owned(), |claim| format!("{claim:#.4}"));
            let over = if self.exceeds(claim) {
                "  exceeds the budget"
            } else {
                ""
            };
            let _ = writeln!(text, "  {name:width$}  {cost}{note}{over}");
        };
        let releases = format!("  ({})", counted(self.releases as u64, "release"));
        line("released before", self.released.as_ref(), &releases);
        for (name, what, group) in [
            (NO_LONGER, "row", &self.others.rows),
            (LOST, "run", &self.others.lost),
        ] {
            if let Some(group) = group {
                let note = format!("  ({})", counted(group.len(), what));
                line(name, group.claim.as_ref(), &note);
            }
        }
        if self.rows.is_empty() {
            text.push_str("  no row of this study can be released under a guarantee\n");
            return text;
        }
        for (name, claim) in &self.rows {
            line(name, claim.as_ref(), "");
        }
        line(&any, self.dearest(), "  at most");
        if let Some(chosen) = &self.chosen {
            line(CHOSEN, Some(chosen), "");
        }
        line("all rows", self.all.as_ref(), "");
        if let Some(run) = &self.run {
            line("everything run", Some(run), "");
        }
        if self.chosen.is_some() {
            text.push_str(
                "A row by itself costs what its line says where it is named in `[privacy] selection` before anything is trained;\n\
                 whoever has seen the scores of several has learned from all of them.\n",
            );
        }
        text + &self.others.sentences()
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|(name, claim)| {
                json!({"row": name, "claim": claim, "exceeds": self.exceeds(claim.as_ref())})
            })
            .collect();
        json!({
            "budget": self.budget,
            "delta": self.delta,
            "releases": self.releases,
            "released": self.released,
            "rows": rows,
            "any": self.dearest(),
            "chosen": self.chosen,
            "others": self.others.json(),
            "all": self.all,
            "exceeds": self.exceeds(self.all.as_ref()),
            "run": self.run,
        })
    }
}
