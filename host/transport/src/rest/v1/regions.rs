//! Regions: how they are, what they have, how far apart they are.

use axum::Json;
use axum::extract::{Path, State};

use super::Answer;
use crate::rest::Plane;
use crate::rest::error::Problem;
use crate::rest::extract::label;
use crate::rest::views::{LagMatrixView, LagView, RegionStatusView, RegionView, RegionsView};
use crate::service::ServiceError;
use crate::service::region::{LAG_REGIONS_MAX, Lag, RegionInfo};

/// All regions: those of members, and those of the configuration.
#[utoipa::path(get, path = "/api/v1/regions", responses((status = 200, body = RegionsView)))]
pub(crate) async fn list(State(plane): State<Plane>) -> Json<RegionsView> {
    let regions: Vec<_> = plane.regions().iter().map(RegionView::from).collect();
    Json(RegionsView { count: regions.len(), regions })
}

/// One region, and how far it is from the others.
#[utoipa::path(get, path = "/api/v1/regions/{region}", responses((status = 200, body = RegionStatusView)))]
pub(crate) async fn one(State(plane): State<Plane>, Path(region): Path<String>) -> Answer<RegionStatusView> {
    let (region, lags) = find(&plane, &region)?;
    Ok(Json(RegionStatusView::of(&region, &lags)))
}

/// A region by name, and how far it is from the others.
pub(crate) fn find(plane: &Plane, region: &str) -> Result<(RegionInfo, Vec<Lag>), Problem> {
    let id = label("region", region)?;
    let found = plane.regions().into_iter().find(|region| region.id == id);
    let found = found.ok_or(ServiceError::NotFound { what: "region", name: id.to_string() })?;
    Ok((found, plane.lags(Some(&id))))
}

/// How far regions are from each other, of at most 128 by name.
#[utoipa::path(get, path = "/api/v1/lag-matrix", responses((status = 200, body = LagMatrixView)))]
pub(crate) async fn lag_matrix(State(plane): State<Plane>) -> Json<LagMatrixView> {
    let regions: Vec<String> =
        plane.regions().iter().take(LAG_REGIONS_MAX).map(|region| region.id.to_string()).collect();
    let lags: Vec<_> = plane.lags(None).iter().map(LagView::from).collect();
    Json(LagMatrixView { count: lags.len(), regions, lags })
}
