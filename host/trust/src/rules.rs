//! Who may bring what into a slot.
//!
//! Invariant: policies that ship with the host are trusted with it. A slot that lists keys takes only what one of them
//! signed; elsewhere a signature that is there must be by a key in force. The newest signed version that was active in a
//! slot under a name is its mark, and nothing older comes in under that name without somebody saying so.

use std::collections::{BTreeMap, BTreeSet};

use pilothouse_core::id::KeyName;
use pilothouse_core::policy::Family;
use pilothouse_core::slot::{SlotId, SlotIdError};
use semver::Version;

use crate::keys::KeySet;
use crate::manifest::Limits;
use crate::signature::Signature;

/// Slots that a rule is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// This one; it comes before its family's.
    Slot(SlotId),
    /// All of a family.
    Family(Family),
}

/// Why a text is not a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Neither a slot nor a family with a star.
    #[error("{0}; for all slots of a family write FAMILY/*")]
    Form(#[from] SlotIdError),
}

impl Scope {
    /// Reads `FAMILY/NAME` or `FAMILY/*`.
    ///
    /// # Errors
    /// [`ScopeError`].
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let family = text.strip_suffix("/*").and_then(Family::parse);
        Ok(match family {
            Some(family) => Self::Family(family),
            None => Self::Slot(SlotId::parse(text)?),
        })
    }
}

/// The rules of a host.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Whether everything that does not ship with the host must be signed by some key in force.
    pub signed: bool,
    /// Slots that accept only these keys.
    pub keys: BTreeMap<Scope, BTreeSet<KeyName>>,
}

/// A component that wants into a slot. Its signatures were verified when they came.
#[derive(Debug)]
pub struct Offer<'a> {
    /// The slot.
    pub slot: &'a SlotId,
    /// Name of the policy.
    pub name: &'a str,
    /// Whether it ships with the host.
    pub builtin: bool,
    /// What vouches for it.
    pub signatures: &'a [Signature],
    /// What a decision in the slot may use.
    pub budget: Limits,
    /// The newest signed version that was active in the slot under its name.
    pub newest: Option<&'a Version>,
    /// Somebody said that an older version is meant.
    pub allow_downgrade: bool,
}

/// It may come in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Admission {
    /// The signed version that becomes the slot's mark for the name, if it is signed.
    pub version: Option<Version>,
    /// The newer one that was active before, if somebody wanted the older one.
    pub downgraded_from: Option<Version>,
}

/// It may not come in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody signed it.
    #[error("`{policy}` is not signed, and slot {slot} accepts only what {} signed; {}", whose(.keys), how_to_sign())]
    Unsigned {
        /// The policy.
        policy: String,
        /// The slot.
        slot: SlotId,
        /// Keys the slot lists; empty = any in force.
        keys: Vec<KeyName>,
    },
    /// Signed, but by nobody whom the slot accepts.
    #[error(
        "`{policy}` is signed by {}, and slot {slot} accepts only what {} signed; have it signed by one of those, or list the key under [policies.trust.slots]",
        names(.by), whose(.keys)
    )]
    OtherKey {
        /// The policy.
        policy: String,
        /// The slot.
        slot: SlotId,
        /// Who signed it.
        by: Vec<KeyName>,
        /// Keys the slot lists.
        keys: Vec<KeyName>,
    },
    /// The keys that count were revoked.
    #[error(
        "`{policy}` is signed by {}, which {} revoked, so that it cannot come into slot {slot}; check the component and have it signed by another key",
        names(.by), if .by.len() == 1 { "was" } else { "were" }
    )]
    Revoked {
        /// The policy.
        policy: String,
        /// The slot.
        slot: SlotId,
        /// The keys.
        by: Vec<KeyName>,
    },
    /// It was signed for more than the slot gives.
    #[error(
        "`{policy}` was signed for {field} up to {needs}, and slot {slot} gives {gives}; raise the family's budget under [policies], or sign it with a smaller limit"
    )]
    Limits {
        /// The policy.
        policy: String,
        /// The slot.
        slot: SlotId,
        /// Which limit.
        field: &'static str,
        /// What the manifest says.
        needs: u64,
        /// What the configuration says.
        gives: u64,
    },
    /// A newer version was active.
    #[error(
        "`{policy}` {version} is older than {newest}, which was active in slot {slot}; activate {newest} or newer, roll the slot back, or say --allow-downgrade (`allow_downgrade`) if you mean it"
    )]
    Downgrade {
        /// The policy.
        policy: String,
        /// The slot.
        slot: SlotId,
        /// Its version.
        version: Version,
        /// The newer one.
        newest: Box<Version>,
    },
}

fn names(keys: &[KeyName]) -> String {
    let names: Vec<String> = keys.iter().map(|key| format!("key `{key}`")).collect();
    names.join(" and ")
}

fn whose(keys: &[KeyName]) -> String {
    if keys.is_empty() { "a key in force".to_owned() } else { names(keys).replace(" and ", " or ") }
}

fn how_to_sign() -> &'static str {
    "sign it with `pilothouse policy sign` and give the .sig file with `--signature`, or lay it beside the component"
}

impl Rules {
    /// The keys that a slot lists; `None` = it lists none.
    #[must_use]
    pub fn keys_of(&self, slot: &SlotId) -> Option<&BTreeSet<KeyName>> {
        self.keys.get(&Scope::Slot(slot.clone())).or_else(|| self.keys.get(&Scope::Family(slot.family)))
    }

    /// Whether the component may come into the slot.
    ///
    /// # Errors
    /// [`Refusal`] names key and slot, and says what to do.
    pub fn admit(&self, keys: &KeySet, offer: &Offer<'_>) -> Result<Admission, Refusal> {
        if offer.builtin {
            return Ok(Admission::default());
        }
        let listed = self.keys_of(offer.slot);
        let Some(signature) = self.vouching(keys, offer, listed)? else { return Ok(Admission::default()) };
        let manifest = signature.manifest();
        fits(offer, manifest.limits)?;
        let version = manifest.version.clone();
        let newer = offer.newest.filter(|newest| version < **newest).cloned();
        match newer {
            Some(newest) if !offer.allow_downgrade => Err(Refusal::Downgrade {
                policy: offer.name.to_owned(),
                slot: offer.slot.clone(),
                version,
                newest: Box::new(newest),
            }),
            downgraded_from => Ok(Admission { version: Some(version), downgraded_from }),
        }
    }

    /// The signature that counts; `None` = none is needed and none is there.
    fn vouching<'a>(
        &self,
        keys: &KeySet,
        offer: &Offer<'a>,
        listed: Option<&BTreeSet<KeyName>>,
    ) -> Result<Option<&'a Signature>, Refusal> {
        let (policy, slot) = (offer.name.to_owned(), offer.slot.clone());
        let of_slot = || listed.into_iter().flatten().cloned().collect();
        if offer.signatures.is_empty() {
            let needed = self.signed || listed.is_some();
            return if needed { Err(Refusal::Unsigned { policy, slot, keys: of_slot() }) } else { Ok(None) };
        }
        let accepted = |name: &KeyName| listed.is_none_or(|listed| listed.contains(name));
        let (mut revoked, mut others) = (Vec::new(), Vec::new());
        for signature in offer.signatures {
            let Some(key) = keys.by_id(signature.key()) else { continue };
            match (accepted(&key.name), &key.revoked) {
                (true, None) => return Ok(Some(signature)),
                (true, Some(_)) => revoked.push(key.name.clone()),
                (false, _) => others.push(key.name.clone()),
            }
        }
        Err(match revoked.is_empty() {
            false => Refusal::Revoked { policy, slot, by: revoked },
            true => Refusal::OtherKey { policy, slot, by: others, keys: of_slot() },
        })
    }
}

fn fits(offer: &Offer<'_>, needs: Limits) -> Result<(), Refusal> {
    let gives = offer.budget;
    for (field, needs, gives) in [
        ("fuel", needs.fuel, gives.fuel),
        ("deadline_ms", needs.deadline_ms, gives.deadline_ms),
        ("memory_mib", needs.memory_mib.into(), gives.memory_mib.into()),
    ] {
        if needs > gives {
            let (policy, slot) = (offer.name.to_owned(), offer.slot.clone());
            return Err(Refusal::Limits { policy, slot, field, needs, gives });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use minisign::KeyPair;
    use pilothouse_core::id::Digest;
    use pilothouse_core::time::WallMs;

    use super::*;
    use crate::keys::{Mark, Revocation};
    use crate::signature::PublicKey;

    const BUDGET: Limits = Limits { fuel: 100, deadline_ms: 2, memory_mib: 16 };

    struct World {
        pairs: BTreeMap<&'static str, KeyPair>,
        keys: KeySet,
        rules: Rules,
    }

    fn name(text: &str) -> KeyName {
        KeyName::parse(text).unwrap()
    }

    impl World {
        /// Keys a, b and the revoked r; `balancing/default` lists a and r, `scaling/*` lists b.
        fn new() -> Self {
            let mut world = Self { pairs: BTreeMap::new(), keys: KeySet::default(), rules: Rules::default() };
            let mark = || Mark { by: "me".into(), at: WallMs(1) };
            for key in ["a", "b", "r"] {
                let pair = KeyPair::generate_unencrypted_keypair().unwrap();
                let public = PublicKey::parse(&pair.pk.to_base64()).unwrap();
                world.keys.add(name(key), public, mark()).unwrap();
                world.pairs.insert(key, pair);
            }
            let over = Revocation { mark: mark(), reason: String::new() };
            world.keys.revoke(&name("r"), over).unwrap();
            for (scope, keys) in [("balancing/default", &["a", "r"][..]), ("scaling/*", &["b"])] {
                let keys = keys.iter().map(|key| name(key)).collect();
                world.rules.keys.insert(Scope::parse(scope).unwrap(), keys);
            }
            world
        }

        fn signature(&self, key: &str, version: &str, fuel: u64) -> Signature {
            let digest = Digest([7; 32]);
            let limits = format!(r#"{{"fuel":{fuel},"deadline_ms":2,"memory_mib":16}}"#);
            let manifest = format!(
                r#"{{"name":"mine","version":"{version}","family":"balancing","digest":"{digest}","limits":{limits}}}"#
            );
            let made =
                minisign::sign(None, &self.pairs[key].sk, Cursor::new(b"x"), Some(&manifest), Some(""));
            Signature::parse(made.unwrap().to_string().as_bytes()).unwrap()
        }

        fn ask(&self, slot: &str, keys: &[&str]) -> String {
            let signatures: Vec<_> = keys.iter().map(|key| self.signature(key, "1.0.0", 100)).collect();
            let slot = SlotId::parse(slot).unwrap();
            let offer = Offer {
                slot: &slot,
                name: "mine",
                builtin: false,
                signatures: &signatures,
                budget: BUDGET,
                newest: None,
                allow_downgrade: false,
            };
            match self.rules.admit(&self.keys, &offer) {
                Ok(Admission { version, .. }) => format!("in {}", version.is_some()),
                Err(refusal) => refusal.to_string(),
            }
        }
    }

    #[test]
    fn who_may_come_in_where() {
        let mut world = World::new();
        for (signed, slot, keys, wanted) in [
            (false, "routing/default", &[][..], &["in false"][..]),
            (false, "routing/default", &["b"], &["in true"]),
            (false, "routing/default", &["r"], &["key `r`", "revoked", "routing/default", "another key"]),
            (false, "routing/default", &["r", "b"], &["in true"]),
            (
                true,
                "routing/default",
                &[],
                &["not signed", "routing/default", "a key in force", "policy sign"],
            ),
            (true, "routing/default", &["b"], &["in true"]),
            (false, "balancing/default", &[], &["not signed", "key `a` or key `r`", "balancing/default"]),
            (false, "balancing/default", &["a"], &["in true"]),
            (
                false,
                "balancing/default",
                &["b"],
                &["signed by key `b`", "only what key `a`", "policies.trust"],
            ),
            (false, "balancing/default", &["b", "r"], &["key `r`", "revoked"]),
            (false, "balancing/default", &["r", "a"], &["in true"]),
            (false, "balancing/other", &[], &["in false"]),
            (false, "scaling/anything", &["a"], &["only what key `b`"]),
            (false, "scaling/anything", &["b"], &["in true"]),
        ] {
            world.rules.signed = signed;
            let said = world.ask(slot, keys);
            for wanted in wanted {
                assert!(said.contains(wanted), "{signed} {slot} {keys:?}: {said}");
            }
        }
    }

    #[test]
    fn limits_versions_and_what_ships_with_the_host() {
        let world = World::new();
        let slot = SlotId::parse("balancing/default").unwrap();
        let newest = Version::parse("1.10.0").unwrap();
        for (builtin, version, fuel, allow_downgrade, wanted) in [
            (true, "0.1.0", 1_000, false, "in as None, before None"),
            (false, "1.10.0", 100, false, "in as Some(\"1.10.0\"), before None"),
            (false, "1.11.0", 101, false, "fuel up to 101"),
            (false, "1.9.0", 100, false, "older than 1.10.0"),
            (false, "1.10.0-rc.1", 100, false, "--allow-downgrade"),
            (false, "1.9.0", 100, true, "in as Some(\"1.9.0\"), before Some(\"1.10.0\")"),
        ] {
            let signatures = [world.signature("a", version, fuel)];
            let offer = Offer {
                slot: &slot,
                name: "mine",
                builtin,
                signatures: &signatures,
                budget: BUDGET,
                newest: Some(&newest),
                allow_downgrade,
            };
            let text = |version: Option<Version>| version.map(|version| version.to_string());
            let said = match world.rules.admit(&world.keys, &offer) {
                Ok(Admission { version, downgraded_from }) => {
                    format!("in as {:?}, before {:?}", text(version), text(downgraded_from))
                }
                Err(refusal) => refusal.to_string(),
            };
            assert!(said.contains(wanted), "{version}: {said}");
        }
    }

    #[test]
    fn a_scope_is_a_slot_or_a_family() {
        assert_eq!(Scope::parse("scaling/*").unwrap(), Scope::Family(Family::Scaling));
        for bad in ["*", "*/default", "sorting/*", "balancing"] {
            assert!(Scope::parse(bad).unwrap_err().to_string().contains("FAMILY/*"), "{bad}");
        }
    }
}
