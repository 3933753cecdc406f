//! Round-trip times: what is known of them, and samples of clients.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::Answer;
use super::decisions::AcceptedView;
use crate::rest::Plane;
use crate::rest::error::Problem;
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
    pub(crate) source: Option<String>,
    /// Only to this member.
    pub(crate) target: Option<String>,
    /// At most 10,000; 1,000 if left out.
    pub(crate) limit: Option<usize>,
}

impl RttQuery {
    pub(crate) fn parse(self) -> Result<RttFilter, Problem> {
        let Self { source, target, limit } = self;
        Ok(RttFilter {
            source: optional_label("source", source.as_deref())?,
            target: target.as_deref().map(member_id).transpose()?,
            limit: limit.unwrap_or(1_000).min(LIMIT_MAX),
        })
    }
}

/// How far members are from regions, as probes and clients measured it.
#[utoipa::path(get, path = "/api/v1/rtt", params(RttQuery), responses((status = 200, body = RttListView)))]
pub(crate) async fn list(State(plane): State<Plane>, Query(query): Query<RttQuery>) -> Answer<RttListView> {
    let filter = query.parse()?;
    let round_trips: Vec<_> = plane.round_trips(&filter).iter().map(RttView::from).collect();
    Ok(Json(RttListView { count: round_trips.len(), round_trips }))
}

/// One try to reach a member.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RttBody {
    /// Region it was made from.
    pub(crate) source: String,
    /// The member.
    pub(crate) target: String,
    /// Time until the answer; `null` or left out = no answer came.
    #[schema(minimum = 0, maximum = 60_000)]
    pub(crate) rtt_ms: Option<f32>,
}

impl RttBody {
    pub(crate) fn parse(self) -> Result<RttSample, Problem> {
        let Self { source, target, rtt_ms } = self;
        Ok(RttSample { source: label("source", &source)?, target: member_id(&target)?, rtt_ms })
    }
}

/// Takes what a client measured; it counts like a probe of the host.
#[utoipa::path(post, path = "/api/v1/rtt", request_body = RttBody, responses((status = 200, body = AcceptedView)))]
pub(crate) async fn sample(State(plane): State<Plane>, Body(body): Body<RttBody>) -> Answer<AcceptedView> {
    plane.sample_rtt(&body.parse()?)?;
    Ok(Json(AcceptedView::YES))
}
