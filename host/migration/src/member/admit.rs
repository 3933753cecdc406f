//! Which order fits which role.
//!
//! Invariant: admitting changes nothing, and says no unless a line here says yes. An order that was carried
//! out already is admitted again, because its effect is idempotent.

use pilothouse_core::time::Now;

use super::{Guard, Role};
use crate::bug::Bug;
use crate::order::{Order, Refusal, Task};

impl Guard {
    pub(super) fn admit(&self, order: &Order, now: Now) -> Result<(), Refusal> {
        if let Some(stale) = self.is_stale(order) {
            return Err(stale);
        }
        let fits = match (&order.task, self.role) {
            (Task::Reserve { .. }, role) => {
                let has_copy = matches!(role, Role::Serving | Role::Frozen | Role::Stopped);
                // A copy of an older epoch is left over from a move away from here; it makes room.
                let is_left_over = role != Role::Serving && order.epoch > self.epoch;
                return if has_copy && !is_left_over { Err(Refusal::Occupied) } else { Ok(()) };
            }
            // A copy that was frozen in an older epoch resumes first: taking the newer epoch from here would keep it frozen.
            (Task::Send { .. }, Role::Frozen) => order.epoch == self.epoch,
            (Task::Send { last, .. }, role) => role == Role::Serving && self.may_send(*last),
            (Task::Freeze, role) => matches!(role, Role::Serving | Role::Frozen),
            (Task::StartStandby(_), role) => matches!(role, Role::Reserved { .. } | Role::Standby { .. }),
            (Task::Verify { .. }, role) => matches!(role, Role::Standby { .. }) || self.serves_early(),
            (Task::Activate, Role::Standby { verified: true }) | (Task::Resume, Role::Frozen) => {
                return self.check_lease(now);
            }
            // Serving under an older epoch: the order to freeze never came, the fence ended that epoch
            // nevertheless.
            (Task::Activate | Task::Resume, role) => role == Role::Serving,
            (Task::Stop | Task::Release, role) => {
                !matches!(role, Role::Reserved { .. } | Role::Standby { .. })
            }
            (Task::Abort, role) => match role {
                Role::Serving | Role::Frozen | Role::Stopped => return Err(Refusal::Occupied),
                Role::Absent | Role::Reserved { .. } | Role::Standby { .. } => true,
            },
        };
        if fits { Ok(()) } else { Err(Refusal::Missing) }
    }

    /// The last delta of a copy that still serves would not be the last.
    fn may_send(&self, last: bool) -> bool {
        !last || self.seeded.has(Bug::NoFreeze)
    }

    /// Whether the driver is making a reservation.
    pub(super) fn is_reserving(&self) -> bool {
        let newest = self.newest.as_ref().filter(|newest| newest.report.is_none());
        newest.is_some_and(|newest| matches!(newest.order.task, Task::Reserve { .. }))
    }

    fn serves_early(&self) -> bool {
        self.role == Role::Serving && self.seeded.has(Bug::StandbyServesEarly)
    }

    /// An order may have been on its way for hours; the lease says whether its time is over.
    fn check_lease(&self, now: Now) -> Result<(), Refusal> {
        if now < self.lease_until { Ok(()) } else { Err(Refusal::LeaseOver) }
    }
}
