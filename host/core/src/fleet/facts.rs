//! What stands behind a row: the texts that columns only hold as numbers, and geography.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{Label, MemberId};

/// Most distinct labels (regions, zones, clusters) a host interns.
pub const SYMBOLS_MAX: usize = 65_536;

/// Most distinct capability names, and most distinct service names: 4 words of bits a row.
pub const BIT_NAMES_MAX: usize = 256;

/// Identity and texts of one member.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberFacts {
    /// Its id.
    pub id: MemberId,
    /// Where requests are sent.
    pub endpoint: String,
    /// Where it is.
    pub region: Option<Label>,
    /// Where in the region.
    pub zone: Option<Label>,
    /// The cluster a node belongs to.
    pub cluster: Option<MemberId>,
    /// Sorted names of its capabilities.
    pub capabilities: Vec<Label>,
    /// What it is certified for.
    pub compliance: BTreeSet<Label>,
    /// Model of its accelerators.
    pub accelerator_model: Option<Label>,
    /// Stable hash of the id ([`identity`]).
    pub identity: u64,
}

/// A stable 64-bit hash of a member's id: FNV-1a with a final mix, the same on every host and version.
#[must_use]
pub fn identity(id: &str) -> u64 {
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(hash)
}

/// A bijective mixer (the finaliser of splitmix64, Steele et al. 2014): every input bit reaches every output bit.
#[must_use]
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The host ran out of room for new names; the registration that brought them is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` would be the {limit_plus_one}th distinct {what}; the host keeps at most {limit}")]
pub struct TooManyNames {
    /// `label`, `capability` or `service`.
    pub what: &'static str,
    /// The name that did not fit.
    pub name: String,
    /// The bound.
    pub limit: usize,
    /// The bound plus one, for the text.
    pub limit_plus_one: usize,
}

/// Numbers for names, in order of first use. Numbers are never reused within a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Interner {
    numbers: BTreeMap<String, u32>,
    names: Vec<String>,
}

impl Interner {
    /// The number of a name, assigning the next one if it is new.
    ///
    /// # Errors
    /// [`TooManyNames`] if a new name would be number `limit + 1`.
    pub fn intern(&mut self, what: &'static str, name: &str, limit: usize) -> Result<u32, TooManyNames> {
        if let Some(&number) = self.numbers.get(name) {
            return Ok(number);
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        if self.names.len() >= limit {
            return Err(TooManyNames { what, name: name.to_owned(), limit, limit_plus_one: limit + 1 });
        }
        self.numbers.insert(name.to_owned(), number);
        self.names.push(name.to_owned());
        Ok(number)
    }

    /// The number of a known name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// The name with this number.
    #[must_use]
    pub fn name(&self, number: u32) -> Option<&str> {
        self.names.get(usize::try_from(number).ok()?).map(String::as_str)
    }
}

/// All names of a host. Symbol 0 is "none".
#[derive(Debug, Clone, PartialEq)]
pub struct Names {
    /// Regions, zones and clusters.
    pub symbols: Interner,
    /// Capability bits.
    pub capabilities: Interner,
    /// Service bits.
    pub services: Interner,
}

impl Default for Names {
    fn default() -> Self {
        let mut symbols = Interner::default();
        // Number 0 belongs to "none", which no label can be.
        let _ = symbols.intern("label", "", 1);
        Self { symbols, capabilities: Interner::default(), services: Interner::default() }
    }
}

impl Names {
    /// The symbol of a label; 0 if it is none or unknown.
    #[must_use]
    pub fn symbol(&self, label: Option<&Label>) -> u32 {
        label.and_then(|label| self.symbols.find(label.as_str())).unwrap_or(0)
    }
}
