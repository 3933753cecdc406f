//! gRPC: `pilothouse.v1.Control`, the host's own questions beside the documented federation service.
//!
//! message -> body of the REST twin ([`read`]) -> the same checks -> control plane -> message ([`write`])
//!
//! Invariant: what REST refuses is refused here with the same words, because both go through the same bodies. A new call is
//! a line here, a conversion in each direction, and nothing else.

mod read;
mod write;

use pilothouse_proto::pilothouse as wire;
use pilothouse_proto::pilothouse::control_server::Control;
use tonic::{Request, Response, Status};

use super::status;
use crate::rest::Plane;
use crate::rest::error::Problem;
use crate::rest::v1::{groups, regions};
use crate::service::ServiceError;

/// The service.
pub(super) struct Calls {
    pub(super) plane: Plane,
}

/// What is wrong with a message: the REST side's words.
fn malformed(problem: Problem) -> Status {
    let (code, text) = problem.parts();
    match code.as_u16() {
        404 => Status::not_found(text),
        _ => Status::invalid_argument(text),
    }
}

fn refused(error: ServiceError) -> Status {
    status(&error)
}

#[tonic::async_trait]
impl Control for Calls {
    async fn route_flow(
        &self,
        request: Request<wire::RouteFlowRequest>,
    ) -> Result<Response<wire::RouteFlowResponse>, Status> {
        let query = read::flow(request.into_inner())?.parse().map_err(malformed)?;
        let route = self.plane.route_flow(&query).map_err(refused)?;
        Ok(Response::new(write::flow(route)))
    }

    async fn report_outcome(
        &self,
        request: Request<wire::ReportOutcomeRequest>,
    ) -> Result<Response<wire::ReportOutcomeResponse>, Status> {
        let (member, success, sample) = read::outcome(request.into_inner()).parse().map_err(malformed)?;
        self.plane.outcome(&member, success).map_err(refused)?;
        sample.map(|sample| self.plane.sample_rtt(&sample)).transpose().map_err(refused)?;
        Ok(Response::new(wire::ReportOutcomeResponse { accepted: true }))
    }

    async fn put_group(
        &self,
        request: Request<wire::PutGroupRequest>,
    ) -> Result<Response<wire::Group>, Status> {
        let (spec, replicas) = read::group(request.into_inner()).parse().map_err(malformed)?;
        let group = self.plane.put_group(spec, replicas).await.map_err(refused)?;
        Ok(Response::new(write::group(&group)))
    }

    async fn get_group(&self, request: Request<wire::GroupRequest>) -> Result<Response<wire::Group>, Status> {
        let group = groups::find(&self.plane, &request.into_inner().name).map_err(malformed)?;
        Ok(Response::new(write::group(&group)))
    }

    async fn list_groups(
        &self,
        request: Request<wire::ListGroupsRequest>,
    ) -> Result<Response<wire::ListGroupsResponse>, Status> {
        let wire::ListGroupsRequest {} = request.into_inner();
        let groups = self.plane.groups().iter().map(write::group).collect();
        Ok(Response::new(wire::ListGroupsResponse { groups }))
    }

    async fn remove_group(
        &self,
        request: Request<wire::GroupRequest>,
    ) -> Result<Response<wire::RemoveGroupResponse>, Status> {
        let name = groups::name(&request.into_inner().name).map_err(malformed)?;
        self.plane.remove_group(name).await.map_err(refused)?;
        Ok(Response::new(wire::RemoveGroupResponse { removed: true }))
    }

    async fn sample_group(
        &self,
        request: Request<wire::SampleGroupRequest>,
    ) -> Result<Response<wire::SampleGroupResponse>, Status> {
        let (name, body) = read::group_sample(request.into_inner());
        groups::take(&self.plane, &name, body).map_err(malformed)?;
        Ok(Response::new(wire::SampleGroupResponse { accepted: true }))
    }

    async fn scale_group(
        &self,
        request: Request<wire::ScaleGroupRequest>,
    ) -> Result<Response<wire::Group>, Status> {
        let (name, body) = read::scale(request.into_inner());
        let (name, wanted) = (groups::name(&name).map_err(malformed)?, body.parse().map_err(malformed)?);
        let group = self.plane.scale_group(name, wanted).await.map_err(refused)?;
        Ok(Response::new(write::group(&group)))
    }

    async fn list_regions(
        &self,
        request: Request<wire::ListRegionsRequest>,
    ) -> Result<Response<wire::ListRegionsResponse>, Status> {
        let wire::ListRegionsRequest {} = request.into_inner();
        let regions = self.plane.regions().iter().map(write::region).collect();
        Ok(Response::new(wire::ListRegionsResponse { regions }))
    }

    async fn get_region(
        &self,
        request: Request<wire::RegionRequest>,
    ) -> Result<Response<wire::RegionStatus>, Status> {
        let (region, lags) = regions::find(&self.plane, &request.into_inner().id).map_err(malformed)?;
        let lags = lags.iter().map(write::lag).collect();
        Ok(Response::new(wire::RegionStatus { region: Some(write::region(&region)), lags }))
    }

    async fn list_round_trips(
        &self,
        request: Request<wire::ListRoundTripsRequest>,
    ) -> Result<Response<wire::ListRoundTripsResponse>, Status> {
        let filter = read::round_trips(request.into_inner()).parse().map_err(malformed)?;
        let round_trips = self.plane.round_trips(&filter).iter().map(write::round_trip).collect();
        Ok(Response::new(wire::ListRoundTripsResponse { round_trips }))
    }

    async fn sample_round_trip(
        &self,
        request: Request<wire::SampleRoundTripRequest>,
    ) -> Result<Response<wire::SampleRoundTripResponse>, Status> {
        let sample = read::round_trip(request.into_inner()).parse().map_err(malformed)?;
        self.plane.sample_rtt(&sample).map_err(refused)?;
        Ok(Response::new(wire::SampleRoundTripResponse { accepted: true }))
    }
}
