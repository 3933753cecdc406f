//! Changes after a revision, once or for ever.
//!
//! history table -> events of whole revisions -> caller; the writer's newest revision wakes a watch
//!
//! Invariant: a watch reads the history on disk and queues nothing, so a slow one costs no memory: it is told
//! [`StoreError::Compacted`] when it is too far behind. Writing the history is not here.

use std::future::Future;
use std::pin::Pin;
use std::sync::Weak;

use redb::{Database, ReadableDatabase};
use tokio::sync::watch;

use super::Shared;
use super::read_failed;
use super::tables::{HISTORY, META, META_COMPACTED, decode_change};
use crate::contract::{Watch, WatchEvent};
use crate::error::StoreError;

/// Events after which a read stops at the end of a revision: a stored batch at a time.
const READ_EVENTS: usize = 256;

/// Events after a revision, whole revisions, and where to go on.
pub(super) struct Page {
    pub(super) events: Vec<WatchEvent>,
    /// Everything up to this revision was read.
    pub(super) read_to: u64,
    /// Nothing is behind it.
    pub(super) complete: bool,
}

/// Reads at least `wanted` events after a revision if there are so many.
pub(super) fn read(database: &Database, prefix: &str, after: u64, wanted: usize) -> Result<Page, StoreError> {
    let read = database.begin_read().map_err(read_failed)?;
    let history = read.open_table(HISTORY).map_err(read_failed)?;
    let compacted = read.open_table(META).map_err(read_failed)?.get(META_COMPACTED).map_err(read_failed)?;
    let compacted = compacted.map_or(0, |found| found.value());
    if after < compacted {
        return Err(StoreError::Compacted { wanted: after, oldest: compacted });
    }
    let mut page = Page { events: Vec::new(), read_to: after, complete: true };
    for item in history.range((after.saturating_add(1), 0)..).map_err(read_failed)? {
        let (place, change) = item.map_err(read_failed)?;
        let (revision, _) = place.value();
        if revision != page.read_to && page.events.len() >= wanted {
            page.complete = false;
            break;
        }
        page.read_to = revision;
        let (key, bytes) = change.value();
        if key.starts_with(prefix) {
            let value = decode_change(key, revision, bytes)?;
            page.events.push(WatchEvent { revision, key: key.to_owned(), value });
        }
    }
    Ok(page)
}

/// A watch on an embedded store.
#[derive(Debug)]
pub(super) struct EmbeddedWatch {
    pub(super) shared: Weak<Shared>,
    pub(super) newest: watch::Receiver<u64>,
    pub(super) prefix: String,
    pub(super) position: u64,
    /// Read and not handed out yet, newest first.
    pub(super) ready: Vec<WatchEvent>,
}

impl EmbeddedWatch {
    /// The events of the oldest revision that is ready.
    fn take(&mut self) -> Vec<WatchEvent> {
        let revision = self.ready.last().map(|event| event.revision);
        let mut events = Vec::new();
        while let Some(event) = self.ready.pop_if(|event| Some(event.revision) == revision) {
            events.push(event);
        }
        events
    }

    async fn following(&mut self) -> Result<Vec<WatchEvent>, StoreError> {
        while self.ready.is_empty() {
            self.newest.borrow_and_update();
            let shared = self.shared.upgrade().ok_or(StoreError::Closed)?;
            let page = shared.reading(|database| read(database, &self.prefix, self.position, READ_EVENTS))?;
            drop(shared);
            self.position = page.read_to;
            self.ready = page.events;
            self.ready.reverse();
            if self.ready.is_empty() && page.complete {
                self.newest.changed().await.map_err(|_| StoreError::Closed)?;
            }
        }
        Ok(self.take())
    }
}

impl Watch for EmbeddedWatch {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Result<Vec<WatchEvent>, StoreError>> + Send + '_>> {
        Box::pin(self.following())
    }
}
