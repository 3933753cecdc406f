//! What a request demands of a member, as JSON.
//!
//! Invariant: every field of core's requirement that a client may set is here; resources travel beside it.

use pilothouse_core::eligible::Requirement;
use pilothouse_core::member::MemberKind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::rest::error::Problem;
use crate::rest::extract::{labels, member_id, optional_label};
use crate::service::ServiceError;

/// Who may be chosen at all.
#[derive(Deserialize, Serialize, Default, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RequirementBody {
    /// `cluster` (default), `node` or `any`.
    pub(crate) kind: Option<String>,
    pub(crate) cluster: Option<String>,
    pub(crate) required_capabilities: Vec<String>,
    pub(crate) preferred_capabilities: Vec<String>,
    pub(crate) services: Vec<String>,
    pub(crate) allowed_regions: Vec<String>,
    pub(crate) denied_regions: Vec<String>,
    pub(crate) allowed_zones: Vec<String>,
    pub(crate) denied_zones: Vec<String>,
    /// What the member must be certified for, for example `gdpr`.
    pub(crate) compliance: Vec<String>,
    /// Models of accelerators that would do; any if empty.
    pub(crate) accelerator_models: Vec<String>,
    /// Longest time to reach the member, ms: the round trip from `preferred_region`, or without one its own response
    /// time. A member whose time is unknown does not meet it.
    pub(crate) max_latency_ms: Option<u32>,
    /// Percent: healthy is 100, degraded or unknown 50.
    #[schema(maximum = 100)]
    pub(crate) min_health: u32,
    /// Members that must not be chosen, for example because they were tried.
    pub(crate) excluded: Vec<String>,
    /// Where the request comes from.
    pub(crate) preferred_region: Option<String>,
    pub(crate) source_zone: Option<String>,
}

impl RequirementBody {
    pub(super) fn parse(self, default_kind: Option<MemberKind>) -> Result<Requirement, Problem> {
        let kind = match self.kind.as_deref() {
            None => default_kind,
            Some("cluster") => Some(MemberKind::Cluster),
            Some("node") => Some(MemberKind::Node),
            Some("any") => None,
            Some(other) => {
                let problem = format!("`{}` is not a kind; use cluster, node or any", other.escape_debug());
                return Err(ServiceError::Invalid { field: "kind".to_owned(), problem }.into());
            }
        };
        Ok(Requirement {
            kind,
            with_peers: false,
            cluster: self.cluster.as_deref().map(member_id).transpose()?,
            capabilities: labels("required_capabilities", &self.required_capabilities)?,
            preferred_capabilities: labels("preferred_capabilities", &self.preferred_capabilities)?,
            services: labels("services", &self.services)?,
            allowed_regions: labels("allowed_regions", &self.allowed_regions)?,
            denied_regions: labels("denied_regions", &self.denied_regions)?,
            allowed_zones: labels("allowed_zones", &self.allowed_zones)?,
            denied_zones: labels("denied_zones", &self.denied_zones)?,
            compliance: labels("compliance", &self.compliance)?,
            accelerator_models: labels("accelerator_models", &self.accelerator_models)?,
            latency_max_ms: self.max_latency_ms,
            health_min_percent: self.min_health,
            within: None,
            excluded: self.excluded.iter().map(|id| member_id(id)).collect::<Result<_, _>>()?,
            needs: Default::default(),
            source_region: optional_label("preferred_region", self.preferred_region.as_deref())?,
            source_zone: optional_label("source_zone", self.source_zone.as_deref())?,
        })
    }
}
