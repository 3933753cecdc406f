//! How keys, signatures and marks look in the store.
//!
//! Keys: `keys/NAME`, `signatures/DIGEST/KEYID` (the signature file as it is), `marks/FAMILY/SLOT/POLICY` (a version).

use pilothouse_core::id::{Digest, KeyName};
use pilothouse_core::slot::SlotId;
use pilothouse_core::time::WallMs;
use pilothouse_core::trust::KeyId;
use pilothouse_trust::{Key, Mark, PublicKey, Revocation, Version};
use serde::{Deserialize, Serialize};

use super::RecordError;

/// A key with its life.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeyRecord {
    name: String,
    public_key: String,
    added_by: String,
    added_at_ms: u64,
    #[serde(default)]
    revoked: Option<RevocationRecord>,
}

#[derive(Debug, Serialize, Deserialize)]
struct RevocationRecord {
    by: String,
    at_ms: u64,
    reason: String,
}

impl KeyRecord {
    /// The record of a key.
    pub(crate) fn of(key: &Key) -> Self {
        let Key { name, public, added, revoked } = key;
        Self {
            name: name.to_string(),
            public_key: public.as_str().to_owned(),
            added_by: added.by.clone(),
            added_at_ms: added.at.0,
            revoked: revoked.as_ref().map(|Revocation { mark, reason }| RevocationRecord {
                by: mark.by.clone(),
                at_ms: mark.at.0,
                reason: reason.clone(),
            }),
        }
    }

    /// The key.
    ///
    /// # Errors
    /// [`RecordError::Value`] names the record.
    pub(crate) fn into_key(self, record: &str) -> Result<Key, RecordError> {
        let bad = |problem: String| RecordError::Value { key: record.to_owned(), problem };
        Ok(Key {
            name: KeyName::parse(&self.name).map_err(|error| bad(error.to_string()))?,
            public: PublicKey::parse(&self.public_key).map_err(|error| bad(error.to_string()))?,
            added: Mark { by: self.added_by, at: WallMs(self.added_at_ms) },
            revoked: self.revoked.map(|RevocationRecord { by, at_ms, reason }| Revocation {
                mark: Mark { by, at: WallMs(at_ms) },
                reason,
            }),
        })
    }
}

/// `keys/NAME`
pub(crate) fn key_key(name: &KeyName) -> String {
    format!("keys/{name}")
}

/// `signatures/DIGEST/KEYID`
pub(crate) fn signature_key(digest: Digest, key: KeyId) -> String {
    format!("signatures/{digest}/{key}")
}

/// `marks/FAMILY/SLOT/POLICY`
pub(crate) fn mark_key(slot: &SlotId, policy: &str) -> String {
    format!("marks/{slot}/{policy}")
}

/// Slot, policy and version of a mark.
///
/// # Errors
/// [`RecordError::Value`] names the record.
pub(crate) fn mark(record: &str, value: &[u8]) -> Result<((SlotId, String), Version), RecordError> {
    let bad = || RecordError::Value { key: record.to_owned(), problem: "not a mark".to_owned() };
    let rest = record.strip_prefix("marks/").ok_or_else(bad)?;
    let (slot, policy) = rest.rsplit_once('/').ok_or_else(bad)?;
    let slot = SlotId::parse(slot).map_err(|_| bad())?;
    let version = std::str::from_utf8(value).ok().and_then(|text| Version::parse(text).ok());
    Ok(((slot, policy.to_owned()), version.ok_or_else(bad)?))
}
