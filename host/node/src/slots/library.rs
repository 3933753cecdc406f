//! Every component that the host knows: the ones it ships with, and those that were loaded.
//!
//! bytes -> engine (checks, compiles) -> kept on disk -> [`Loaded`]
//!
//! Invariant: a component is listed only after it is durable on disk (or built in), and at most [`LOADED_MAX`] are.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use pilothouse_core::id::Digest;
use pilothouse_core::policy::Family;
use pilothouse_core::slot::{Origin, Revision, RevisionId, SlotId};
use pilothouse_core::trust::Standing;
use pilothouse_engine::precheck::LoadError;
use pilothouse_engine::{LoadedPolicy, Runtime};
use pilothouse_transport::service::PolicyInfo;

use crate::blobs::{BlobError, Blobs};

/// Most components known at once; the code of each takes memory.
const LOADED_MAX: usize = 256;

/// A component in memory.
#[derive(Debug)]
pub struct Loaded {
    /// Compiled.
    pub loaded: Arc<LoadedPolicy>,
    /// What is told of it.
    pub info: Arc<PolicyInfo>,
    origin: Origin,
}

/// Why a component is not available.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// The engine refused it.
    #[error(transparent)]
    Refused(#[from] LoadError),
    /// The disk has not got it, or refused it.
    #[error(transparent)]
    Disk(#[from] BlobError),
    /// Too many.
    #[error(
        "{LOADED_MAX} components are loaded already; restart the server to forget those that no slot uses"
    )]
    Full,
}

impl Loaded {
    /// A revision of it with settings.
    ///
    /// # Errors
    /// If the settings are not JSON.
    pub fn revision(&self, settings: &str) -> Result<Revision, String> {
        let text = if settings.trim().is_empty() { "{}" } else { settings };
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
        let settings = value.to_string();
        Ok(Revision {
            id: RevisionId {
                component: self.loaded.digest,
                settings: pilothouse_engine::digest(settings.as_bytes()),
            },
            name: self.info.description.name.clone(),
            version: self.info.description.version.clone(),
            origin: self.origin.clone(),
            settings,
        })
    }
}

/// What the slots of a family start with.
#[derive(Debug, Clone)]
pub struct StartWith {
    /// A default policy.
    pub policy: String,
    /// Its settings, JSON text.
    pub settings: String,
}

/// All components.
pub struct Library {
    runtime: Runtime,
    blobs: Blobs,
    known: RwLock<BTreeMap<Digest, Arc<Loaded>>>,
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library").field("runtime", &self.runtime).finish_non_exhaustive()
    }
}

impl Library {
    /// Loads the default policies.
    ///
    /// # Errors
    /// If one is refused, which is a defect of this build.
    pub fn open(runtime: Runtime, blobs: Blobs) -> Result<Self, LibraryError> {
        let library = Self { runtime, blobs, known: RwLock::default() };
        for policy in pilothouse_policies::ALL {
            let loaded = library.runtime.load(policy.bytes)?;
            library.insert(loaded, Origin::Builtin);
        }
        Ok(library)
    }

    /// Checks, compiles and keeps a component. Blocks for the time of a compile.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub fn load(&self, bytes: &[u8], origin: Origin) -> Result<Arc<Loaded>, LibraryError> {
        if let Some(known) = self.peek(pilothouse_engine::digest(bytes)) {
            return Ok(known);
        }
        let loaded = self.runtime.load(bytes)?;
        if self.read().len() >= LOADED_MAX {
            return Err(LibraryError::Full);
        }
        self.blobs.put(loaded.digest, bytes)?;
        Ok(self.insert(loaded, origin))
    }

    /// A component by digest, from memory or disk.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub fn get(&self, digest: Digest) -> Result<Arc<Loaded>, LibraryError> {
        match self.peek(digest) {
            Some(known) => Ok(known),
            None => self.load(&self.blobs.get(digest)?, Origin::Api),
        }
    }

    /// The bytes of a component that was loaded.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub fn bytes(&self, digest: Digest) -> Result<Vec<u8>, LibraryError> {
        Ok(self.blobs.get(digest)?)
    }

    /// Whether a component ships with the host.
    #[must_use]
    pub fn is_builtin(&self, digest: Digest) -> bool {
        self.peek(digest).is_some_and(|known| known.info.builtin)
    }

    /// A component of a family by name or digest; of several with one name the highest version.
    #[must_use]
    pub fn find(&self, family: Family, name_or_digest: &str) -> Option<Arc<Loaded>> {
        if let Some(known) = Digest::parse(name_or_digest).and_then(|digest| self.get(digest).ok()) {
            return (known.loaded.family() == family).then_some(known);
        }
        let name = name_or_digest.replace('_', "-");
        let known = self.read();
        let named = known.values().filter(|entry| {
            let short = entry.info.digest.short();
            entry.loaded.family() == family && (entry.info.description.name == name || short == name)
        });
        named.max_by(|a, b| a.info.description.version.cmp(&b.info.description.version)).cloned()
    }

    /// What a slot starts with: the policy with its name, else the one that its family starts with.
    #[must_use]
    pub fn default_of(&self, slot: &SlotId, defaults: &BTreeMap<Family, StartWith>) -> Option<Revision> {
        let start = defaults.get(&slot.family);
        let configured = start.and_then(|start| self.find(slot.family, &start.policy));
        let policy = self.find(slot.family, slot.name.as_str()).or_else(|| configured.clone())?;
        let is_configured = configured.is_some_and(|configured| Arc::ptr_eq(&configured, &policy));
        let settings = start.filter(|_| is_configured).map_or("{}", |start| start.settings.as_str());
        policy.revision(settings).ok()
    }

    /// All of them, by family and name.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<PolicyInfo>> {
        let mut list: Vec<_> = self.read().values().map(|entry| Arc::clone(&entry.info)).collect();
        list.sort_by(|a, b| {
            (a.family, &a.description.name, a.digest).cmp(&(b.family, &b.description.name, b.digest))
        });
        list
    }

    /// The ones shipped with the host.
    #[must_use]
    pub fn builtin(&self) -> Vec<Arc<Loaded>> {
        self.read().values().filter(|entry| entry.info.builtin).cloned().collect()
    }

    fn peek(&self, digest: Digest) -> Option<Arc<Loaded>> {
        self.read().get(&digest).cloned()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<Digest, Arc<Loaded>>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, loaded: LoadedPolicy, origin: Origin) -> Arc<Loaded> {
        let info = Arc::new(PolicyInfo {
            digest: loaded.digest,
            family: loaded.family(),
            description: loaded.description.clone(),
            size_bytes: loaded.size_bytes,
            origin: origin.to_string(),
            imports: loaded.outline.imports.clone(),
            builtin: origin == Origin::Builtin,
            standing: Standing::default(),
        });
        let digest = loaded.digest;
        let entry = Arc::new(Loaded { loaded: Arc::new(loaded), info, origin });
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(digest).or_insert(entry))
    }
}
