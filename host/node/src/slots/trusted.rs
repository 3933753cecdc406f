//! Slots and trust: what a component stands on when it comes in, and what a revoked key means for what serves.

use std::sync::Arc;

use pilothouse_core::slot::{Event, Origin, Revision, SlotId};
use pilothouse_core::trust::{Notice, Standing};
use pilothouse_store::{Pending, TxnOutcome};
use pilothouse_transport::service::{PolicyInfo, ServiceError};
use pilothouse_trust::Admission;

use super::library::Loaded;
use super::{Aftermath, Managed, Slots, lock, settle};

/// A component that came in; what vouches for it is durable when the write is.
type Taken = (Arc<Loaded>, Option<Pending<TxnOutcome>>);

impl Slots {
    /// Takes a component with what vouches for it, which is verified before anything reads the component. Blocks for the
    /// time of a compile.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub fn take(
        &self,
        component: &[u8],
        signature: Option<&[u8]>,
        origin: Origin,
    ) -> Result<Taken, ServiceError> {
        let builtin = self.library.is_builtin(pilothouse_engine::digest(component));
        let signature = self.trust.check(component, signature, builtin)?;
        let loaded = self.library.load(component, origin);
        let loaded = loaded.map_err(|error| ServiceError::PolicyRefused(error.to_string()))?;
        let write = match signature {
            Some(signature) => self.trust.keep(signature, &loaded.loaded)?,
            None => None,
        };
        Ok((loaded, write))
    }

    /// Takes a signature for a component that came in without it.
    pub(super) fn vouch(
        &self,
        loaded: &Loaded,
        signature: Option<&str>,
    ) -> Result<Option<Pending<TxnOutcome>>, ServiceError> {
        let Some(signature) = signature else { return Ok(None) };
        if loaded.info.builtin {
            return Ok(None);
        }
        let component = self.library.bytes(loaded.loaded.digest);
        let component = component.map_err(|error| ServiceError::StoreFailed(error.to_string()))?;
        match self.trust.check(&component, Some(signature.as_bytes()), false)? {
            Some(signature) => self.trust.keep(signature, &loaded.loaded),
            None => Ok(None),
        }
    }

    /// Whether a component may come into a slot; the text says why not.
    pub(super) fn admit(
        &self,
        slot: &SlotId,
        loaded: &Loaded,
        allow_downgrade: bool,
    ) -> Result<Admission, String> {
        let budget = self.budget(slot.family);
        let admission = self.trust.admit(slot, &loaded.loaded, loaded.info.builtin, budget, allow_downgrade);
        admission.map_err(|refusal| refusal.to_string())
    }

    /// A component that was let in is active.
    pub(super) fn admitted(
        &self,
        slot: &SlotId,
        loaded: &Loaded,
        admission: Admission,
        by: String,
    ) -> Option<Pending<TxnOutcome>> {
        let Admission { version, downgraded_from } = admission;
        let (policy, to) = (loaded.info.description.name.clone(), version?);
        let write = self.trust.mark(slot, &policy, to.clone());
        if let Some(from) = downgraded_from {
            let (slot, from, to) = (slot.clone(), from.to_string(), to.to_string());
            self.trust.tell(Notice::Downgraded { slot, policy, from, to, by });
        }
        write
    }

    /// What a revision stands on.
    pub(super) fn standing(&self, revision: &Revision) -> Standing {
        let component = revision.id.component;
        self.trust.standing(component, self.library.is_builtin(component))
    }

    /// What is told of a policy now.
    pub fn told(&self, policy: &PolicyInfo) -> Arc<PolicyInfo> {
        let standing = self.trust.standing(policy.digest, policy.builtin);
        Arc::new(PolicyInfo { standing, ..policy.clone() })
    }

    /// Looks at every slot after a key was revoked: what serves serves on and is reported; nothing goes back to what only
    /// revoked keys signed.
    pub async fn look_after_revocation(&self) {
        let all: Vec<_> = lock(&self.managed).values().cloned().collect();
        for managed in all {
            let aftermath = {
                let mut slot = lock(&managed);
                if let Some(active) = slot.machine.active()
                    && let Standing::Revoked(keys) = self.standing(active)
                {
                    let policy = format!("{} {}", active.name, active.version);
                    let slot = slot.machine.id().clone();
                    tracing::warn!(%slot, policy, "what serves is signed by revoked keys only");
                    self.trust.tell(Notice::StillServing { slot, policy, keys });
                }
                self.forget_distrusted(&mut slot)
            };
            settle(aftermath).await;
        }
    }

    /// Sees to it that a slot does not go back to what only revoked keys signed: neither by hand nor by itself.
    pub(super) fn forget_distrusted(&self, slot: &mut Managed) -> Aftermath {
        let previous =
            slot.machine.previous().map(|previous| (previous.id.component, self.standing(previous)));
        let Some((component, Standing::Revoked(keys))) = previous else { return Aftermath::default() };
        let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
        let reason = format!("key revoked: {}; the slot does not go back to it", keys.join(", "));
        self.step(slot, Event::Distrusted(component, reason))
    }
}
