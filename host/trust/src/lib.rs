//! Signatures of policies: what is signed, by whom, and what may come into a slot.
//!
//! signature file -> [`Signature`] (bounded, strict) -> verified with a key of the [`KeySet`] over the component's bytes
//!                -> [`Rules::admit`] (slot, keys in force, limits, versions) -> admission | [`Refusal`]
//!
//! Invariant: nothing of a manifest is believed before the signature over its exact bytes and over the component was
//! verified with a known key. No clock, file or socket is used here; time is an argument. The format is minisign's
//! (`host/docs/decisions/0022-signatures-are-minisign.md`); making signatures needs a secret and is the command line's.

mod keys;
mod manifest;
mod rules;
mod signature;

pub use keys::{KEYS_MAX, Key, KeySet, KeySetError, Mark, Revocation};
pub use manifest::{Limits, MANIFEST_BYTES_MAX, Manifest, ManifestError};
pub use rules::{Admission, Offer, Refusal, Rules, Scope, ScopeError};
pub use semver::Version;
pub use signature::{KeyError, PublicKey, SIGNATURE_BYTES_MAX, Signature, SignatureError};
