//! What operators and observers can ask of failovers, failback and chaos.
//!
//! request -> a wish for the next turn, or an answer from what is known
//!
//! Invariant: whatever changes a failover waits in the turn's inbox, and is done even if who asked has gone away meanwhile.

use pilothouse_core::chaos::{Fault, FaultId, Victim};
use pilothouse_core::failback::{Displaced, Event as HomeEvent};
use pilothouse_core::failover::FailoverId;
use pilothouse_core::id::{Label, MemberId};
use pilothouse_transport::service::failover::{
    BrakeInfo, FailoverInfo, FailoverPlane, FailoverQuery, FaultInfo,
};
use pilothouse_transport::service::{Pending, ServiceError};
use tokio::sync::oneshot;

use super::Wish;
use crate::control::Control;

impl Control {
    fn wish<T: Send + 'static>(
        &self,
        wish: impl FnOnce(oneshot::Sender<Result<T, ServiceError>>) -> Wish,
    ) -> Pending<T> {
        let (reply, answer) = oneshot::channel();
        let sent = self.failovers.wishes.try_send(wish(reply));
        Box::pin(async move {
            sent.map_err(|_| ServiceError::Busy)?;
            answer.await.map_err(|_| ServiceError::Busy)?
        })
    }
}

impl FailoverPlane for Control {
    fn plan_failover(&self, query: FailoverQuery) -> Pending<FailoverInfo> {
        let control = self.clone();
        Box::pin(async move {
            let forecast = tokio::task::spawn_blocking(move || control.forecast(query));
            forecast.await.map_err(|_| ServiceError::Busy)?
        })
    }

    fn fail_over(&self, query: FailoverQuery) -> Pending<FailoverInfo> {
        self.wish(|reply| Wish::Open(query, reply))
    }

    fn failovers(&self) -> Vec<FailoverInfo> {
        self.failovers.board().infos(self.hub.clock.now())
    }

    fn failover(&self, id: FailoverId) -> Option<FailoverInfo> {
        self.failovers.board().info(id, self.hub.clock.now())
    }

    fn confirm_failover(&self, id: FailoverId) -> Pending<FailoverInfo> {
        self.wish(|reply| Wish::Confirm(id, reply))
    }

    fn cancel_failover(&self, id: FailoverId) -> Pending<FailoverInfo> {
        self.wish(|reply| Wish::Cancel(id, reply))
    }

    fn brakes(&self) -> Vec<BrakeInfo> {
        let board = self.failovers.board();
        let brakes = board.brakes.iter();
        brakes.map(|(region, &(lost, of))| BrakeInfo { region: region.clone(), lost, of }).collect()
    }

    fn lift_brake(&self, region: Option<Label>, by: String) {
        tracing::warn!(?region, by, "an operator confirms that the missing are gone");
        self.failovers.watch().confirmed(by, region, self.hub.clock.now());
    }

    fn hear_opinion(&self, place: Label, region: Label, down: bool) {
        self.failovers.watch().opinion(place, region, down, self.hub.clock.now());
    }

    fn displaced(&self) -> Vec<Displaced> {
        self.failovers.board().stored.values().cloned().collect()
    }

    fn bring_home(&self, home: MemberId, back: bool) -> Pending<usize> {
        let event = if back { HomeEvent::Approved(home) } else { HomeEvent::Forgotten(home) };
        self.wish(|reply| Wish::Home(event, reply))
    }

    fn inject(
        &self,
        victim: Victim,
        fault: Fault,
        duration_ms: u64,
        by: String,
    ) -> Result<FaultInfo, ServiceError> {
        self.failovers.inject(&self.hub, (victim, fault), duration_ms, &by)
    }

    fn faults(&self) -> Vec<FaultInfo> {
        self.failovers.faults(self.hub.clock.now())
    }

    fn end_fault(&self, id: FaultId) -> Result<FaultInfo, ServiceError> {
        let ended = self.failovers.end_fault(&self.hub, id);
        ended.ok_or_else(|| ServiceError::NotFound { what: "fault", name: id.to_string() })
    }
}
