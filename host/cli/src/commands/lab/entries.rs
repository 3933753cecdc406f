//! The components that compete: loaded by the engine, made anew for every run.
//!
//! Invariant: a run has the limits of a server but for time: fuel, memory and host calls bound it as there, and the deadline
//! is far away, so that a slow machine finds the same.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use pilothouse_core::policy::Policy;
use pilothouse_core::policy::state::SlotState;
use pilothouse_engine::{Bounds, Budget, Cache, Compiler, LoadedPolicy, Pool, PoolConfig, Runtime};
use pilothouse_lab::contest::{Contender, Make};
use pilothouse_policies::DefaultPolicy;

use super::NotFound;
use crate::commands::inspect::is_file;
use crate::files;

/// Wall clock of a decision, ms: a backstop against a broken engine, which no policy within its fuel reaches.
const DEADLINE_MS: u64 = 600_000;
/// Where a policy's counters start; what varies from run to run is the scenario's seed.
const COUNTER_SEED: u64 = 1;

/// A component that competes.
pub(super) struct Entry {
    label: String,
    digest: String,
    does: String,
    family: &'static str,
    make: Box<Make<'static>>,
}

/// All of them.
pub(super) struct Entries {
    runtime: Runtime,
    list: Vec<Entry>,
}

impl Entries {
    pub(super) fn new() -> anyhow::Result<Self> {
        let program =
            std::env::current_exe().context("cannot find this program for the compiler's process")?;
        let compiler = Compiler::child(program, vec!["compile".to_owned()]);
        // Whether a server takes it is another question than how good it is.
        let runtime = Runtime::start(compiler, Cache::none())?.with_bounds(Bounds::LARGE);
        Ok(Self { runtime, list: Vec::new() })
    }

    pub(super) fn labels(&self) -> Vec<&str> {
        self.list.iter().map(|entry| entry.label.as_str()).collect()
    }

    /// A default policy by FAMILY/NAME or NAME, of `family` if given; or a component by its path, which is its label,
    /// because two versions have one name.
    pub(super) fn add(
        &mut self,
        given: &str,
        family: Option<&str>,
        settings: Option<&str>,
    ) -> anyhow::Result<()> {
        let (family, name) = match given.split_once('/') {
            Some((family, name)) => (Some(family), name),
            None => (family, given),
        };
        let is_meant = |policy: &&DefaultPolicy| {
            policy.name == name && family.is_none_or(|family| policy.family == family)
        };
        let found: Vec<&DefaultPolicy> = pilothouse_policies::ALL.iter().filter(is_meant).collect();
        let hint = match found.as_slice() {
            [only] => return self.load(only.name, only.bytes, settings),
            [] if is_file(given) && Path::new(given).exists() => {
                let bytes = files::component(Path::new(given))?;
                return self.load(given, &bytes, settings);
            }
            [] => "give a .wasm file, or NAME or FAMILY/NAME of a default policy such as scaling/hybrid"
                .to_owned(),
            several => {
                let full = several.iter().map(|policy| format!("{}/{}", policy.family, policy.name));
                format!("it could be {}", full.collect::<Vec<_>>().join(" or "))
            }
        };
        Err(NotFound { what: "one policy", name: given.to_owned(), hint }.into())
    }

    /// All default policies of a family.
    pub(super) fn add_family(&mut self, family: &str) -> anyhow::Result<()> {
        for policy in pilothouse_policies::ALL.iter().filter(|policy| policy.family == family) {
            self.load(policy.name, policy.bytes, None)?;
        }
        Ok(())
    }

    fn load(&mut self, label: &str, bytes: &[u8], settings: Option<&str>) -> anyhow::Result<()> {
        let context = || format!("{} cannot compete", pilothouse_lab::report::text::plain(label));
        let loaded = Arc::new(self.runtime.load(bytes).with_context(context)?);
        let (digest, family) = (loaded.digest.to_string(), loaded.family().name());
        let does = loaded.description.summary.clone();
        let settings = settings.unwrap_or_default().to_owned();
        // Once now, so that bad settings end the command and not every run.
        pool(&loaded, &settings).map_err(anyhow::Error::msg).with_context(context)?;
        let make = move || Ok(Box::new(pool(&loaded, &settings)?) as Box<dyn Policy>);
        let label = self.unique(label, family);
        self.list.push(Entry { label, digest, does, family, make: Box::new(make) });
        Ok(())
    }

    /// The label, told apart from the same one given before in its family.
    fn unique(&self, label: &str, family: &str) -> String {
        match self.list.iter().filter(|entry| entry.label == label && entry.family == family).count() {
            0 => label.to_owned(),
            again => format!("{label} #{}", again + 1),
        }
    }

    /// The one family of all entries.
    pub(super) fn family(&self) -> anyhow::Result<&'static str> {
        let family = self.list.first().map_or("", |entry| entry.family);
        let other = self.list.iter().find(|entry| entry.family != family);
        other.map_or(Ok(family), |Entry { label, family: theirs, .. }| {
            let label = pilothouse_lab::report::text::plain(label);
            Err(anyhow::anyhow!(
                "{label} is a {theirs} policy, others are {family} policies; name one family"
            ))
        })
    }

    /// Those of a family.
    pub(super) fn contenders(&self, family: &str) -> Vec<Contender<'_>> {
        let ours = self.list.iter().filter(|entry| entry.family == family);
        ours.map(|Entry { label, digest, does, make, .. }| Contender {
            label,
            digest,
            does,
            make: make.as_ref(),
        })
        .collect()
    }
}

fn pool(loaded: &Arc<LoadedPolicy>, settings: &str) -> Result<Pool, String> {
    let budget = Budget { deadline_ms: DEADLINE_MS, ..Budget::of(loaded.family()) };
    let config = PoolConfig { seats: 1, budget, state: Arc::new(SlotState::default()), seed: COUNTER_SEED };
    Pool::new(Arc::clone(loaded), settings, config).map_err(|error| error.to_string())
}

/// Settings from a TOML file, as the JSON that policies take.
pub(super) fn settings(path: &Path) -> anyhow::Result<String> {
    let text = files::text(path, "settings")?;
    let table: toml::Table =
        toml::from_str(&text).with_context(|| format!("{} is no TOML", path.display()))?;
    Ok(serde_json::to_string(&table)?)
}
