//! `[scaling]`: who is told when a group has another count. Groups themselves are made by API and kept in the store.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Scaling: who is told of changes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ScalingConfig {
    /// Address that gets a POST with every change of a group, for example `http://127.0.0.1:9000/scaled`.
    pub webhook: Option<String>,
}
