//! What a signature is about: name, version, family, digest and limits of one component, as one line of JSON.
//!
//! Invariant: there is one text for a manifest. What is read must be exactly what [`Manifest::canonical`] writes, so that
//! no two readers see different things in the bytes that were signed.

use pilothouse_core::id::{Digest, PolicyName};
use pilothouse_core::policy::Family;
use semver::Version;
use serde::{Deserialize, Serialize};

/// Longest manifest, bytes; a real one has some 300.
pub const MANIFEST_BYTES_MAX: usize = 4_096;

/// What the author says a decision needs at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Fuel.
    pub fuel: u64,
    /// Wall clock, ms.
    pub deadline_ms: u64,
    /// Linear memory of an instance, MiB.
    pub memory_mib: u32,
}

/// What was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Name of the policy.
    pub name: PolicyName,
    /// Its version.
    pub version: Version,
    /// Its family.
    pub family: Family,
    /// SHA-256 of the component.
    pub digest: Digest,
    /// What it needs.
    pub limits: Limits,
}

/// Why a text is not a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Longer than [`MANIFEST_BYTES_MAX`].
    #[error("the manifest has {0} bytes, at most {MANIFEST_BYTES_MAX} are read")]
    TooLong(usize),
    /// Not the JSON of a manifest.
    #[error("the manifest is not as expected: {0}")]
    Form(String),
    /// A field with a value that is none.
    #[error("`{field}` of the manifest: {problem}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The same in other words than the one way to write it.
    #[error("the manifest is not in canonical form, which is {0}")]
    NotCanonical(String),
    /// It is about another component than the one at hand.
    #[error(
        "the signature is for {field} `{signed}`, but the component is {field} `{found}`; sign this component"
    )]
    Other {
        /// What differs.
        field: &'static str,
        /// What was signed.
        signed: String,
        /// What is there.
        found: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    name: String,
    version: String,
    family: String,
    digest: String,
    limits: LimitsWire,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsWire {
    fuel: u64,
    deadline_ms: u64,
    memory_mib: u32,
}

impl Manifest {
    /// Reads the one text of a manifest.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        if text.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::TooLong(text.len()));
        }
        let wire: Wire =
            serde_json::from_str(text).map_err(|error| ManifestError::Form(error.to_string()))?;
        let field = |field, problem: String| ManifestError::Field { field, problem };
        let LimitsWire { fuel, deadline_ms, memory_mib } = wire.limits;
        let manifest = Self {
            name: PolicyName::parse(&wire.name).map_err(|error| field("name", error.to_string()))?,
            version: Version::parse(&wire.version)
                .map_err(|error| field("version", format!("not a semantic version: {error}")))?,
            family: Family::parse(&wire.family)
                .ok_or_else(|| field("family", "not one of placement, balancing, routing, scaling".into()))?,
            digest: Digest::parse(&wire.digest)
                .ok_or_else(|| field("digest", "not sha256: and 64 hex digits".into()))?,
            limits: Limits { fuel, deadline_ms, memory_mib },
        };
        let canonical = manifest.canonical();
        if canonical == text { Ok(manifest) } else { Err(ManifestError::NotCanonical(canonical)) }
    }

    /// The one text of it.
    #[must_use]
    pub fn canonical(&self) -> String {
        let Self { name, version, family, digest, limits } = self;
        let Limits { fuel, deadline_ms, memory_mib } = *limits;
        let wire = Wire {
            name: name.to_string(),
            version: version.to_string(),
            family: family.name().to_owned(),
            digest: digest.to_string(),
            limits: LimitsWire { fuel, deadline_ms, memory_mib },
        };
        // A plain struct with string keys; its serialisation cannot fail.
        serde_json::to_string(&wire).unwrap_or_default()
    }

    /// Whether it is about the component that says this of itself.
    ///
    /// # Errors
    /// [`ManifestError::Other`] names the first difference.
    pub fn describes(&self, name: &str, version: &str, family: Family) -> Result<(), ManifestError> {
        let same = |field, signed: &str, found: &str| {
            if signed == found {
                return Ok(());
            }
            let found = found.escape_debug().to_string();
            Err(ManifestError::Other { field, signed: signed.to_owned(), found })
        };
        same("family", self.family.name(), family.name())?;
        same("name", self.name.as_str(), name)?;
        same("version", &self.version.to_string(), version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn text(version: &str) -> String {
        let digest = Digest([7; 32]);
        let limits = r#"{"fuel":2000000,"deadline_ms":2,"memory_mib":16}"#;
        format!(
            r#"{{"name":"mine","version":"{version}","family":"balancing","digest":"{digest}","limits":{limits}}}"#
        )
    }

    #[test]
    fn a_manifest_round_trips() {
        for version in ["1.0.0", "0.10.2-rc.1", "1.2.3+build.5"] {
            assert_eq!(Manifest::parse(&text(version)).unwrap().canonical(), text(version));
        }
    }

    #[test]
    fn anything_but_the_one_text_is_refused() {
        let good = text("1.0.0");
        let changed = |from: &str, to: &str| good.replacen(from, to, 1);
        for (bad, wanted) in [
            (String::new(), "EOF"),
            (good.replace('}', ""), "EOF"),
            (changed("{\"name\"", "{ \"name\""), "canonical"),
            (changed("sha256:0707", "sha256:0A07").to_lowercase().replace("sha256:", ""), "canonical"),
            (changed("sha256:07", "sha256:+7"), "digest"),
            (changed("\"limits\"", "\"extra\":1,\"limits\""), "unknown field `extra`"),
            (changed("\"fuel\"", "\"watts\":1,\"fuel\""), "unknown field `watts`"),
            (changed("\"name\":\"mine\"", "\"name\":\"mine\",\"name\":\"theirs\""), "duplicate field"),
            (changed("\"family\":\"balancing\",", ""), "missing field `family`"),
            (changed("1.0.0", "1.0"), "semantic version"),
            (changed("1.0.0", "01.0.0"), "semantic version"),
            (changed("mine", "m i"), "name"),
            (changed("balancing", "sorting"), "family"),
            (changed("2000000", "-1"), "invalid value"),
            (format!("{good}\n"), "canonical"),
            (format!("{good}{good}"), "trailing characters"),
            (changed("mine", &"m".repeat(MANIFEST_BYTES_MAX)), "at most 4096"),
        ] {
            let said = Manifest::parse(&bad).unwrap_err().to_string();
            assert!(said.contains(wanted), "{bad} said {said}");
        }
    }

    #[test]
    fn the_component_must_be_what_was_signed() {
        let manifest = Manifest::parse(&text("1.0.0")).unwrap();
        assert_eq!(manifest.describes("mine", "1.0.0", Family::Balancing), Ok(()));
        for (name, version, family) in [
            ("theirs", "1.0.0", Family::Balancing),
            ("mine", "1.0.1", Family::Balancing),
            ("mine", "1.0.0", Family::Routing),
        ] {
            assert!(manifest.describes(name, version, family).is_err(), "{name} {version} {family:?}");
        }
    }
}
