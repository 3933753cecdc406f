//! `[policies.trust]`: whose policies may come in.

use std::collections::{BTreeMap, BTreeSet};

use pilothouse_core::id::KeyName;
use pilothouse_trust::{Rules, Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::check::bad;

/// Whose policies may come in. Policies that ship with the server always may. Keys: `pilothouse keys add`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct TrustConfig {
    /// off = unsigned policies may come into slots that list no keys; signed = every policy needs a signature by a key in force.
    pub required: Required,
    /// Slots, or all of a family as "balancing/*", with the names of the only keys whose policies they accept.
    pub slots: BTreeMap<String, Vec<String>>,
}

/// What is demanded of policies in slots that list no keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Required {
    /// Nothing.
    #[default]
    Off,
    /// A signature by a key in force.
    Signed,
}

impl TrustConfig {
    /// The rules as core types.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for the first bad one.
    pub fn rules(&self) -> Result<Rules, ConfigError> {
        let mut keys = BTreeMap::new();
        for (scope, names) in &self.slots {
            let key = format!("policies.trust.slots.\"{scope}\"");
            let parsed = Scope::parse(scope).map_err(|error| bad(&key, scope, &error.to_string()))?;
            if names.is_empty() {
                return Err(bad(&key, "[]", "name at least one key, or leave the line out"));
            }
            let named: Result<BTreeSet<_>, _> = names.iter().map(|name| KeyName::parse(name)).collect();
            let named = named.map_err(|error| bad(&key, names.join(", "), &error.to_string()))?;
            keys.insert(parsed, named);
        }
        Ok(Rules { signed: self.required == Required::Signed, keys })
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn slots_and_families_list_keys_and_mistakes_are_named() {
        let config =
            parse("[policies.trust.slots]\n\"balancing/default\" = [\"ci\"]\n\"scaling/*\" = [\"a\", \"b\"]");
        assert_eq!(config.unwrap().policies.trust.rules().unwrap().keys.len(), 2);
        for (text, wanted) in [
            ("[policies.trust]\nrequired = \"on\"", "unknown variant `on`"),
            ("[policies.trust.slots]\n\"balancing\" = [\"ci\"]", "FAMILY/*"),
            ("[policies.trust.slots]\n\"balancing/default\" = []", "at least one key"),
            ("[policies.trust.slots]\n\"balancing/default\" = [\"c i\"]", "key name"),
        ] {
            let said = parse(text).unwrap_err().to_string();
            assert!(said.contains(wanted), "{text} said {said}");
        }
    }
}
