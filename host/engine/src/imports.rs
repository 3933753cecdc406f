//! What the host offers to guests: fleet look-ups, state, log.
//!
//! Invariant: every import does bounded work, none blocks, and each counts against the call's budget; a guest that calls
//! on and on is trapped. Time and randomness do not exist here.

use std::sync::Arc;

use pilothouse_core::fleet::Fleet;
use pilothouse_core::fleet::column::Column;
use pilothouse_core::fleet::facts::mix;
use pilothouse_core::fleet::live::MEMBERS_MAX;
use pilothouse_core::policy::state::{Cell, Counter, PinTable, PinTarget, SlotState, StateError};
use pilothouse_core::time::Now;
use wasmtime::Result;
use wasmtime::component::{Resource, ResourceTable};

use crate::bindings::{fleet, log, state, types};
use crate::limits::{Budget, LOG_BYTES_MAX, LOG_LINES_MAX, Limiter};
use crate::runtime::Deadline;

/// Longest label that a guest may look up, bytes.
const LABEL_BYTES_MAX: usize = 256;

/// The host's side of one instance.
pub(crate) struct SeatData {
    pub(crate) limiter: Limiter,
    pub(crate) fleet: Option<Fleet>,
    pub(crate) now: Now,
    pub(crate) host_calls_left: u32,
    pub(crate) deadline: Deadline,
    pub(crate) log_dropped: u64,
    table: ResourceTable,
    state: Arc<SlotState>,
    counter_seed: u64,
    log_lines: u32,
    log_bytes: usize,
    policy: Arc<str>,
}

/// A guest's handle of a counter.
#[expect(unreachable_pub, reason = "generated code re-exports it")]
pub struct CounterHandle(Arc<Counter>);
/// A guest's handle of a pin table.
#[expect(unreachable_pub, reason = "generated code re-exports it")]
pub struct PinsHandle(Arc<PinTable>);
/// A guest's handle of a cell.
#[expect(unreachable_pub, reason = "generated code re-exports it")]
pub struct CellHandle(Arc<Cell>);

/// The guest called the host too often.
#[derive(Debug)]
pub(crate) struct TooManyHostCalls;

impl std::fmt::Display for TooManyHostCalls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("too many calls of host functions")
    }
}

impl std::error::Error for TooManyHostCalls {}

impl SeatData {
    pub(crate) fn new(budget: &Budget, state: Arc<SlotState>, counter_seed: u64, policy: Arc<str>) -> Self {
        Self {
            limiter: Limiter::new(budget),
            fleet: None,
            now: Now(0),
            host_calls_left: 0,
            deadline: Deadline::default(),
            log_dropped: 0,
            table: ResourceTable::new(),
            state,
            counter_seed,
            log_lines: 0,
            log_bytes: 0,
            policy,
        }
    }

    /// Starts the budget of a call.
    pub(crate) fn begin(&mut self, host_calls: u32, deadline_part_ticks: u64) {
        self.host_calls_left = host_calls;
        self.deadline.begin(deadline_part_ticks);
        self.log_lines = 0;
        self.log_bytes = 0;
        self.limiter.refused = false;
    }

    fn count_call(&mut self) -> Result<()> {
        match self.host_calls_left.checked_sub(1) {
            Some(left) => {
                self.host_calls_left = left;
                Ok(())
            }
            None => Err(TooManyHostCalls.into()),
        }
    }

    fn in_flight_of(&self, row: u32) -> u32 {
        self.fleet.as_ref().map_or(0, |fleet| fleet.live.in_flight(row))
    }

    fn identity(&self, row: u32) -> Option<u64> {
        let (block, lane) = self.fleet.as_ref()?.block(row)?;
        (block.present >> lane & 1 == 1).then(|| block.u64(Column::Identity, lane))
    }
}

impl types::Host for SeatData {}

impl fleet::Host for SeatData {
    fn in_flight(&mut self, row: u32) -> Result<u32> {
        self.count_call()?;
        Ok(self.in_flight_of(row))
    }

    fn in_flight_pair(&mut self, a: u32, b: u32) -> Result<u64> {
        self.count_call()?;
        Ok(u64::from(self.in_flight_of(a)) | u64::from(self.in_flight_of(b)) << 32)
    }

    fn in_flight_many(&mut self, rows: Vec<u32>) -> Result<Vec<u32>> {
        self.count_call()?;
        if rows.len() > MEMBERS_MAX {
            return Err(TooManyHostCalls.into());
        }
        Ok(rows.into_iter().map(|row| self.in_flight_of(row)).collect())
    }

    fn member(&mut self, row: u32) -> Result<Option<fleet::MemberView>> {
        self.count_call()?;
        let Some(facts) = self.fleet.as_ref().and_then(|fleet| fleet.facts(row)) else { return Ok(None) };
        let text = |label: &Option<pilothouse_core::id::Label>| {
            label.as_ref().map(ToString::to_string).unwrap_or_default()
        };
        Ok(Some(fleet::MemberView {
            id: facts.id.to_string(),
            region: text(&facts.region),
            zone: text(&facts.zone),
            cluster: facts.cluster.as_ref().map(ToString::to_string).unwrap_or_default(),
            capabilities: facts.capabilities.iter().map(ToString::to_string).collect(),
        }))
    }

    fn find_symbol(&mut self, text: String) -> Result<Option<u32>> {
        self.count_call()?;
        if text.len() > LABEL_BYTES_MAX {
            return Ok(None);
        }
        Ok(self.fleet.as_ref().and_then(|fleet| fleet.names.symbols.find(&text)))
    }

    fn symbol_text(&mut self, symbol: u32) -> Result<String> {
        self.count_call()?;
        let name = self.fleet.as_ref().and_then(|fleet| fleet.names.symbols.name(symbol));
        Ok(name.unwrap_or_default().to_owned())
    }
}

impl state::Host for SeatData {}

fn refused(error: StateError) -> state::StateError {
    match error {
        StateError::QuotaExceeded => state::StateError::QuotaExceeded,
        StateError::BadName => state::StateError::BadName,
    }
}

impl state::HostCounter for SeatData {
    fn open(&mut self, name: String) -> Result<Result<Resource<CounterHandle>, state::StateError>> {
        self.count_call()?;
        Ok(match self.state.counter(&name, mix(self.counter_seed)) {
            Ok(counter) => Ok(self.table.push(CounterHandle(counter))?),
            Err(error) => Err(refused(error)),
        })
    }

    fn fetch_add(&mut self, handle: Resource<CounterHandle>, delta: u64) -> Result<u64> {
        self.count_call()?;
        Ok(self.table.get(&handle)?.0.fetch_add(delta))
    }

    fn get(&mut self, handle: Resource<CounterHandle>) -> Result<u64> {
        self.count_call()?;
        Ok(self.table.get(&handle)?.0.get())
    }

    fn drop(&mut self, handle: Resource<CounterHandle>) -> Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}

impl state::HostPins for SeatData {
    fn open(
        &mut self,
        name: String,
        capacity: u32,
        ttl_ms: u64,
    ) -> Result<Result<Resource<PinsHandle>, state::StateError>> {
        self.count_call()?;
        Ok(match self.state.pins(&name, capacity, ttl_ms) {
            Ok(pins) => Ok(self.table.push(PinsHandle(pins))?),
            Err(error) => Err(refused(error)),
        })
    }

    fn get(&mut self, handle: Resource<PinsHandle>, key: u64) -> Result<Option<u32>> {
        self.count_call()?;
        let target = self.table.get(&handle)?.0.get(key, self.now);
        Ok(target
            .filter(|target| self.identity(target.row) == Some(target.identity))
            .map(|target| target.row))
    }

    fn set(&mut self, handle: Resource<PinsHandle>, key: u64, row: u32) -> Result<()> {
        self.count_call()?;
        if let Some(identity) = self.identity(row) {
            self.table.get(&handle)?.0.set(key, PinTarget { row, identity }, self.now);
        }
        Ok(())
    }

    fn remove(&mut self, handle: Resource<PinsHandle>, key: u64) -> Result<()> {
        self.count_call()?;
        self.table.get(&handle)?.0.remove(key);
        Ok(())
    }

    fn drop(&mut self, handle: Resource<PinsHandle>) -> Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}

impl state::HostCell for SeatData {
    fn open(&mut self, name: String) -> Result<Result<Resource<CellHandle>, state::StateError>> {
        self.count_call()?;
        Ok(match self.state.cell(&name) {
            Ok(cell) => Ok(self.table.push(CellHandle(cell))?),
            Err(error) => Err(refused(error)),
        })
    }

    fn get(&mut self, handle: Resource<CellHandle>) -> Result<(u64, Vec<f64>)> {
        self.count_call()?;
        Ok(self.table.get(&handle)?.0.get())
    }

    fn compare_and_set(
        &mut self,
        handle: Resource<CellHandle>,
        expected: u64,
        values: Vec<f64>,
    ) -> Result<bool> {
        self.count_call()?;
        Ok(self.table.get(&handle)?.0.compare_and_set(expected, values))
    }

    fn drop(&mut self, handle: Resource<CellHandle>) -> Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}

impl log::Host for SeatData {
    fn write(&mut self, level: log::Level, message: String) -> Result<()> {
        self.count_call()?;
        let bytes = self.log_bytes.saturating_add(message.len());
        if self.log_lines >= LOG_LINES_MAX || bytes > LOG_BYTES_MAX {
            self.log_dropped += 1;
            return Ok(());
        }
        self.log_lines += 1;
        self.log_bytes = bytes;
        let (policy, text) = (&*self.policy, message.escape_debug().to_string());
        match level {
            log::Level::Debug => tracing::debug!(policy, text, "policy says"),
            log::Level::Info => tracing::info!(policy, text, "policy says"),
            log::Level::Warn => tracing::warn!(policy, text, "policy says"),
            log::Level::Error => tracing::error!(policy, text, "policy says"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_core::policy::Family;

    #[test]
    fn a_deadline_has_four_parts_and_every_call_gets_all_of_them() {
        let budget = Budget::of(Family::Balancing);
        let mut data = SeatData::new(&budget, Arc::default(), 0, "test".into());
        for _ in 0..2 {
            data.begin(10, 3);
            let parts: Vec<_> = std::iter::from_fn(|| data.deadline.next_part()).take(10).collect();
            assert_eq!(parts, [3, 3, 3], "one runs from the start, three follow, then it is cut");
        }
    }
}
