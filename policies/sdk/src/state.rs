//! State in the host: shared by all instances of a slot, kept over reloads and restarts.
//!
//! Open handles in `new`. Natively each handle is an in-memory stand-in of its own.

#[cfg(target_family = "wasm")]
use crate::bindings::base::pilothouse::host::state as host;

/// A shared number; a new one starts at a random value.
#[derive(Debug)]
pub struct Counter {
    #[cfg(target_family = "wasm")]
    handle: Option<host::Counter>,
    #[cfg(not(target_family = "wasm"))]
    value: std::cell::Cell<u64>,
}

impl Counter {
    /// Opens or creates a counter. If the host refuses it, it counts nothing.
    #[must_use]
    pub fn open(name: &str) -> Self {
        #[cfg(target_family = "wasm")]
        return Self { handle: host::Counter::open(name).ok() };
        #[cfg(not(target_family = "wasm"))]
        {
            let _ = name;
            Self { value: std::cell::Cell::new(0) }
        }
    }

    /// Adds, wrapping, and returns the value before.
    #[inline]
    pub fn fetch_add(&self, delta: u64) -> u64 {
        #[cfg(target_family = "wasm")]
        return self.handle.as_ref().map_or(0, |handle| handle.fetch_add(delta));
        #[cfg(not(target_family = "wasm"))]
        self.value.replace(self.value.get().wrapping_add(delta))
    }
}

/// Keys pinned to members.
#[derive(Debug)]
pub struct Pins {
    #[cfg(target_family = "wasm")]
    handle: Option<host::Pins>,
    #[cfg(not(target_family = "wasm"))]
    table: std::cell::RefCell<std::collections::BTreeMap<u64, u32>>,
}

impl Pins {
    /// Opens or creates a table. If the host refuses it, nothing is pinned.
    #[must_use]
    pub fn open(name: &str, capacity: u32, ttl_ms: u64) -> Self {
        #[cfg(target_family = "wasm")]
        return Self { handle: host::Pins::open(name, capacity, ttl_ms).ok() };
        #[cfg(not(target_family = "wasm"))]
        {
            let _ = (name, capacity, ttl_ms);
            Self { table: std::cell::RefCell::default() }
        }
    }

    /// The member that a key is pinned to.
    #[must_use]
    pub fn get(&self, key: u64) -> Option<u32> {
        #[cfg(target_family = "wasm")]
        return self.handle.as_ref().and_then(|handle| handle.get(key));
        #[cfg(not(target_family = "wasm"))]
        self.table.borrow().get(&key).copied()
    }

    /// Pins a key.
    pub fn set(&self, key: u64, row: u32) {
        #[cfg(target_family = "wasm")]
        if let Some(handle) = &self.handle {
            handle.set(key, row);
        }
        #[cfg(not(target_family = "wasm"))]
        self.table.borrow_mut().insert(key, row);
    }
}

/// A small vector of numbers with a version.
#[derive(Debug)]
pub struct Cell {
    #[cfg(target_family = "wasm")]
    handle: Option<host::Cell>,
    #[cfg(not(target_family = "wasm"))]
    value: std::cell::RefCell<(u64, Vec<f64>)>,
}

impl Cell {
    /// Opens or creates a cell. If the host refuses it, it stays empty.
    #[must_use]
    pub fn open(name: &str) -> Self {
        #[cfg(target_family = "wasm")]
        return Self { handle: host::Cell::open(name).ok() };
        #[cfg(not(target_family = "wasm"))]
        {
            let _ = name;
            Self { value: std::cell::RefCell::default() }
        }
    }

    /// The version and the numbers.
    #[must_use]
    pub fn get(&self) -> (u64, Vec<f64>) {
        #[cfg(target_family = "wasm")]
        return self.handle.as_ref().map(host::Cell::get).unwrap_or_default();
        #[cfg(not(target_family = "wasm"))]
        self.value.borrow().clone()
    }

    /// Replaces the numbers if the version is still `expected`; says whether it did.
    pub fn compare_and_set(&self, expected: u64, values: &[f64]) -> bool {
        #[cfg(target_family = "wasm")]
        return self.handle.as_ref().is_some_and(|handle| handle.compare_and_set(expected, values));
        #[cfg(not(target_family = "wasm"))]
        {
            let mut value = self.value.borrow_mut();
            let current = value.0 == expected;
            if current {
                *value = (expected + 1, values.to_vec());
            }
            current
        }
    }
}
