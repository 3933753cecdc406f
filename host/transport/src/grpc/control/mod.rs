//! gRPC: `pilothouse.v1.Control`, the host's own questions beside the documented federation service.
//!
//! message -> body of the REST twin ([`convert`]) -> the same checks -> control plane -> message
//!
//! Invariant: what REST refuses is refused here with the same words, because both go through the same bodies. A new call is
//! a few lines here, a conversion in each direction, and nothing else. Lists that can be longer than a message are streamed.

mod convert;

use std::pin::Pin;

use axum::http::StatusCode;
use futures_util::{Stream, stream};
use pilothouse_proto::pilothouse as wire;
use pilothouse_proto::pilothouse::control_server::Control;
use tonic::{Request, Response, Status};

use self::convert::{flow, group, place, rebalance, region, round_trip};
use super::status;
use crate::rest::Plane;
use crate::rest::error::Problem;
use crate::rest::extract::agent_name;
use crate::rest::v1::{decisions, groups, placements, rebalance as plans, regions};
use crate::service::ServiceError;

/// The service.
pub(super) struct Calls {
    pub(super) plane: Plane,
}

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What is wrong with a message, in the REST side's words.
fn malformed(problem: Problem) -> Status {
    match problem.parts() {
        (StatusCode::NOT_FOUND, text) => Status::not_found(text),
        (_, text) => Status::invalid_argument(text),
    }
}

fn refused(error: ServiceError) -> Status {
    status(&error)
}

/// A list, message by message.
fn streamed<T: Send + 'static>(messages: Vec<T>) -> Answer<Answers<T>> {
    Ok(Response::new(Box::pin(stream::iter(messages.into_iter().map(Ok)))))
}

#[tonic::async_trait]
impl Control for Calls {
    async fn route_flow(&self, request: Request<wire::RouteFlowRequest>) -> Answer<wire::RouteFlowResponse> {
        let query = flow::flow_in(request.into_inner()).parse().map_err(malformed)?;
        let route = self.plane.route_flow(&query).map_err(refused)?;
        Ok(Response::new(flow::flow_out(route)))
    }

    async fn report_outcome(
        &self,
        request: Request<wire::ReportOutcomeRequest>,
    ) -> Answer<wire::ReportOutcomeResponse> {
        decisions::count(&self.plane, flow::outcome_in(request.into_inner())).map_err(malformed)?;
        Ok(Response::new(wire::ReportOutcomeResponse { accepted: true }))
    }

    async fn put_group(&self, request: Request<wire::PutGroupRequest>) -> Answer<wire::Group> {
        let body = group::group_in(request.into_inner());
        let (spec, replicas) = body.parse(self.plane.group_defaults()).map_err(malformed)?;
        let put = self.plane.put_group(spec, replicas).await.map_err(refused)?;
        Ok(Response::new(group::group_out(put)))
    }

    async fn get_group(&self, request: Request<wire::GroupRequest>) -> Answer<wire::Group> {
        let found = groups::find(&self.plane, &request.into_inner().name).map_err(malformed)?;
        Ok(Response::new(group::group_out(found)))
    }

    async fn list_groups(
        &self,
        request: Request<wire::ListGroupsRequest>,
    ) -> Answer<wire::ListGroupsResponse> {
        let wire::ListGroupsRequest {} = request.into_inner();
        let groups = self.plane.groups().into_iter().map(group::group_out).collect();
        Ok(Response::new(wire::ListGroupsResponse { groups }))
    }

    async fn remove_group(&self, request: Request<wire::GroupRequest>) -> Answer<wire::RemoveGroupResponse> {
        let name = groups::name(&request.into_inner().name).map_err(malformed)?;
        self.plane.remove_group(name).await.map_err(refused)?;
        Ok(Response::new(wire::RemoveGroupResponse { removed: true }))
    }

    async fn sample_group(
        &self,
        request: Request<wire::SampleGroupRequest>,
    ) -> Answer<wire::SampleGroupResponse> {
        let (name, body) = group::sample_in(request.into_inner());
        groups::take(&self.plane, &name, body).map_err(malformed)?;
        Ok(Response::new(wire::SampleGroupResponse { accepted: true }))
    }

    async fn scale_group(&self, request: Request<wire::ScaleGroupRequest>) -> Answer<wire::Group> {
        let (name, body) = group::scale_in(request.into_inner());
        let (name, wanted) = (groups::name(&name).map_err(malformed)?, body.parse().map_err(malformed)?);
        let scaled = self.plane.scale_group(name, wanted).await.map_err(refused)?;
        Ok(Response::new(group::group_out(scaled)))
    }

    async fn place(&self, request: Request<wire::PlaceRequest>) -> Answer<wire::PlacementDecision> {
        let query = place::place_in(request.into_inner()).and_then(|body| body.parse()).map_err(malformed)?;
        let placed = self.plane.place(query).await.map_err(refused)?;
        Ok(Response::new(place::placed_out(&placed)))
    }

    type PlaceBulkStream = Answers<wire::BulkAnswer>;

    async fn place_bulk(&self, request: Request<wire::PlaceBulkRequest>) -> Answer<Self::PlaceBulkStream> {
        let body = place::bulk_in(request.into_inner()).map_err(malformed)?;
        let whole = body.whole;
        let (queries, names) = body.parse().map_err(malformed)?;
        let places = self.plane.place_all(queries, whole).await.map_err(refused)?;
        streamed(names.into_iter().zip(&places).map(|(name, one)| place::bulk_out(name, one)).collect())
    }

    type ListReservationsStream = Answers<wire::Reservation>;

    async fn list_reservations(
        &self,
        request: Request<wire::ListReservationsRequest>,
    ) -> Answer<Self::ListReservationsStream> {
        let wire::ListReservationsRequest {} = request.into_inner();
        streamed(self.plane.reservations().iter().map(place::reservation_out).collect())
    }

    async fn confirm_reservation(
        &self,
        request: Request<wire::ConfirmReservationRequest>,
    ) -> Answer<wire::Assignment> {
        let wire::ConfirmReservationRequest { id, workload } = request.into_inner();
        let id = placements::reservation(&id).map_err(malformed)?;
        let workload = agent_name(&workload).map_err(malformed)?;
        let assignment = self.plane.confirm(id, workload).await.map_err(refused)?;
        Ok(Response::new(place::assignment_out(&assignment)))
    }

    async fn release_reservation(
        &self,
        request: Request<wire::ReservationRequest>,
    ) -> Answer<wire::Reservation> {
        let id = placements::reservation(&request.into_inner().id).map_err(malformed)?;
        Ok(Response::new(place::reservation_out(&self.plane.release(id).map_err(refused)?)))
    }

    async fn suggest_rebalancing(
        &self,
        request: Request<wire::SuggestRebalancingRequest>,
    ) -> Answer<wire::RebalancingPlan> {
        let wire::SuggestRebalancingRequest { kind } = request.into_inner();
        let kind = plans::kind(Some(kind.as_str()).filter(|kind| !kind.is_empty())).map_err(malformed)?;
        let plan = self.plane.suggest(kind, "grpc".to_owned()).await.map_err(refused)?;
        Ok(Response::new(rebalance::plan_out(&plan)))
    }

    type ListRebalancingPlansStream = Answers<wire::RebalancingPlan>;

    async fn list_rebalancing_plans(
        &self,
        request: Request<wire::ListRebalancingPlansRequest>,
    ) -> Answer<Self::ListRebalancingPlansStream> {
        let wire::ListRebalancingPlansRequest {} = request.into_inner();
        streamed(self.plane.plans().iter().map(rebalance::plan_out).collect())
    }

    async fn execute_rebalancing(
        &self,
        request: Request<wire::ExecuteRebalancingRequest>,
    ) -> Answer<wire::RebalancingSummary> {
        let id = plans::plan(&request.into_inner().plan_id).map_err(malformed)?;
        let summary = self.plane.execute(id).await.map_err(refused)?;
        Ok(Response::new(rebalance::summary_out(&summary)))
    }

    async fn list_regions(
        &self,
        request: Request<wire::ListRegionsRequest>,
    ) -> Answer<wire::ListRegionsResponse> {
        let wire::ListRegionsRequest {} = request.into_inner();
        let regions = self.plane.regions().iter().map(region::region_out).collect();
        Ok(Response::new(wire::ListRegionsResponse { regions }))
    }

    async fn get_region(&self, request: Request<wire::RegionRequest>) -> Answer<wire::RegionStatus> {
        let (found, lags) = regions::find(&self.plane, &request.into_inner().id).map_err(malformed)?;
        let lags = lags.iter().map(region::lag_out).collect();
        Ok(Response::new(wire::RegionStatus { region: Some(region::region_out(&found)), lags }))
    }

    type ListRoundTripsStream = Answers<wire::RoundTrip>;

    async fn list_round_trips(
        &self,
        request: Request<wire::ListRoundTripsRequest>,
    ) -> Answer<Self::ListRoundTripsStream> {
        let filter = round_trip::list_in(request.into_inner()).parse().map_err(malformed)?;
        streamed(self.plane.round_trips(&filter).iter().map(round_trip::round_trip_out).collect())
    }

    async fn sample_round_trip(
        &self,
        request: Request<wire::SampleRoundTripRequest>,
    ) -> Answer<wire::SampleRoundTripResponse> {
        let sample = round_trip::sample_in(request.into_inner()).parse().map_err(malformed)?;
        self.plane.sample_rtt(&sample).map_err(refused)?;
        Ok(Response::new(wire::SampleRoundTripResponse { accepted: true }))
    }
}
