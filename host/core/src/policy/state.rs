//! State that policies keep in the host: counters, pins and cells of one slot.
//!
//! Shared by every instance and revision of the slot; snapshots of it go to the store and come back at start.
//! Invariant: the quota bounds names, entries and numbers, and a full pin table forgets its least recently used
//! entry. Time comes in as an argument.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::time::Now;

/// Most counters of a slot.
pub const COUNTERS_MAX: usize = 64;
/// Most pin tables of a slot.
pub const PIN_TABLES_MAX: usize = 16;
/// Most entries of a pin table: about 6 MiB a table.
pub const PINS_MAX: u32 = 65_536;
/// Most cells of a slot.
pub const CELLS_MAX: usize = 64;
/// Most numbers of a cell.
pub const CELL_NUMBERS_MAX: usize = 1_024;
/// Longest name of a counter, table or cell, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Shortest and longest time that a pin lives, ms.
pub const PIN_TTL_MS: std::ops::RangeInclusive<u64> = 1_000..=86_400_000;

/// Why a handle could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The slot's quota is used up.
    #[error("the slot's quota of named state is used up")]
    QuotaExceeded,
    /// The name is not `[a-z0-9-]{1,64}`.
    #[error("the name is not of the form [a-z0-9-]{{1,64}}")]
    BadName,
}

/// A shared number.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds, wrapping, and returns the value before.
    pub fn fetch_add(&self, delta: u64) -> u64 {
        self.0.fetch_add(delta, Ordering::Relaxed)
    }

    /// The value now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where a pin points: a row, and the identity of the member that was in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PinTarget {
    /// Row in the fleet.
    pub row: u32,
    /// The member's stable hash; another member in the row does not inherit the pin.
    pub identity: u64,
}

#[derive(Debug, Clone, Copy)]
struct Pin {
    target: PinTarget,
    expires: Now,
    used: u64,
}

#[derive(Debug, Default)]
struct PinEntries {
    by_key: BTreeMap<u64, Pin>,
    /// Use order: oldest first. Mirrors `by_key` exactly.
    by_use: BTreeMap<u64, u64>,
    uses: u64,
}

/// Keys pinned to members, with a time to live and least-recently-used eviction.
#[derive(Debug)]
pub struct PinTable {
    entries: Mutex<PinEntries>,
    capacity: usize,
    ttl_ms: u64,
}

impl PinTable {
    fn new(capacity: u32, ttl_ms: u64) -> Self {
        Self {
            entries: Mutex::default(),
            capacity: capacity.clamp(1, PINS_MAX) as usize,
            ttl_ms: ttl_ms.clamp(*PIN_TTL_MS.start(), *PIN_TTL_MS.end()),
        }
    }

    /// The target of a key that has not expired; a hit renews it.
    #[must_use]
    pub fn get(&self, key: u64, now: Now) -> Option<PinTarget> {
        let mut entries = lock(&self.entries);
        let pin = *entries.by_key.get(&key)?;
        if pin.expires <= now {
            entries.remove(key);
            return None;
        }
        entries.put(key, pin.target, now.plus_ms(self.ttl_ms));
        Some(pin.target)
    }

    /// Pins a key.
    pub fn set(&self, key: u64, target: PinTarget, now: Now) {
        let mut entries = lock(&self.entries);
        entries.put(key, target, now.plus_ms(self.ttl_ms));
        while entries.by_key.len() > self.capacity {
            let Some((_, &oldest)) = entries.by_use.first_key_value() else { break };
            entries.remove(oldest);
        }
    }

    /// Forgets a key.
    pub fn remove(&self, key: u64) {
        lock(&self.entries).remove(key);
    }

    /// How many keys it holds, expired ones that nobody asked for included.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.entries).by_key.len()
    }

    /// Whether it holds no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl PinEntries {
    fn put(&mut self, key: u64, target: PinTarget, expires: Now) {
        self.uses += 1;
        let used = self.uses;
        if let Some(old) = self.by_key.insert(key, Pin { target, expires, used }) {
            self.by_use.remove(&old.used);
        }
        self.by_use.insert(used, key);
    }

    fn remove(&mut self, key: u64) {
        if let Some(pin) = self.by_key.remove(&key) {
            self.by_use.remove(&pin.used);
        }
    }
}

/// A small vector of numbers with a version.
#[derive(Debug, Default)]
pub struct Cell(Mutex<(u64, Vec<f64>)>);

impl Cell {
    /// The version and the numbers.
    #[must_use]
    pub fn get(&self) -> (u64, Vec<f64>) {
        lock(&self.0).clone()
    }

    /// Replaces the numbers if the version is `expected` and they are not too many; says whether it did.
    pub fn compare_and_set(&self, expected: u64, values: Vec<f64>) -> bool {
        let mut cell = lock(&self.0);
        let fits = cell.0 == expected && values.len() <= CELL_NUMBERS_MAX;
        if fits {
            *cell = (expected + 1, values);
        }
        fits
    }
}

/// All state of one slot.
#[derive(Debug, Default)]
pub struct SlotState {
    counters: Mutex<BTreeMap<String, Arc<Counter>>>,
    pins: Mutex<BTreeMap<String, Arc<PinTable>>>,
    cells: Mutex<BTreeMap<String, Arc<Cell>>>,
}

/// A copy of a slot's state for the store. Pin times are as remaining ms, because clocks do not survive restarts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SlotStateImage {
    /// Name and value.
    pub counters: Vec<(String, u64)>,
    /// Pin tables.
    pub pins: Vec<PinTableImage>,
    /// Name, version and numbers.
    pub cells: Vec<(String, u64, Vec<f64>)>,
}

/// A copy of a pin table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PinTableImage {
    /// Its name.
    pub name: String,
    /// Its capacity.
    pub capacity: u32,
    /// Its time to live.
    pub ttl_ms: u64,
    /// Key, row, identity and remaining ms, least recently used first.
    pub entries: Vec<(u64, u32, u64, u64)>,
}

impl SlotState {
    /// Opens or creates a counter; a new one starts at `start`.
    ///
    /// # Errors
    /// [`StateError`] for a bad name or a full quota.
    pub fn counter(&self, name: &str, start: u64) -> Result<Arc<Counter>, StateError> {
        open(&self.counters, name, COUNTERS_MAX, || Counter(AtomicU64::new(start)))
    }

    /// Opens or creates a pin table; an existing one keeps its capacity and time to live.
    ///
    /// # Errors
    /// [`StateError`] for a bad name or a full quota.
    pub fn pins(&self, name: &str, capacity: u32, ttl_ms: u64) -> Result<Arc<PinTable>, StateError> {
        open(&self.pins, name, PIN_TABLES_MAX, || PinTable::new(capacity, ttl_ms))
    }

    /// Opens or creates a cell.
    ///
    /// # Errors
    /// [`StateError`] for a bad name or a full quota.
    pub fn cell(&self, name: &str) -> Result<Arc<Cell>, StateError> {
        open(&self.cells, name, CELLS_MAX, Cell::default)
    }

    /// A copy for the store.
    #[must_use]
    pub fn image(&self, now: Now) -> SlotStateImage {
        SlotStateImage {
            counters: lock(&self.counters)
                .iter()
                .map(|(name, counter)| (name.clone(), counter.get()))
                .collect(),
            pins: lock(&self.pins).iter().map(|(name, table)| table.image(name, now)).collect(),
            cells: lock(&self.cells)
                .iter()
                .map(|(name, cell)| {
                    let (version, values) = cell.get();
                    (name.clone(), version, values)
                })
                .collect(),
        }
    }

    /// State from a copy. Anything above a quota is left out.
    #[must_use]
    pub fn restore(image: &SlotStateImage, now: Now) -> Self {
        let state = Self::default();
        for (name, value) in &image.counters {
            let _ = state.counter(name, *value);
        }
        for table in &image.pins {
            if let Ok(pins) = state.pins(&table.name, table.capacity, table.ttl_ms) {
                let mut entries = lock(&pins.entries);
                for &(key, row, identity, left_ms) in table.entries.iter().take(pins.capacity) {
                    entries.put(key, PinTarget { row, identity }, now.plus_ms(left_ms.min(pins.ttl_ms)));
                }
            }
        }
        for (name, version, values) in &image.cells {
            if let (Ok(cell), true) = (state.cell(name), values.len() <= CELL_NUMBERS_MAX) {
                *lock(&cell.0) = (*version, values.clone());
            }
        }
        state
    }
}

impl PinTable {
    fn image(&self, name: &str, now: Now) -> PinTableImage {
        let entries = lock(&self.entries);
        PinTableImage {
            name: name.to_owned(),
            capacity: u32::try_from(self.capacity).unwrap_or(PINS_MAX),
            ttl_ms: self.ttl_ms,
            entries: entries
                .by_use
                .values()
                .filter_map(|key| entries.by_key.get(key).map(|pin| (*key, pin)))
                .filter(|(_, pin)| pin.expires > now)
                .map(|(key, pin)| (key, pin.target.row, pin.target.identity, pin.expires.since_ms(now)))
                .collect(),
        }
    }
}

fn open<T>(
    map: &Mutex<BTreeMap<String, Arc<T>>>,
    name: &str,
    limit: usize,
    make: impl FnOnce() -> T,
) -> Result<Arc<T>, StateError> {
    let well_formed = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !well_formed {
        return Err(StateError::BadName);
    }
    let mut map = lock(map);
    if let Some(found) = map.get(name) {
        return Ok(Arc::clone(found));
    }
    if map.len() >= limit {
        return Err(StateError::QuotaExceeded);
    }
    let made = Arc::new(make());
    map.insert(name.to_owned(), Arc::clone(&made));
    Ok(made)
}

/// A poisoned lock is taken over: every critical section here leaves the data whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PinTarget = PinTarget { row: 1, identity: 11 };

    fn table(capacity: u32, ttl_ms: u64) -> PinTable {
        PinTable::new(capacity, ttl_ms)
    }

    #[test]
    fn a_pin_expires_unless_it_is_used() {
        let pins = table(8, 1_000);
        pins.set(1, A, Now(0));
        assert_eq!(pins.get(1, Now(900)), Some(A), "a hit renews");
        assert_eq!(pins.get(1, Now(1_899)), Some(A));
        assert_eq!(pins.get(1, Now(2_899)), None);
        assert!(pins.is_empty());
    }

    #[test]
    fn a_full_table_forgets_the_least_recently_used_key() {
        let pins = table(2, 1_000);
        pins.set(1, A, Now(0));
        pins.set(2, A, Now(0));
        assert!(pins.get(1, Now(1)).is_some());
        pins.set(3, A, Now(2));
        assert_eq!((pins.get(2, Now(3)), pins.len()), (None, 2));
    }

    #[test]
    fn quotas_and_names_are_refused_and_existing_names_stay_open() {
        let state = SlotState::default();
        for index in 0..COUNTERS_MAX {
            state.counter(&format!("c-{index}"), 7).unwrap();
        }
        assert_eq!(state.counter("one-more", 0).unwrap_err(), StateError::QuotaExceeded);
        assert_eq!(state.counter("c-0", 99).unwrap().get(), 7);
        for bad in ["", "UPPER", "a b", &"x".repeat(65)] {
            assert_eq!(state.cell(bad).unwrap_err(), StateError::BadName, "{bad:?}");
        }
    }

    #[test]
    fn an_image_restores_everything_but_the_expired() {
        let state = SlotState::default();
        state.counter("n", 5).unwrap().fetch_add(2);
        let pins = state.pins("p", 10, 1_000).unwrap();
        pins.set(1, A, Now(0));
        pins.set(2, A, Now(600));
        assert!(state.cell("c").unwrap().compare_and_set(0, vec![1.5]));
        let image = state.image(Now(1_100));
        let again = SlotState::restore(&image, Now(50));
        assert_eq!(again.image(Now(50)), image);
        assert_eq!(again.counter("n", 0).unwrap().get(), 7);
        assert_eq!(again.pins("p", 1, 1).unwrap().get(2, Now(60)), Some(A));
        assert_eq!(again.pins("p", 1, 1).unwrap().get(1, Now(60)), None);
        assert_eq!(again.cell("c").unwrap().get(), (1, vec![1.5]));
    }

    #[test]
    fn a_cell_takes_only_the_expected_version_and_a_bounded_vector() {
        let cell = Cell::default();
        assert!(!cell.compare_and_set(1, vec![]));
        assert!(!cell.compare_and_set(0, vec![0.0; CELL_NUMBERS_MAX + 1]));
        assert!(cell.compare_and_set(0, vec![2.0]));
        assert!(!cell.compare_and_set(0, vec![3.0]));
    }
}
