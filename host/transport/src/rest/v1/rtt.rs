//! Round-trip times: what is known of them, and samples of clients.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::Answer;
use super::decisions::AcceptedView;
use crate::rest::Plane;
use crate::rest::extract::{Body, Query, label, member_id, optional_label};
use crate::rest::views::{RttListView, RttView};
use crate::service::rtt::{RttFilter, RttSample};

/// Most ways listed at once.
const LIMIT_MAX: usize = 10_000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RttQuery {
    /// Only from this region.
    source: Option<String>,
    /// Only to this member.
    target: Option<String>,
    /// At most 10,000; 1,000 if left out.
    limit: Option<usize>,
}

/// How far members are from regions, as probes and clients measured it.
#[utoipa::path(get, path = "/api/v1/rtt", params(RttQuery), responses((status = 200, body = RttListView)))]
pub(crate) async fn list(State(plane): State<Plane>, Query(query): Query<RttQuery>) -> Answer<RttListView> {
    let filter = RttFilter {
        source: optional_label("source", query.source.as_deref())?,
        target: query.target.as_deref().map(member_id).transpose()?,
        limit: query.limit.unwrap_or(1_000).min(LIMIT_MAX),
    };
    let round_trips: Vec<_> = plane.round_trips(&filter).iter().map(RttView::from).collect();
    Ok(Json(RttListView { count: round_trips.len(), round_trips }))
}

/// One try to reach a member.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RttBody {
    /// Region it was made from.
    source: String,
    /// The member.
    target: String,
    /// Time until the answer; `null` or left out = no answer came.
    #[schema(minimum = 0, maximum = 60_000)]
    rtt_ms: Option<f32>,
}

/// Takes what a client measured; it counts like a probe of the host.
#[utoipa::path(post, path = "/api/v1/rtt", request_body = RttBody, responses((status = 200, body = AcceptedView)))]
pub(crate) async fn sample(State(plane): State<Plane>, Body(body): Body<RttBody>) -> Answer<AcceptedView> {
    let RttBody { source, target, rtt_ms } = body;
    let sample = RttSample { source: label("source", &source)?, target: member_id(&target)?, rtt_ms };
    plane.sample_rtt(&sample)?;
    Ok(Json(AcceptedView::YES))
}
