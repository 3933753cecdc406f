//! The set of public keys that a host knows.
//!
//! Invariant: a key that is revoked stays in the set, so that it cannot come back under another name; at most
//! [`KEYS_MAX`] are kept, revoked ones included.

use std::collections::BTreeMap;

use pilothouse_core::id::KeyName;
use pilothouse_core::time::WallMs;
use pilothouse_core::trust::KeyId;

use crate::signature::PublicKey;

/// Most keys of a set, revoked ones included.
pub const KEYS_MAX: usize = 1_024;

/// Who did something, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Who.
    pub by: String,
    /// When, for people.
    pub at: WallMs,
}

/// The end of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Who, when.
    pub mark: Mark,
    /// Why.
    pub reason: String,
}

/// A key with its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// What operators call it.
    pub name: KeyName,
    /// The key.
    pub public: PublicKey,
    /// Who added it.
    pub added: Mark,
    /// Whether it is over.
    pub revoked: Option<Revocation>,
}

/// Why the set was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// The name has another key.
    #[error(
        "the name `{0}` is taken by another key; names of revoked keys stay taken, too; choose another name"
    )]
    NameTaken(KeyName),
    /// The key has another name.
    #[error("key {id} is in the set already, as `{name}`{}", if *.revoked { ", and was revoked; make a new key" } else { "" })]
    KeyTaken {
        /// The key.
        id: KeyId,
        /// Its name.
        name: KeyName,
        /// Whether it was revoked.
        revoked: bool,
    },
    /// Too many.
    #[error("the set has {KEYS_MAX} keys, revoked ones included; no more fit")]
    Full,
    /// No such key.
    #[error("there is no key `{0}`; `pilothouse keys list` shows all")]
    Unknown(KeyName),
    /// It is over already.
    #[error("key `{0}` was revoked before")]
    RevokedBefore(KeyName),
}

/// The keys.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: BTreeMap<KeyName, Key>,
}

impl KeySet {
    /// A set as it was stored.
    #[must_use]
    pub fn restore(keys: impl IntoIterator<Item = Key>) -> Self {
        Self { keys: keys.into_iter().map(|key| (key.name.clone(), key)).collect() }
    }

    /// Puts a key into the set.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn add(&mut self, name: KeyName, public: PublicKey, added: Mark) -> Result<&Key, KeySetError> {
        if let Some(known) = self.by_id(public.id()) {
            let (id, name, revoked) = (public.id(), known.name.clone(), known.revoked.is_some());
            return Err(KeySetError::KeyTaken { id, name, revoked });
        }
        if self.keys.contains_key(&name) {
            return Err(KeySetError::NameTaken(name));
        }
        if self.keys.len() >= KEYS_MAX {
            return Err(KeySetError::Full);
        }
        let key = Key { name: name.clone(), public, added, revoked: None };
        Ok(self.keys.entry(name).or_insert(key))
    }

    /// Ends a key.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn revoke(&mut self, name: &KeyName, revocation: Revocation) -> Result<&Key, KeySetError> {
        let key = self.keys.get_mut(name).ok_or_else(|| KeySetError::Unknown(name.clone()))?;
        if key.revoked.is_some() {
            return Err(KeySetError::RevokedBefore(name.clone()));
        }
        key.revoked = Some(revocation);
        Ok(key)
    }

    /// The key with an id.
    #[must_use]
    pub fn by_id(&self, id: KeyId) -> Option<&Key> {
        self.keys.values().find(|key| key.public.id() == id)
    }

    /// The key with a name.
    #[must_use]
    pub fn get(&self, name: &KeyName) -> Option<&Key> {
        self.keys.get(name)
    }

    /// All keys, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.keys.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> PublicKey {
        use base64::Engine as _;
        let bytes = [&b"Ed"[..], &number.to_le_bytes(), &[1; 32]].concat();
        PublicKey::parse(&base64::prelude::BASE64_STANDARD.encode(bytes)).unwrap()
    }

    fn name(text: &str) -> KeyName {
        KeyName::parse(text).unwrap()
    }

    fn mark() -> Mark {
        Mark { by: "me".into(), at: WallMs(1) }
    }

    #[test]
    fn a_revoked_key_never_comes_back() {
        let mut set = KeySet::default();
        set.add(name("ci"), key(1), mark()).unwrap();
        let over = || Revocation { mark: mark(), reason: "lost".into() };
        assert_eq!(set.revoke(&name("cd"), over()), Err(KeySetError::Unknown(name("cd"))));
        assert!(set.revoke(&name("ci"), over()).unwrap().revoked.is_some());
        assert_eq!(set.revoke(&name("ci"), over()), Err(KeySetError::RevokedBefore(name("ci"))));
        let again = set.add(name("other"), key(1), mark()).unwrap_err().to_string();
        assert!(again.contains("`ci`") && again.contains("make a new key"), "{again}");
        assert_eq!(set.add(name("ci"), key(2), mark()), Err(KeySetError::NameTaken(name("ci"))));
    }

    #[test]
    fn the_set_is_bounded() {
        let mut set = KeySet::default();
        for number in 0..KEYS_MAX as u64 {
            set.add(name(&format!("k{number}")), key(number), mark()).unwrap();
        }
        assert_eq!(set.add(name("more"), key(u64::MAX), mark()), Err(KeySetError::Full));
    }
}
