//! Faults on purpose: put a member, a region or a way under one for a time, look at them, end them.
//!
//! Invariant: refused unless the operator enabled it in the configuration; every fault ends by itself.

use axum::Json;
use axum::extract::{Path, State};
use pilothouse_core::chaos::{Fault, FaultId, Victim};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Answer;
use crate::rest::Plane;
use crate::rest::error::Problem;
use crate::rest::extract::{Body, label, member_id};
use crate::rest::views::{FaultView, FaultsView};
use crate::service::ServiceError;

/// A fault: one victim (`member`, `region`, or `source` with `target`), and `latency_ms` or `share`, or neither for "down".
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultBody {
    /// One member.
    member: Option<String>,
    /// All members of a region.
    region: Option<String>,
    /// Messages from this region …
    source: Option<String>,
    /// … to this one.
    target: Option<String>,
    /// Everything takes so much longer.
    latency_ms: Option<u64>,
    /// This share of reports is lost, 0..1.
    share: Option<f64>,
    /// How long, ms.
    duration_ms: u64,
}

impl FaultBody {
    fn parse(&self) -> Result<(Victim, Fault), Problem> {
        let invalid = |field: &str, problem: &str| ServiceError::Invalid {
            field: field.to_owned(),
            problem: problem.to_owned(),
        };
        let victim = match (&self.member, &self.region, &self.source, &self.target) {
            (Some(member), None, None, None) => Victim::Member(member_id(member)?),
            (None, Some(region), None, None) => Victim::Region(label("region", region)?),
            (None, None, Some(source), Some(target)) => {
                Victim::Path { source: label("source", source)?, target: label("target", target)? }
            }
            _ => return Err(invalid("member", "give member, or region, or source with target").into()),
        };
        let fault = match (self.latency_ms, self.share) {
            (None, None) => Fault::Down,
            (Some(latency_ms), None) => Fault::Slow { latency_ms },
            (None, Some(share)) => Fault::Lossy { share },
            (Some(_), Some(_)) => {
                return Err(invalid("share", "give latency_ms or share; put on two faults for both").into());
            }
        };
        Ok((victim, fault))
    }
}

/// Puts a victim under a fault for a time.
#[utoipa::path(post, path = "/api/v1/chaos", operation_id = "chaos_inject", request_body = FaultBody, responses((status = 200, body = FaultView)))]
pub(crate) async fn inject(State(plane): State<Plane>, Body(body): Body<FaultBody>) -> Answer<FaultView> {
    let (victim, fault) = body.parse()?;
    Ok(Json((&plane.inject(victim, fault, body.duration_ms, "api".to_owned())?).into()))
}

/// Faults that are not over, with what each has hit so far.
#[utoipa::path(get, path = "/api/v1/chaos", operation_id = "chaos_list", responses((status = 200, body = FaultsView)))]
pub(crate) async fn list(State(plane): State<Plane>) -> Json<FaultsView> {
    let faults: Vec<_> = plane.faults().iter().map(FaultView::from).collect();
    Json(FaultsView { count: faults.len(), faults })
}

/// Ends a fault early.
#[utoipa::path(delete, path = "/api/v1/chaos/{id}", operation_id = "chaos_end", responses((status = 200, body = FaultView)))]
pub(crate) async fn end(State(plane): State<Plane>, Path(id): Path<String>) -> Answer<FaultView> {
    let fault = FaultId::parse(&id);
    let fault = fault.ok_or(ServiceError::NotFound { what: "fault", name: id.escape_debug().to_string() })?;
    Ok(Json((&plane.end_fault(fault)?).into()))
}
