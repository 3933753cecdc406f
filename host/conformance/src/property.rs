//! What a policy declares of its own behaviour, and the kit then checks.
//!
//! Declared as the keyword `x-pilothouse-properties` of the settings' schema, a list of names: JSON Schema ignores keywords
//! that it does not know, every language can write it, and no published shape of the contract changes.

use pilothouse_core::policy::Family;
use serde_json::Value;

/// The keyword.
pub const PROPERTIES_KEY: &str = "x-pilothouse-properties";

/// A property that a policy may declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Property {
    /// The name in the schema.
    pub name: &'static str,
    /// Families that may declare it.
    pub families: &'static [Family],
    /// What it promises.
    pub promises: &'static str,
}

use Family::{Balancing, Placement, Routing, Scaling};

impl Property {
    /// Every property.
    pub const ALL: &'static [Self] = &[
        Self {
            name: "fair",
            families: &[Balancing],
            promises: "every eligible member gets the same number of tasks, give or take one",
        },
        Self {
            name: "proportional",
            families: &[Balancing],
            promises: "members get tasks in proportion to their weights",
        },
        Self {
            name: "sticky",
            families: &[Balancing],
            promises: "a session stays where it is, and the loss of a member moves only its own sessions",
        },
        Self {
            name: "prefers-less-loaded",
            families: &[Balancing],
            promises: "of members that differ in load alone the less loaded gets the work",
        },
        Self {
            name: "prefers-cheaper",
            families: &[Placement, Routing],
            promises: "of members that differ in price alone the cheaper gets the work",
        },
        Self {
            name: "prefers-nearer",
            families: &[Routing],
            promises: "of members that differ in round-trip time alone the nearer gets the larger share",
        },
        Self {
            name: "prefers-fuller",
            families: &[Placement],
            promises: "of members that differ in free room alone the fuller one with room gets the work",
        },
        Self {
            name: "prefers-emptier",
            families: &[Placement],
            promises: "of members that differ in free room alone the emptier gets the work",
        },
        Self {
            name: "limits",
            families: &[Scaling],
            promises: "the count stays within the group's least and most replicas",
        },
        Self {
            name: "cooldown",
            families: &[Scaling],
            promises: "right after a change the count stays, whatever the samples say",
        },
    ];

    /// The property with this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|property| property.name == name)
    }
}

/// The names that a schema declares; `Err` says what is wrong with the declaration.
pub(crate) fn declared(schema: &Value) -> Result<Vec<String>, String> {
    let Some(value) = schema.get(PROPERTIES_KEY) else { return Ok(Vec::new()) };
    let names = value.as_array().and_then(|list| {
        list.iter().map(|name| name.as_str().map(str::to_owned)).collect::<Option<Vec<String>>>()
    });
    names.ok_or_else(|| format!("`{PROPERTIES_KEY}` is {value}"))
}
