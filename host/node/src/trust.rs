//! Keys, verified signatures and marks of a running host.
//!
//! signature file + bytes -> verified with a key of the set -> kept, durable -> [`Trust::admit`] at every activation
//!
//! Invariant: a signature is kept only after it was verified over the component's bytes, and the store has what memory has,
//! in the same order. The rules are `pilothouse-trust`'s. Lock order: a slot before this.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use pilothouse_core::event::EventKind;
use pilothouse_core::id::{Digest, KeyName};
use pilothouse_core::policy::Description;
use pilothouse_core::slot::SlotId;
use pilothouse_core::trust::{Notice, Standing};
use pilothouse_engine::{Budget, LoadedPolicy};
use pilothouse_store::{Pending, Txn, TxnOutcome};
use pilothouse_transport::service::ServiceError;
use pilothouse_transport::service::trust::{KeyInfo, RevokedInfo};
use pilothouse_trust::{
    Admission, Key, KeySet, KeySetError, Limits, Mark, Offer, PublicKey, Refusal, Revocation, Rules,
    Signature, Version,
};

use crate::hub::Hub;
use crate::records::trust::{KeyRecord, key_key, mark, mark_key, signature_key};
use crate::records::{decode, encode};

/// Most signatures kept.
const SIGNATURES_MAX: usize = 4_096;
/// Most marks kept: names of policies times slots.
const MARKS_MAX: usize = 4_096;
/// Most records of one kind read at start.
const RECORDS_MAX: usize = 100_000;

#[derive(Debug, Default)]
struct Known {
    keys: KeySet,
    signatures: BTreeMap<Digest, Vec<Signature>>,
    marks: BTreeMap<(SlotId, String), Version>,
}

/// Whom the host trusts.
pub struct Trust {
    hub: Arc<Hub>,
    rules: Rules,
    known: Mutex<Known>,
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl Trust {
    /// What was stored, under the rules of the configuration.
    ///
    /// # Errors
    /// If the store or a record cannot be read.
    pub fn open(hub: Arc<Hub>, rules: Rules) -> anyhow::Result<Self> {
        let mut known = Known::default();
        let mut keys = Vec::new();
        for entry in hub.store.range("keys/", RECORDS_MAX)? {
            keys.push(decode::<KeyRecord>(&entry.key, &entry.value)?.into_key(&entry.key)?);
        }
        known.keys = KeySet::restore(keys);
        for entry in hub.store.range("signatures/", RECORDS_MAX)? {
            let signature = Signature::parse(&entry.value)
                .with_context(|| format!("record `{}` is not a signature", entry.key))?;
            known.signatures.entry(signature.manifest().digest).or_default().push(signature);
        }
        for entry in hub.store.range("marks/", RECORDS_MAX)? {
            let (place, version) = mark(&entry.key, &entry.value)?;
            known.marks.insert(place, version);
        }
        let listed = rules.keys.values().flatten();
        for name in listed.filter(|name| known.keys.get(name).is_none()) {
            tracing::warn!(key = %name, "a slot lists a key that is not in the set; `pilothouse keys add` adds it");
        }
        Ok(Self { hub, rules, known: Mutex::new(known) })
    }

    /// All keys, by name.
    pub fn keys(&self) -> Vec<KeyInfo> {
        self.known().keys.iter().map(info).collect()
    }

    /// Adds a key.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub fn add(
        &self,
        name: KeyName,
        public: &str,
        by: String,
    ) -> Result<(KeyInfo, Pending<TxnOutcome>), ServiceError> {
        let invalid = |problem: String| ServiceError::Invalid { field: "public_key".to_owned(), problem };
        let public = PublicKey::parse(public).map_err(|error| invalid(error.to_string()))?;
        let added = Mark { by: by.clone(), at: self.hub.clock.wall() };
        let mut known = self.known();
        let key = known.keys.add(name, public, added).map_err(|error| not_changed(&error))?;
        let (told, write) = (info(key), self.store_key(key));
        drop(known);
        self.tell(Notice::KeyAdded { name: told.name.clone(), id: told.id, by });
        Ok((told, write))
    }

    /// Ends a key.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub fn revoke(
        &self,
        name: &KeyName,
        reason: String,
        by: String,
    ) -> Result<(KeyInfo, Pending<TxnOutcome>), ServiceError> {
        let mark = Mark { by: by.clone(), at: self.hub.clock.wall() };
        let mut known = self.known();
        let over = Revocation { mark, reason: reason.clone() };
        let key = known.keys.revoke(name, over).map_err(|error| not_changed(&error))?;
        let (told, write) = (info(key), self.store_key(key));
        drop(known);
        self.tell(Notice::KeyRevoked { name: told.name.clone(), id: told.id, by, reason });
        Ok((told, write))
    }

    fn store_key(&self, key: &Key) -> Pending<TxnOutcome> {
        self.hub.store.txn(Txn::put(key_key(&key.name), encode(&KeyRecord::of(key))))
    }

    /// Adds an entry for those who audit.
    pub fn tell(&self, notice: Notice) {
        self.hub.emit(EventKind::Trust(Box::new(notice)));
    }

    /// What may be said of a component before anything reads it: verified, or nothing if nobody vouches for it.
    ///
    /// # Errors
    /// A signature that is there must be good; and one must be there if every policy needs one.
    pub fn check(
        &self,
        component: &[u8],
        signature: Option<&[u8]>,
        builtin: bool,
    ) -> Result<Option<Signature>, ServiceError> {
        let refused = |reason: String| ServiceError::PolicyRefused(reason);
        let digest = pilothouse_engine::digest(component);
        let Some(signature) = signature else {
            if self.rules.signed && !builtin && !self.known().signatures.contains_key(&digest) {
                let text = "it is not signed, and this server takes only policies that a key in force signed; sign it with \
                            `pilothouse policy sign` and give the .sig file with `--signature`";
                return Err(refused(text.to_owned()));
            }
            return Ok(None);
        };
        let signature = Signature::parse(signature).map_err(|error| refused(error.to_string()))?;
        let id = signature.key();
        let key = self.known().keys.by_id(id).cloned().ok_or_else(|| {
            refused(format!(
                "it is signed by key {id}, which this server does not know; `pilothouse keys add NAME FILE.pub` adds it, if you trust its owner"
            ))
        })?;
        if key.revoked.is_some() {
            let name = &key.name;
            return Err(refused(format!(
                "it is signed by key `{name}` ({id}), which was revoked; check the component and have it signed by another key"
            )));
        }
        signature.verify(&key.public, component, digest).map_err(|error| refused(error.to_string()))?;
        Ok(Some(signature))
    }

    /// Keeps a signature that [`Self::check`] verified, if it is about what the component says of itself.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub fn keep(
        &self,
        signature: Signature,
        loaded: &LoadedPolicy,
    ) -> Result<Option<Pending<TxnOutcome>>, ServiceError> {
        let Description { name, version, .. } = &loaded.description;
        let described = signature.manifest().describes(name, version, loaded.family());
        described.map_err(|error| ServiceError::PolicyRefused(error.to_string()))?;
        let mut known = self.known();
        let full = known.signatures.values().map(Vec::len).sum::<usize>() >= SIGNATURES_MAX;
        let kept = known.signatures.entry(loaded.digest).or_default();
        if kept.iter().any(|known| known.key() == signature.key()) {
            return Ok(None);
        }
        if full {
            let text = format!("{SIGNATURES_MAX} signatures are kept already; no more fit");
            return Err(ServiceError::Conflict(text));
        }
        let key = signature_key(loaded.digest, signature.key());
        let write = self.hub.store.txn(Txn::put(key, signature.as_str().as_bytes().to_vec()));
        kept.push(signature);
        Ok(Some(write))
    }

    /// What a component stands on now.
    pub fn standing(&self, digest: Digest, builtin: bool) -> Standing {
        if builtin {
            return Standing::Builtin;
        }
        let known = self.known();
        let signed = known.signatures.get(&digest).into_iter().flatten();
        let signed: Vec<&Key> = signed.filter_map(|signature| known.keys.by_id(signature.key())).collect();
        let names = |revoked: bool| -> Vec<KeyName> {
            let some = signed.iter().filter(|key| key.revoked.is_some() == revoked);
            some.map(|key| key.name.clone()).collect()
        };
        match (names(false), names(true)) {
            (in_force, _) if !in_force.is_empty() => Standing::Signed(in_force),
            (_, revoked) if !revoked.is_empty() => Standing::Revoked(revoked),
            _ => Standing::Unsigned,
        }
    }

    /// Whether a component may come into a slot. Call it under the slot's lock.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn admit(
        &self,
        slot: &SlotId,
        loaded: &LoadedPolicy,
        builtin: bool,
        budget: Budget,
        allow_downgrade: bool,
    ) -> Result<Admission, Refusal> {
        let known = self.known();
        let name = &loaded.description.name;
        let signatures = known.signatures.get(&loaded.digest);
        let memory_mib = u32::try_from(budget.memory_bytes >> 20).unwrap_or(u32::MAX);
        self.rules.admit(
            &known.keys,
            &Offer {
                slot,
                name,
                builtin,
                signatures: signatures.map_or(&[], Vec::as_slice),
                budget: Limits { fuel: budget.fuel, deadline_ms: budget.deadline_ms, memory_mib },
                newest: known.marks.get(&(slot.clone(), name.clone())),
                allow_downgrade,
            },
        )
    }

    /// Remembers which signed version is active. Call it under the slot's lock.
    pub fn mark(&self, slot: &SlotId, policy: &str, version: Version) -> Option<Pending<TxnOutcome>> {
        let mut known = self.known();
        let place = (slot.clone(), policy.to_owned());
        if known.marks.get(&place) == Some(&version) {
            return None;
        }
        if known.marks.len() >= MARKS_MAX && !known.marks.contains_key(&place) {
            tracing::warn!(%slot, policy, limit = MARKS_MAX, "too many marks: a downgrade of this policy will not be noticed");
            return None;
        }
        let value = version.to_string().into_bytes();
        known.marks.insert(place, version);
        Some(self.hub.store.txn(Txn::put(mark_key(slot, policy), value)))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn info(key: &Key) -> KeyInfo {
    KeyInfo {
        name: key.name.clone(),
        id: key.public.id(),
        public_key: key.public.as_str().to_owned(),
        added_by: key.added.by.clone(),
        added_at: key.added.at,
        revoked: key.revoked.as_ref().map(|Revocation { mark, reason }| RevokedInfo {
            by: mark.by.clone(),
            at: mark.at,
            reason: reason.clone(),
        }),
    }
}

fn not_changed(error: &KeySetError) -> ServiceError {
    match error {
        KeySetError::Unknown(name) => ServiceError::NotFound { what: "key", name: name.to_string() },
        other => ServiceError::Conflict(other.to_string()),
    }
}
