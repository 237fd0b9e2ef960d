//! What no schema can say: needs and cycles, the budget, values that exclude each other, names that lead nowhere.

mod bags;
mod borne;
mod claims;
mod conversations;
mod devices;
mod executor;
mod facts;
mod graph;
mod limits;
mod links;
mod overlap;
mod people;
mod privacy;
mod relabel;
mod release;
mod sources;
mod values;
mod votes;

pub(super) use claims::claims;
pub(super) use devices::devices;
pub(super) use executor::executor;
pub(super) use graph::graph;
pub(super) use privacy::privacy;
pub(super) use release::release;
pub(super) use values::values;
