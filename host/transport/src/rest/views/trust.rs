//! Keys, and what policies stand on.

use pilothouse_core::id::KeyName;
use pilothouse_core::trust::{Notice, Standing};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::time;
use crate::service::trust::KeyInfo;

/// A public key of the set.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyView {
    name: String,
    /// What the key calls itself: sixteen hex digits, as `minisign` writes them.
    id: String,
    /// Base64, as in the second line of the `.pub` file.
    public_key: String,
    added_by: String,
    added_at: String,
    /// `null` = in force.
    revoked: Option<RevokedView>,
}

/// The end of a key.
#[derive(Debug, Serialize, ToSchema)]
struct RevokedView {
    by: String,
    at: String,
    reason: String,
}

impl From<&KeyInfo> for KeyView {
    fn from(key: &KeyInfo) -> Self {
        Self {
            name: key.name.to_string(),
            id: key.id.to_string(),
            public_key: key.public_key.clone(),
            added_by: key.added_by.clone(),
            added_at: time(key.added_at),
            revoked: key.revoked.as_ref().map(|revoked| RevokedView {
                by: revoked.by.clone(),
                at: time(revoked.at),
                reason: revoked.reason.clone(),
            }),
        }
    }
}

/// All keys.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeysView {
    pub(crate) count: usize,
    pub(crate) keys: Vec<KeyView>,
}

/// What a policy stands on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrustView {
    /// `builtin`, `unsigned`, `signed`, `key revoked`.
    standing: &'static str,
    /// Keys in force that signed it; if there is none, the revoked ones.
    keys: Vec<String>,
}

impl From<&Standing> for TrustView {
    fn from(standing: &Standing) -> Self {
        let (standing, keys) = match standing {
            Standing::Builtin => ("builtin", &[][..]),
            Standing::Unsigned => ("unsigned", &[][..]),
            Standing::Signed(keys) => ("signed", keys.as_slice()),
            Standing::Revoked(keys) => ("key revoked", keys.as_slice()),
        };
        Self { standing, keys: keys.iter().map(ToString::to_string).collect() }
    }
}

/// Type, subject and detail of a notice.
pub(super) fn notice_parts(notice: &Notice) -> (&'static str, String, Value) {
    let texts = |keys: &[KeyName]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    match notice {
        Notice::KeyAdded { name, id, by } => {
            ("key.added", name.to_string(), json!({ "key": id.to_string(), "by": by }))
        }
        Notice::KeyRevoked { name, id, by, reason } => {
            ("key.revoked", name.to_string(), json!({ "key": id.to_string(), "by": by, "why": reason }))
        }
        Notice::StillServing { slot, policy, keys } => {
            ("slot.key-revoked", slot.to_string(), json!({ "policy": policy, "keys": texts(keys) }))
        }
        Notice::Downgraded { slot, policy, from, to, by } => {
            let detail = json!({ "policy": policy, "from": from, "to": to, "by": by });
            ("slot.downgraded", slot.to_string(), detail)
        }
    }
}
