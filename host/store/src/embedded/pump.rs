//! A store without a thread, on any storage: who has the pump decides when there is a commit.
//!
//! backend -> [`Embedded`] + [`Pump`]; [`Embedded::txn`] queues, [`Pump::run`] commits what waits and answers
//!
//! Invariant: between two runs of the pump nothing is written, so whoever simulates disks, clocks and crashes has one order
//! of events. Locks, folders and creation in one step are not here: the backend is the caller's.

use std::path::Path;

use redb::{Database, StorageBackend};

use super::disk::Overlay;
use super::writer::Writer;
use super::{Embedded, MonotonicClock, unusable};
use crate::error::StoreError;

/// The writer of a store, run by hand.
pub struct Pump(Writer);

impl std::fmt::Debug for Pump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pump").finish_non_exhaustive()
    }
}

impl Pump {
    /// One commit of what waits now and of leases that ended; answers with the number of commands in it.
    pub fn run(&mut self) -> usize {
        self.0.run_once()
    }
}

impl Embedded {
    /// Opens (or makes) the store on a backend, with the clock by which leases end and a page cache of so many bytes. What is
    /// queued when the store is dropped is never written.
    ///
    /// # Errors
    /// [`StoreError::NewerFormat`], or [`StoreError::Unusable`].
    pub fn open_on<B: StorageBackend + Clone>(
        backend: B,
        clock: MonotonicClock,
        cache_bytes: usize,
    ) -> Result<(Self, Pump), StoreError> {
        let nowhere = Path::new("a backend");
        let again = backend.clone();
        let database = Database::builder()
            .set_cache_size(cache_bytes)
            .create_with_backend(backend)
            .map_err(|error| unusable(nowhere, error))?;
        let view = Box::new(move || Database::builder().create_with_backend(Overlay::new(again.clone())?));
        let (store, writer) = Self::without_thread(nowhere, database, None, view, clock)?;
        Ok((store, Pump(writer)))
    }
}
