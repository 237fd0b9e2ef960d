//! Who is told what happens: the journal, the live figures, the display.

use super::event::{Event, Stamped};
use crate::cache::Journal;
use std::sync::Arc;

/// Is told everything that happens in a run, in order.
pub trait Observer {
    /// Called for each event, in order, by the runner's thread.
    fn observe(&mut self, event: &Event);
    /// Called a few times a second, whether or not something happened.
    fn tick(&mut self) {}
}

/// Writes every event but progress and log lines to the journal. A failing journal never fails a run.
#[derive(Debug)]
pub(crate) struct JournalObserver(pub Arc<Journal>);

impl Observer for JournalObserver {
    fn observe(&mut self, event: &Event) {
        if !matches!(event, Event::Progress { .. } | Event::Log { .. }) {
            drop(self.0.append(&Stamped::now(event)));
        }
    }
}
