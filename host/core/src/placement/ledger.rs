//! Who is where: assignments, reservations, and the counts that rules about other workloads need.
//!
//! commitment -> [`Ledger`] -> workloads by name, by member and by group
//!
//! Invariant: a workload has at most one assignment, and its ownership epoch grows with every change, also if it is unassigned
//! and assigned anew, so that a command with an older epoch can be refused. Reservations end by the host's monotonic clock and do not survive a restart: what they hold
//! is a promise of this run, and who confirms a lost one is told to place again. Resources are counted by the registry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Terms;
use super::relation::Census;
use crate::assignment::{ASSIGNMENTS_MAX, Assignment, TooManyAssignments};
use crate::device::Devices;
use crate::id::{AgentName, Label, MemberId};
use crate::member::Claim;
use crate::time::{Now, WallMs};

/// Most reservations at once.
pub const RESERVATIONS_MAX: usize = 65_536;

/// Longest time that a reservation may be asked for, ms: an hour.
pub const RESERVATION_TTL_MS_MAX: u64 = 3_600_000;

/// Numbers a reservation; never reused within a run of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationId(pub u64);

/// Room on a member that is held for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Its number.
    pub id: ReservationId,
    /// Where.
    pub member: MemberId,
    /// For what.
    pub terms: Arc<Terms>,
    /// Which shares of which accelerators are held.
    pub devices: Devices,
    /// When it ends, by the host's clock.
    pub until: Now,
}

impl Reservation {
    /// What it holds of its member.
    #[must_use]
    pub fn claim(&self) -> Claim {
        Claim { needs: self.terms.requirement.needs, devices: self.devices }
    }
}

/// There are too many reservations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{RESERVATIONS_MAX} reservations are held already; confirm or release some")]
pub struct TooManyReservations;

/// All assignments and reservations.
#[derive(Debug, Default)]
pub struct Ledger {
    by_agent: BTreeMap<AgentName, Assignment>,
    by_member: BTreeMap<MemberId, BTreeSet<AgentName>>,
    reservations: BTreeMap<ReservationId, Reservation>,
    census: Census,
    last_reservation: u64,
    /// Newest epoch of any workload that was unassigned. One number for all: names come and go without a bound.
    ended_epoch: u64,
}

impl Ledger {
    /// Takes assignments from the store.
    #[must_use]
    pub fn restore(assignments: impl IntoIterator<Item = Assignment>) -> Self {
        let mut ledger = Self::default();
        assignments.into_iter().for_each(|assignment| ledger.insert(assignment));
        ledger
    }

    /// Takes [`Ledger::ended_epoch`] from the store: no new workload begins at or below it.
    pub fn begin_after(&mut self, ended_epoch: u64) {
        self.ended_epoch = self.ended_epoch.max(ended_epoch);
    }

    /// The newest epoch that ended with its workload; to be stored in the same transaction that removes an assignment.
    #[must_use]
    pub fn ended_epoch(&self) -> u64 {
        self.ended_epoch
    }

    /// Assigns a workload, or moves it; the answer has the new epoch.
    ///
    /// # Errors
    /// [`TooManyAssignments`].
    pub fn assign(
        &mut self,
        agent: &AgentName,
        member: &MemberId,
        terms: Arc<Terms>,
        devices: Devices,
        assigned_at: WallMs,
    ) -> Result<Assignment, TooManyAssignments> {
        let before = self.take(agent);
        if before.is_none() && self.by_agent.len() >= ASSIGNMENTS_MAX {
            return Err(TooManyAssignments);
        }
        let epoch = before.map_or(self.ended_epoch, |before| before.epoch).saturating_add(1);
        let assignment =
            Assignment { agent: agent.clone(), member: member.clone(), epoch, assigned_at, terms, devices };
        self.insert(assignment.clone());
        Ok(assignment)
    }

    /// Takes a workload off its member.
    pub fn unassign(&mut self, agent: &AgentName) -> Option<Assignment> {
        let assignment = self.take(agent)?;
        self.begin_after(assignment.epoch);
        Some(assignment)
    }

    fn take(&mut self, agent: &AgentName) -> Option<Assignment> {
        let assignment = self.by_agent.remove(agent)?;
        if let Some(agents) = self.by_member.get_mut(&assignment.member) {
            agents.remove(agent);
            if agents.is_empty() {
                self.by_member.remove(&assignment.member);
            }
        }
        self.count(&assignment.terms, &assignment.member, false);
        Some(assignment)
    }

    /// Puts an assignment back as it was.
    pub fn insert(&mut self, assignment: Assignment) {
        self.take(&assignment.agent);
        self.by_member.entry(assignment.member.clone()).or_default().insert(assignment.agent.clone());
        self.count(&assignment.terms, &assignment.member, true);
        self.by_agent.insert(assignment.agent.clone(), assignment);
    }

    /// Where a workload is.
    #[must_use]
    pub fn get(&self, agent: &AgentName) -> Option<&Assignment> {
        self.by_agent.get(agent)
    }

    /// All assignments, by workload.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Assignment> {
        self.by_agent.values()
    }

    /// Assignments on a member.
    pub fn on(&self, member: &MemberId) -> impl Iterator<Item = &Assignment> {
        let agents = self.by_member.get(member).into_iter().flatten();
        agents.filter_map(|agent| self.by_agent.get(agent))
    }

    /// Holds room.
    ///
    /// # Errors
    /// [`TooManyReservations`].
    pub fn reserve(
        &mut self,
        member: &MemberId,
        terms: Arc<Terms>,
        devices: Devices,
        until: Now,
    ) -> Result<Reservation, TooManyReservations> {
        if self.reservations.len() >= RESERVATIONS_MAX {
            return Err(TooManyReservations);
        }
        self.last_reservation += 1;
        let id = ReservationId(self.last_reservation);
        self.count(&terms, member, true);
        let reservation = Reservation { id, member: member.clone(), terms, devices, until };
        self.reservations.insert(id, reservation.clone());
        Ok(reservation)
    }

    /// Ends a reservation.
    pub fn release(&mut self, id: ReservationId) -> Option<Reservation> {
        let reservation = self.reservations.remove(&id)?;
        self.count(&reservation.terms, &reservation.member, false);
        Some(reservation)
    }

    /// One reservation.
    #[must_use]
    pub fn reservation(&self, id: ReservationId) -> Option<&Reservation> {
        self.reservations.get(&id)
    }

    /// All reservations, oldest first.
    pub fn reservations(&self) -> impl ExactSizeIterator<Item = &Reservation> {
        self.reservations.values()
    }

    /// Reservations whose time is over.
    #[must_use]
    pub fn over(&self, now: Now) -> Vec<ReservationId> {
        self.reservations().filter(|held| held.until <= now).map(|held| held.id).collect()
    }

    /// Counts by group.
    #[must_use]
    pub fn census(&self) -> &Census {
        &self.census
    }

    fn count(&mut self, terms: &Terms, member: &MemberId, more: bool) {
        let group: Option<&Label> = terms.group.as_ref();
        if let Some(group) = group {
            self.census.count(group, member, more);
        }
    }
}
