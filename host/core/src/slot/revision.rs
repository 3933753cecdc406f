//! Names of slots and revisions.

use std::fmt;

use crate::id::{Digest, IdError, Label};
use crate::policy::Family;

/// Where a policy is plugged in: a family and a name, written `balancing/default`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId {
    /// The question it answers.
    pub family: Family,
    /// Its name within the family; has no `/`.
    pub name: Label,
}

/// Why a text is not a slot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SlotIdError {
    /// No family before a `/`.
    #[error(
        "`{0}` is not a slot; slots are written FAMILY/NAME with a family of placement, balancing, routing, scaling"
    )]
    Form(String),
    /// The name has bad characters.
    #[error(transparent)]
    Name(#[from] IdError),
}

impl SlotId {
    /// The slot of a family that is used when nobody names one.
    #[must_use]
    pub fn default_of(family: Family) -> Self {
        Self { family, name: Label::well_formed("default") }
    }

    /// Reads `FAMILY/NAME`.
    ///
    /// # Errors
    /// [`SlotIdError`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, SlotIdError> {
        let form = || SlotIdError::Form(text.escape_debug().to_string());
        let (family, name) = text.split_once('/').ok_or_else(form)?;
        let family = Family::parse(family).ok_or_else(form)?;
        if name.contains('/') {
            return Err(form());
        }
        Ok(Self { family, name: Label::parse(name)? })
    }
}

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.family.name(), self.name)
    }
}

/// A component with a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RevisionId {
    /// Digest of the component.
    pub component: Digest,
    /// Digest of its settings.
    pub settings: Digest,
}

impl fmt::Display for RevisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.component.short(), self.settings.short())
    }
}

/// Where a component came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Shipped with the host.
    Builtin,
    /// A file of the watched folder.
    File(String),
    /// Uploaded.
    Api,
    /// Uploaded by somebody who had pulled it from a registry: `REGISTRY/NAME@sha256:…`.
    Registry(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin => f.write_str("builtin"),
            Self::File(path) => write!(f, "file:{path}"),
            Self::Api => f.write_str("api"),
            Self::Registry(reference) => write!(f, "oci://{reference}"),
        }
    }
}

/// A revision with what people call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Its identity.
    pub id: RevisionId,
    /// Name of the policy.
    pub name: String,
    /// Version of the policy.
    pub version: String,
    /// Where it came from.
    pub origin: Origin,
    /// Its settings as JSON text, `{}` if none.
    pub settings: String,
}
