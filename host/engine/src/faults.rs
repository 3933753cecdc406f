//! What wasmtime reports, as the fault kinds that operators read.

use pilothouse_core::policy::fault::{Fault, FaultKind};
use wasmtime::Trap;

use crate::imports::TooManyHostCalls;

/// Classifies an error of a call. `memory_refused`: the limiter said no during it, which is what the trap came from.
pub(crate) fn classify(error: &wasmtime::Error, memory_refused: bool) -> Fault {
    let text = error.root_cause().to_string();
    let kind = match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => FaultKind::Fuel,
        Some(Trap::Interrupt) => FaultKind::Deadline,
        _ if error.downcast_ref::<TooManyHostCalls>().is_some() => FaultKind::Fuel,
        _ if memory_refused => FaultKind::Memory,
        Some(_) => FaultKind::Trap,
        // These come from the canonical ABI, which has no error type of its own.
        None if text.contains("fuel allocated for hostcalls") => FaultKind::Output,
        None if text.contains("resource") && text.contains("exceed") => FaultKind::Memory,
        None if text.contains("table") && text.contains("no free keys") => FaultKind::Memory,
        None => FaultKind::Contract,
    };
    Fault::new(kind, &text)
}
