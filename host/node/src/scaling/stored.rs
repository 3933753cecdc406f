//! A scaling group in the store: `groups/NAME`. Samples are not kept: they are old after a restart.

use pilothouse_core::id::{Label, MemberId};
use pilothouse_core::scaling::{Group, GroupSpec, Place};
use pilothouse_store::Store;
use serde::{Deserialize, Serialize};

use crate::records::{RecordError, decode};

/// Most groups read at start; more than can be made.
const RECORDS_MAX: usize = 10_000;

/// `groups/NAME`
#[must_use]
pub(super) fn group_key(name: &Label) -> String {
    format!("groups/{name}")
}

#[derive(Serialize, Deserialize)]
pub(super) struct GroupRecord {
    name: String,
    min_replicas: u32,
    max_replicas: u32,
    period_ms: u32,
    start_ms: u32,
    cooldown_ms: u64,
    step_up_max: u32,
    step_down_max: u32,
    confidence_min: f32,
    strategy: Option<String>,
    region: Option<String>,
    service: Option<String>,
    replicas: u32,
    places: Vec<(String, u32)>,
}

impl GroupRecord {
    pub(super) fn of(group: &Group, places: &[Place]) -> Self {
        let GroupSpec {
            name,
            min_replicas,
            max_replicas,
            period_ms,
            start_ms,
            cooldown_ms,
            step_up_max,
            step_down_max,
            confidence_min,
            strategy,
            region,
            service,
        } = group.spec().clone();
        Self {
            name: name.to_string(),
            min_replicas,
            max_replicas,
            period_ms,
            start_ms,
            cooldown_ms,
            step_up_max,
            step_down_max,
            confidence_min,
            strategy: strategy.map(|strategy| strategy.to_string()),
            region: region.map(|region| region.to_string()),
            service: service.map(|service| service.to_string()),
            replicas: group.replicas(),
            places: places.iter().map(|place| (place.member.to_string(), place.replicas)).collect(),
        }
    }

    fn into_group(self, key: &str) -> Result<(Group, Vec<Place>), RecordError> {
        let bad = |problem: String| RecordError::Value { key: key.to_owned(), problem };
        let label = |text: &str| Label::parse(text).map_err(|error| bad(error.to_string()));
        let spec = GroupSpec {
            name: label(&self.name)?,
            min_replicas: self.min_replicas,
            max_replicas: self.max_replicas,
            period_ms: self.period_ms,
            start_ms: self.start_ms,
            cooldown_ms: self.cooldown_ms,
            step_up_max: self.step_up_max,
            step_down_max: self.step_down_max,
            confidence_min: self.confidence_min,
            strategy: self.strategy.as_deref().map(label).transpose()?,
            region: self.region.as_deref().map(label).transpose()?,
            service: self.service.as_deref().map(label).transpose()?,
        };
        spec.check().map_err(|error| bad(error.to_string()))?;
        let place = |(member, replicas): (String, u32)| {
            let member = MemberId::parse(&member).map_err(|error| bad(error.to_string()))?;
            Ok(Place { member, replicas })
        };
        let places = self.places.into_iter().map(place).collect::<Result<_, _>>()?;
        Ok((Group::new(spec, self.replicas), places))
    }
}

/// All stored groups.
pub(super) fn read_all(store: &dyn Store) -> anyhow::Result<Vec<(Group, Vec<Place>)>> {
    let mut groups = Vec::new();
    for entry in store.range("groups/", RECORDS_MAX)? {
        groups.push(decode::<GroupRecord>(&entry.key, &entry.value)?.into_group(&entry.key)?);
    }
    Ok(groups)
}
