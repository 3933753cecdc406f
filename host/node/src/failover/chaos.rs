//! Faults on purpose: what a report or probe of a member suffers, by core's schedule.
//!
//! operator -> [`Schedule`] -> reports lost or heard late, latencies higher, distances longer; every hit is counted
//!
//! Invariant: without `chaos.enabled` nothing is ever in the schedule. A fault acts on what this host hears and believes, never
//! on the member itself: its end is the end of its effect.

use pilothouse_core::chaos::{ChaosError, Fault, FaultId, Planned, Schedule, Suffering, Victim};
use pilothouse_core::event::EventKind;
use pilothouse_core::fleet::geography::Slowdown;
use pilothouse_core::id::{Label, MemberId};
use pilothouse_core::time::Now;
use pilothouse_transport::service::ServiceError;
use pilothouse_transport::service::failover::FaultInfo;

use super::Failovers;
use crate::hub::Hub;

/// The schedule, and where this host is.
#[derive(Debug)]
pub(super) struct Chaos {
    schedule: Schedule,
    place: Option<Label>,
    /// Hits of faults that are over.
    over: u64,
}

impl Chaos {
    pub(super) fn new(enabled: bool, place: Option<Label>) -> Self {
        Self { schedule: Schedule::new(enabled), place, over: 0 }
    }

    fn slowdowns(&self, now: Now) -> Vec<Slowdown> {
        let active = self.schedule.active(now);
        active
            .filter_map(|(_, planned)| {
                let Fault::Slow { latency_ms } = planned.fault else { return None };
                let between = match &planned.victim {
                    Victim::Member(_) => return None,
                    Victim::Region(region) => (region.clone(), None),
                    Victim::Path { source, target } => (source.clone(), Some(target.clone())),
                };
                #[expect(clippy::cast_precision_loss, reason = "at most a minute")]
                let ms = latency_ms as f32;
                Some(Slowdown { between, ms })
            })
            .collect()
    }
}

impl Failovers {
    /// What a message of a member suffers now.
    pub(crate) fn suffering(&self, hub: &Hub, member: &MemberId) -> Suffering {
        let now = hub.clock.now();
        if self.chaos().schedule.active(now).next().is_none() {
            return Suffering::default();
        }
        let region = hub.registry().member(member).and_then(|member| member.registration.region.clone());
        let mut chaos = self.chaos();
        let Chaos { schedule, place, .. } = &mut *chaos;
        schedule.on(member, region.as_ref(), place.as_ref(), now)
    }

    /// Puts a victim under a fault.
    ///
    /// # Errors
    /// [`ServiceError`]
    pub(super) fn inject(
        &self,
        hub: &Hub,
        (victim, fault): (Victim, Fault),
        duration_ms: u64,
        by: &str,
    ) -> Result<FaultInfo, ServiceError> {
        let now = hub.clock.now();
        let planned = {
            let mut chaos = self.chaos();
            let id =
                chaos.schedule.add(victim, fault, duration_ms, by, now).map_err(|error| refused(&error))?;
            chaos
                .schedule
                .active(now)
                .find(|(found, _)| **found == id)
                .map(|(id, planned)| (*id, planned.clone()))
        };
        self.slow_down(hub);
        let (id, planned) = planned.ok_or(ServiceError::Busy)?;
        tracing::warn!(%id, by, "a fault begins on purpose");
        hub.emit(EventKind::FaultBegan(id, Box::new(planned.clone())));
        Ok(info(id, &planned, now))
    }

    /// Faults that are not over.
    pub(super) fn faults(&self, now: Now) -> Vec<FaultInfo> {
        self.chaos().schedule.active(now).map(|(id, planned)| info(*id, planned, now)).collect()
    }

    /// Ends a fault early.
    pub(super) fn end_fault(&self, hub: &Hub, id: FaultId) -> Option<FaultInfo> {
        let ended = self.chaos().schedule.end(id)?;
        let told = info(id, &ended, hub.clock.now());
        self.over(hub, vec![(id, ended)]);
        Some(told)
    }

    /// Ends faults whose time is over.
    pub(super) fn expire_faults(&self, hub: &Hub) {
        let over = self.chaos().schedule.expire(hub.clock.now());
        if !over.is_empty() {
            self.over(hub, over);
        }
    }

    /// Messages hit by all faults so far.
    pub(crate) fn faults_fired(&self, now: Now) -> u64 {
        let chaos = self.chaos();
        chaos.over + chaos.schedule.active(now).map(|(_, planned)| planned.fired).sum::<u64>()
    }

    fn over(&self, hub: &Hub, ended: Vec<(FaultId, Planned)>) {
        self.slow_down(hub);
        for (id, planned) in ended {
            self.chaos().over += planned.fired;
            hub.emit(EventKind::FaultEnded(id, Box::new(planned)));
        }
    }

    /// Distances are what measurements say plus what is put on them.
    fn slow_down(&self, hub: &Hub) {
        let slowdowns = self.chaos().slowdowns(hub.clock.now());
        hub.registry().slow_down(slowdowns);
        hub.publish();
    }
}

fn refused(error: &ChaosError) -> ServiceError {
    match error {
        ChaosError::Disabled => ServiceError::Disabled(
            "chaos is not enabled on this host; set `chaos.enabled = true` in its configuration",
        ),
        ChaosError::TooMany => ServiceError::Conflict(error.to_string()),
        ChaosError::Setting(setting) => {
            ServiceError::Invalid { field: setting.field.to_owned(), problem: setting.to_string() }
        }
    }
}

fn info(id: FaultId, planned: &Planned, now: Now) -> FaultInfo {
    let Planned { victim, fault, until, by, fired } = planned;
    let left_ms = until.since_ms(now);
    FaultInfo { id, victim: victim.clone(), fault: *fault, left_ms, by: by.clone(), fired: *fired }
}
