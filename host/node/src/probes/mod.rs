//! Measured round-trip times of a running host: feeds core's estimates and puts them into snapshots.
//!
//! active probes ([`run`]) and samples of clients -> estimates -> once a second, what is fresh -> registry -> snapshot
//!
//! Invariant: decisions read a published table and never the estimates, so measuring costs them nothing. What is too old
//! leaves the table, and configured or estimated times take its place. Lock order: registry, then estimates.

mod endpoint;
mod run;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pilothouse_core::fleet::facts::identity;
use pilothouse_core::fleet::measured::{Measured, MeasuredPath};
use pilothouse_core::id::{Label, MemberId};
use pilothouse_core::probe::{Estimates, Path};
use pilothouse_core::time::Now;
use pilothouse_transport::service::ServiceError;
use pilothouse_transport::service::rtt::{RttFilter, RttInfo, RttSample};

use crate::hub::Hub;
pub(crate) use run::spawn;

/// What is known of ways from regions to members.
pub struct RoundTrips {
    hub: Arc<Hub>,
    stale_after_ms: u64,
    estimates: Mutex<Estimates<Label, MemberId>>,
}

impl std::fmt::Debug for RoundTrips {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RoundTrips").field("stale_after_ms", &self.stale_after_ms).finish_non_exhaustive()
    }
}

impl RoundTrips {
    /// Nothing is known yet; values older than `stale_after_ms` will not be used.
    #[must_use]
    pub fn new(hub: Arc<Hub>, stale_after_ms: u64) -> Self {
        Self { hub, stale_after_ms, estimates: Mutex::default() }
    }

    /// Takes what somebody measured.
    ///
    /// # Errors
    /// [`ServiceError`] if the time cannot be, or there is no such member.
    pub fn sample(&self, sample: &RttSample) -> Result<(), ServiceError> {
        sample.check()?;
        let RttSample { source, target, rtt_ms } = sample;
        if self.hub.registry().member(target).is_none() {
            return Err(ServiceError::NotFound { what: "member", name: target.to_string() });
        }
        let now = self.hub.clock.now();
        match rtt_ms {
            Some(rtt_ms) => self.estimates().observe(source, target, *rtt_ms, now),
            None => self.estimates().missed(source, target, now),
        }
        Ok(())
    }

    /// What is known, by source and target.
    #[must_use]
    pub fn list(&self, filter: &RttFilter) -> Vec<RttInfo> {
        let now = self.hub.clock.now();
        let registry = self.hub.registry();
        let is_wanted = |source: &Label, target: &MemberId| {
            filter.source.as_ref().is_none_or(|wanted| wanted == source)
                && filter.target.as_ref().is_none_or(|wanted| wanted == target)
        };
        self.estimates()
            .iter(now)
            .filter(|(source, target, ..)| is_wanted(source, target))
            .take(filter.limit)
            .map(|(source, target, path, expected_ms)| RttInfo {
                source: source.clone(),
                target: target.clone(),
                region: registry.member(target).and_then(|member| member.registration.region.clone()),
                path: *path,
                expected_ms,
                fresh: self.is_fresh(path, now),
                now,
            })
            .collect()
    }

    /// Which members to probe now from a region: all but this host itself are candidates.
    fn choose(&self, source: &Label, own_id: &MemberId, budget: usize) -> Vec<MemberId> {
        let targets: Vec<MemberId> = {
            let registry = self.hub.registry();
            registry.members().map(|member| member.id()).filter(|id| *id != own_id).cloned().collect()
        };
        let (seed, now) = (self.hub.random(), self.hub.clock.now());
        self.estimates().choose_probes(source, &targets, budget, seed, now)
    }

    /// Puts what is fresh into the next snapshot, if it differs from the one before; forgets members that are gone.
    fn publish(&self) {
        let now = self.hub.clock.now();
        let mut registry = self.hub.registry();
        let paths: Vec<MeasuredPath> = {
            let mut estimates = self.estimates();
            let targets: BTreeSet<MemberId> =
                estimates.iter(now).map(|(_, target, ..)| target.clone()).collect();
            let gone: BTreeSet<MemberId> =
                targets.into_iter().filter(|target| registry.member(target).is_none()).collect();
            if !gone.is_empty() {
                estimates.retain(|target| !gone.contains(target));
            }
            let fresh = estimates.iter(now).filter(|(_, _, path, _)| self.is_fresh(path, now));
            fresh
                .filter_map(|(source, target, _, rtt_ms)| {
                    let member = registry.member(target)?;
                    Some(MeasuredPath {
                        source: source.clone(),
                        row: member.row,
                        identity: identity(target.as_str()),
                        region: member.registration.region.clone(),
                        rtt_ms,
                    })
                })
                .collect()
        };
        let before = &registry.published().measured;
        let measured = Measured::new(paths, before);
        if measured != **before {
            registry.measure(measured);
            drop(registry);
            self.hub.publish();
        }
    }

    fn is_fresh(&self, path: &Path, now: Now) -> bool {
        !path.last_ms.is_nan() && now.since_ms(path.seen_at) <= self.stale_after_ms
    }

    fn estimates(&self) -> MutexGuard<'_, Estimates<Label, MemberId>> {
        self.estimates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
