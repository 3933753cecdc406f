//! Runs policies: WebAssembly components behind core's ports.
//!
//! bytes -> [`precheck`] -> [`compile`] (killable child) or [`cache`] -> [`component::LoadedPolicy`] -> [`pool::Pool`]
//! (one seat per worker) -> core's `Policy` port
//!
//! Invariant: nothing that a guest does harms more than its own call: fuel, deadline, memory, handles, host calls and
//! output are bounded, answers are checked, and an instance that broke is dropped. This is the only crate that names
//! wasmtime. Which policy serves which slot is not known here.

mod bindings;
pub mod cache;
pub mod compile;
pub mod component;
mod convert;
mod faults;
mod imports;
pub mod limits;
pub mod pool;
pub mod precheck;
pub mod runtime;
mod seat;
pub mod settings;
mod trial;

use pilothouse_core::id::Digest;
use sha2::{Digest as _, Sha256};

pub use cache::Cache;
pub use compile::{Compiler, compile_child_main};
pub use component::LoadedPolicy;
pub use limits::Budget;
pub use pool::{Pool, PoolConfig, PoolError};
pub use precheck::LoadError;
pub use runtime::Runtime;

/// SHA-256 of bytes.
#[must_use]
pub fn digest(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}
