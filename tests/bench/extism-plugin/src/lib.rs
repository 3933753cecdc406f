//! Least-loaded: the smallest `(active + 1) / weight` of the members in the input.

use extism_pdk::{FnResult, Json, plugin_fn};
use serde::Deserialize;

/// One member.
#[derive(Deserialize)]
pub struct Member {
    active: u32,
    weight: f32,
}

/// The row of the least loaded member.
#[plugin_fn]
pub fn choose(Json(members): Json<Vec<Member>>) -> FnResult<Json<usize>> {
    let mut best = (f32::INFINITY, 0);
    for (row, member) in members.iter().enumerate() {
        let load = (member.active + 1) as f32 / member.weight;
        if load < best.0 {
            best = (load, row);
        }
    }
    Ok(Json(best.1))
}
