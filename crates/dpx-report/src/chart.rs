//! Charts as inline SVG: a small scale module and a builder that escapes everything.
//!
//! Every chart has a title and a description that states its finding, so that nothing is lost without eyes; series differ
//! by dash and marker as well as colour and are named at the line. The canvas is 380 units wide, so that text stays legible
//! on a phone.

pub(super) mod bars;
pub(super) mod budget;
pub(super) mod curves;
pub(super) mod dag;
pub(super) mod dots;
pub(super) mod heat;
pub(super) mod lengths;
pub(super) mod scale;
pub(super) mod svg;
pub(super) mod tradeoff;
