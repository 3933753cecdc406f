//! Policies.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{SlotView, TrustView};
use crate::service::PolicyInfo;

/// A policy that the host knows, in its own words.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyView {
    name: String,
    family: &'static str,
    version: String,
    summary: String,
    /// SHA-256 of the component.
    digest: String,
    size_bytes: usize,
    /// Where it came from.
    origin: String,
    /// Whether it ships with the host.
    builtin: bool,
    trust: TrustView,
    imports: Vec<String>,
    /// Columns of the fleet that it reads.
    columns: Vec<String>,
    reasons: Vec<String>,
    factors: Vec<String>,
    /// JSON Schema of its settings; `null` = it has none.
    settings_schema: Option<Value>,
}

impl From<&PolicyInfo> for PolicyView {
    fn from(policy: &PolicyInfo) -> Self {
        let about = policy.description.clone();
        Self {
            name: about.name,
            family: policy.family.name(),
            version: about.version,
            summary: about.summary,
            digest: policy.digest.to_string(),
            size_bytes: policy.size_bytes,
            origin: policy.origin.clone(),
            builtin: policy.builtin,
            trust: (&policy.standing).into(),
            imports: policy.imports.clone(),
            columns: about.columns,
            reasons: about.reasons,
            factors: about.factors,
            settings_schema: serde_json::from_str(&about.settings_schema).ok(),
        }
    }
}

/// All policies.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PoliciesView {
    pub(crate) count: usize,
    pub(crate) policies: Vec<PolicyView>,
}

/// A policy that was loaded, and the slot in which it became active if that was asked.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum LoadedView {
    Loaded(Box<PolicyView>),
    Activated { policy: Box<PolicyView>, slot: Box<SlotView> },
}
