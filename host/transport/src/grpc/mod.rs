//! gRPC: `federation.FederationService`, reflection and health.
//!
//! Invariant: messages are bounded at 1 MiB, and a service error becomes a status in [`status`] alone.

mod convert;

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::{Stream, StreamExt as _};
use pilothouse_core::id::MemberId;
use pilothouse_core::member::MemberKind;
use pilothouse_proto::federation as wire;
use pilothouse_proto::federation::federation_service_server::{FederationService, FederationServiceServer};
use tokio_stream::wrappers::BroadcastStream;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::rest::Plane;
use crate::rest::error::Problem;
use crate::service::{ControlPlane, ServiceError};

/// Largest message, bytes.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// All gRPC routes.
pub fn routes(plane: Arc<dyn ControlPlane>) -> Router {
    let service = FederationServiceServer::new(Federation { plane })
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let (_reporter, health) = tonic_health::server::health_reporter();
    let mut routes = tonic::service::Routes::new(service).add_service(health);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(pilothouse_proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    // Descriptors are compiled in; should they ever not parse, reflection is what is missing.
    if let Ok(reflection) = reflection().build_v1() {
        routes = routes.add_service(reflection);
    }
    if let Ok(reflection) = reflection().build_v1alpha() {
        routes = routes.add_service(reflection);
    }
    // The REST side answers unknown paths; gRPC clients read its 404 as "unimplemented".
    routes.prepare().into_axum_router().reset_fallback()
}

/// An id for a cluster that proposes none: from its endpoint, so that it gets the same one again.
#[must_use]
pub fn id_of_endpoint(endpoint: &str) -> String {
    let place = endpoint.split_once("://").map_or(endpoint, |(_, place)| place);
    let clean: String = place
        .trim_end_matches('/')
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '-' })
        .take(200)
        .collect();
    format!("cluster-{clean}")
}

/// The one place where a service error becomes a gRPC status.
fn status(error: &ServiceError) -> Status {
    let text = error.to_string();
    match error {
        ServiceError::NotFound { .. } => Status::not_found(text),
        ServiceError::Conflict(_) => Status::already_exists(text),
        ServiceError::Invalid { .. } => Status::invalid_argument(text),
        ServiceError::NoneEligible(_) | ServiceError::Declined { .. } | ServiceError::PolicyRefused(_) => {
            Status::failed_precondition(text)
        }
        ServiceError::Full | ServiceError::Busy => Status::resource_exhausted(text),
        ServiceError::Contended { .. } => Status::aborted(text),
        ServiceError::Disabled(_) => Status::permission_denied(text),
        ServiceError::StoreFailed(_) | ServiceError::Injected(_) => Status::unavailable(text),
        ServiceError::Unimplemented(_) => Status::unimplemented(text),
    }
}

/// Whether a request is a gRPC call.
pub(crate) fn is_call(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// What the port's own checks say, as a gRPC client reads it.
pub(crate) fn refusal(problem: Problem) -> axum::response::Response {
    let (status, text) = problem.parts();
    let code = match status {
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::REQUEST_TIMEOUT => Code::DeadlineExceeded,
        StatusCode::PAYLOAD_TOO_LARGE => Code::ResourceExhausted,
        _ => Code::PermissionDenied,
    };
    Status::new(code, text).into_http()
}

fn cluster_id(text: &str) -> Result<MemberId, Status> {
    MemberId::parse(text).map_err(|error| Status::invalid_argument(format!("cluster_id: {error}")))
}

struct Federation {
    plane: Plane,
}

impl Federation {
    fn cluster(&self, text: &str) -> Result<pilothouse_core::member::Member, Status> {
        let id = cluster_id(text)?;
        let missing = || status(&ServiceError::NotFound { what: "cluster", name: id.to_string() });
        self.plane.member(&id).ok_or_else(missing)
    }
}

#[tonic::async_trait]
impl FederationService for Federation {
    async fn health_check(
        &self,
        request: Request<wire::HealthCheckRequest>,
    ) -> Result<Response<wire::HealthCheckResponse>, Status> {
        let request = request.into_inner();
        if request.cluster_id.is_empty() {
            let (state, message) = match self.plane.ready() {
                Ok(()) => (wire::HealthStatus::Healthy, "ready".to_owned()),
                Err(reason) => (wire::HealthStatus::Unhealthy, reason),
            };
            return Ok(Response::new(wire::HealthCheckResponse {
                status: state.into(),
                load: None,
                message,
            }));
        }
        let member = self.cluster(&request.cluster_id)?;
        Ok(Response::new(wire::HealthCheckResponse {
            status: convert::health(member.health).into(),
            load: Some(convert::load_out(&member)),
            message: convert::status_name(member.status).to_owned(),
        }))
    }

    async fn register_cluster(
        &self,
        request: Request<wire::RegisterClusterRequest>,
    ) -> Result<Response<wire::RegisterClusterResponse>, Status> {
        let registration = convert::registration(request.into_inner())?;
        let member = self.plane.register(registration).await.map_err(|error| status(&error))?;
        let report = self.plane.report(member.id(), &Default::default()).map_err(|error| status(&error))?;
        Ok(Response::new(wire::RegisterClusterResponse {
            success: true,
            cluster_id: member.id().to_string(),
            heartbeat_interval_ms: report.report_again_ms,
        }))
    }

    async fn unregister_cluster(
        &self,
        request: Request<wire::UnregisterClusterRequest>,
    ) -> Result<Response<wire::UnregisterClusterResponse>, Status> {
        let id = cluster_id(&request.into_inner().cluster_id)?;
        self.plane.unregister(id).await.map_err(|error| status(&error))?;
        Ok(Response::new(wire::UnregisterClusterResponse { success: true }))
    }

    async fn get_capacity(
        &self,
        request: Request<wire::CapacityRequest>,
    ) -> Result<Response<wire::CapacityResponse>, Status> {
        let region = request.into_inner().region;
        let clusters = self.plane.members(Some(MemberKind::Cluster));
        Ok(Response::new(convert::capacity(&clusters, &region)))
    }

    async fn report_load(
        &self,
        request: Request<wire::LoadReportRequest>,
    ) -> Result<Response<wire::LoadReportResponse>, Status> {
        let request = request.into_inner();
        let report = convert::load_in(request.load.unwrap_or_default());
        let told =
            self.plane.report(&cluster_id(&request.cluster_id)?, &report).map_err(|error| status(&error))?;
        Ok(Response::new(wire::LoadReportResponse {
            accepted: true,
            recommendations: told.advice.iter().map(|advice| (*advice).to_owned()).collect(),
            accepts_work: told.accepts_work,
            report_again_ms: told.report_again_ms,
        }))
    }

    async fn migrate_agent(
        &self,
        _request: Request<wire::MigrateAgentRequest>,
    ) -> Result<Response<wire::MigrateAgentResponse>, Status> {
        let error = ServiceError::Unimplemented(
            "agents are not migrated in this release; unassign the agent and assign it again to move it without state",
        );
        Err(status(&error))
    }

    type StreamEventsStream = Pin<Box<dyn Stream<Item = Result<wire::ClusterEvent, Status>> + Send>>;

    async fn stream_events(
        &self,
        request: Request<Streaming<wire::ClusterEvent>>,
    ) -> Result<Response<Self::StreamEventsStream>, Status> {
        let mut incoming = request.into_inner();
        let outgoing = BroadcastStream::new(self.plane.subscribe()).map(|item| match item {
            Ok(event) => Ok(convert::event(&event)),
            Err(_) => {
                Err(Status::data_loss("the stream fell behind; read the list of events and follow again"))
            }
        });
        // The caller's events only show that it is alive; reading them keeps the stream's window open.
        let reading = futures_util::stream::poll_fn(move |context| {
            loop {
                match incoming.poll_next_unpin(context) {
                    std::task::Poll::Ready(Some(Ok(event))) => {
                        tracing::debug!(
                            cluster = event.cluster_id,
                            kind = event.r#type,
                            "event from a cluster"
                        );
                    }
                    std::task::Poll::Ready(_) => return std::task::Poll::Ready(None),
                    std::task::Poll::Pending => return std::task::Poll::Pending,
                }
            }
        });
        let both = futures_util::stream::select(outgoing.map(Some), reading.map(|_: ()| None));
        Ok(Response::new(Box::pin(both.filter_map(std::future::ready))))
    }

    async fn list_clusters(
        &self,
        request: Request<wire::ListClustersRequest>,
    ) -> Result<Response<wire::ListClustersResponse>, Status> {
        let request = request.into_inner();
        let clusters = self.plane.members(Some(MemberKind::Cluster));
        let wanted = clusters.iter().filter(|member| convert::is_wanted(member, &request));
        Ok(Response::new(wire::ListClustersResponse { clusters: wanted.map(convert::cluster).collect() }))
    }

    async fn route_task(
        &self,
        request: Request<wire::RouteTaskRequest>,
    ) -> Result<Response<wire::RouteTaskResponse>, Status> {
        let query = convert::route_query(request.into_inner())?;
        let decided = self.plane.route(&query).map_err(|error| status(&error))?;
        Ok(Response::new(convert::routed(decided)))
    }
}
