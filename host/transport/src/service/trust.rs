//! What a control plane can be told and asked about keys.

use pilothouse_core::id::KeyName;
use pilothouse_core::time::WallMs;
use pilothouse_core::trust::KeyId;

/// A public key of the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// What operators call it.
    pub name: KeyName,
    /// What it calls itself.
    pub id: KeyId,
    /// The key, base64.
    pub public_key: String,
    /// Who added it.
    pub added_by: String,
    /// When.
    pub added_at: WallMs,
    /// Whether it is over.
    pub revoked: Option<RevokedInfo>,
}

/// The end of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedInfo {
    /// Who.
    pub by: String,
    /// When.
    pub at: WallMs,
    /// Why.
    pub reason: String,
}
