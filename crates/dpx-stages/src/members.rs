//! Which rows are whose: what a private stage makes of the owners of its rows, checked against the public bounds.

use dpx_data::{Owner, Row};
use dpx_schema::{PeopleBounds, PublicSchema, StageError};
use std::collections::HashMap;

/// Rows that count as one, and with how much.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Share {
    pub(crate) rows: Vec<usize>,
    /// What each row counts.
    pub(crate) weight: f64,
    /// Part of the bound of one person that this may take.
    pub(crate) bound: f64,
}

/// The rows of each person, in the order in which people come first.
///
/// # Errors
/// A row has no owner or several, or a person has more rows than the public bound allows.
pub(crate) fn members(rows: &[Row], people: PeopleBounds) -> Result<Vec<Vec<usize>>, StageError> {
    let mut places: HashMap<Owner, usize> = HashMap::new();
    let mut members: Vec<Vec<usize>> = Vec::new();
    for (row, owners) in rows.iter().map(|row| &row.owners).enumerate() {
        let [owner] = owners[..] else {
            return Err(unfit());
        };
        let place = *places.entry(owner).or_insert_with(|| {
            members.push(Vec::new());
            members.len() - 1
        });
        members[place].push(row);
    }
    check(members.iter().map(Vec::len), people)?;
    Ok(members)
}

/// What each person adds to a sum over all rows: their rows in equal parts, as one. A record of several people counts as much
/// as it does for the one of them who has most; by itself, within that part of the bound. Nothing where each row is a unit.
///
/// # Errors
/// A row has no owner, or a person has more rows than the public bound allows.
pub(crate) fn shares(
    rows: &[Row],
    schema: &PublicSchema,
) -> Result<Option<Vec<Share>>, StageError> {
    let Some(people) = schema.people else {
        return Ok(None);
    };
    if !people.several_owners {
        let members = members(rows, people)?.into_iter();
        return Ok(Some(
            members
                .map(|rows| Share {
                    weight: 1.0 / rows.len() as f64,
                    rows,
                    bound: 1.0,
                })
                .collect(),
        ));
    }
    let mut records: HashMap<Owner, usize> = HashMap::new();
    for owner in rows.iter().flat_map(|row| &row.owners) {
        *records.entry(*owner).or_default() += 1;
    }
    check(records.values().copied(), people)?;
    let share = |(place, row): (usize, &Row)| {
        let most = row.owners.iter().map(|owner| records[owner]).max();
        let weight = 1.0 / most.ok_or_else(unfit)? as f64;
        Ok(Share {
            rows: vec![place],
            weight,
            bound: weight,
        })
    };
    rows.iter()
        .enumerate()
        .map(share)
        .collect::<Result<_, _>>()
        .map(Some)
}

/// The bound is what the guarantee rests on: it is looked at again where it counts.
fn check(mut records: impl Iterator<Item = usize>, people: PeopleBounds) -> Result<(), StageError> {
    if records.any(|count| count as u64 > people.max_per_unit) {
        return Err(StageError::new(format!(
            "the training texts hold more than {} records of one person, though `max_per_unit` says otherwise: run `preprocess` again",
            people.max_per_unit
        )));
    }
    Ok(())
}

fn unfit() -> StageError {
    StageError::new(
        "the training texts do not say of each record whose it is, though people are protected: run `preprocess` again",
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use dpx_schema::LabelIntegration;

    pub(crate) fn row(id: u64, text: &str, label: &str, owners: &[&str]) -> Row {
        Row {
            id,
            text: text.to_owned(),
            label: label.to_owned(),
            owners: owners.iter().map(|name| Owner::named(name)).collect(),
            planted: Vec::new(),
        }
    }

    pub(crate) fn schema(units: u64, max_per_unit: u64, several_owners: bool) -> PublicSchema {
        let labels = vec!["joy".to_owned(), "fear".to_owned(), "love".to_owned()];
        PublicSchema {
            people: Some(PeopleBounds {
                max_per_unit,
                several_owners,
            }),
            ..PublicSchema::new(labels, "{label}: {text}", LabelIntegration::Prefix, units)
        }
    }

    #[test]
    fn rows_are_those_of_their_people() {
        let rows = [
            row(0, "a", "joy", &["ann"]),
            row(1, "b", "joy", &["bob"]),
            row(2, "c", "fear", &["ann"]),
        ];
        let people = schema(2, 2, false);
        assert_eq!(
            members(&rows, people.people.unwrap()).unwrap(),
            [vec![0, 2], vec![1]]
        );
        let shares = shares(&rows, &people).unwrap().unwrap();
        assert_eq!((shares[0].weight, shares[1].weight), (0.5, 1.0));
    }

    #[test]
    fn what_exceeds_the_public_bound_is_an_error() {
        let rows: Vec<Row> = (0..3).map(|id| row(id, "a", "joy", &["ann"])).collect();
        let error = members(&rows, schema(1, 2, false).people.unwrap()).unwrap_err();
        assert!(error.to_string().contains("max_per_unit"), "{error}");
        let error = shares(&rows, &schema(1, 2, true)).unwrap_err();
        assert!(error.to_string().contains("max_per_unit"), "{error}");
        let nobody = [row(0, "a", "joy", &[])];
        assert!(shares(&nobody, &schema(1, 2, false)).is_err());
        assert!(shares(&nobody, &schema(1, 2, true)).is_err());
        let both = [row(0, "a", "joy", &["ann", "bob"])];
        assert!(members(&both, schema(2, 2, false).people.unwrap()).is_err());
    }

    /// Whoever is taken out, all of their records together had at most a weight of one.
    #[test]
    fn no_owner_of_shared_records_has_a_weight_above_one() {
        let names = ["ann", "bob", "cem", "dan"];
        let rows: Vec<Row> = (0..10_usize)
            .map(|id| {
                row(
                    id as u64,
                    "a",
                    "joy",
                    &[names[id % 4], names[(id + 1 + id % 2) % 4]],
                )
            })
            .collect();
        let shares = shares(&rows, &schema(4, 9, true)).unwrap().unwrap();
        for name in names {
            let owner = Owner::named(name);
            let own = shares
                .iter()
                .filter(|share| rows[share.rows[0]].owners.contains(&owner));
            let weight: f64 = own.map(|share| share.weight).sum();
            assert!(weight <= 1.0 + 1e-12 && weight > 0.2, "{name}: {weight}");
        }
    }
}
