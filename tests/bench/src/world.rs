//! The fleet that everybody decides over.

use std::collections::BTreeSet;
use std::sync::Arc;

use pilothouse_core::eligible::{Classes, EligibleClass, Requirement};
use pilothouse_core::fleet::Fleet;
use pilothouse_core::fleet::geography::Geography;
use pilothouse_core::id::MemberId;
use pilothouse_core::member::{LoadReport, MemberKind, Registration, Resources, Role};
use pilothouse_core::registry::{Registry, Rules};
use pilothouse_core::time::{Now, WallMs};

pub fn registration(index: u32) -> anyhow::Result<Registration> {
    Ok(Registration {
        id: MemberId::parse(&format!("m-{index}"))?,
        kind: MemberKind::Cluster,
        endpoint: format!("m-{index}:1"),
        hostname: String::new(),
        region: None,
        zone: None,
        cluster: None,
        role: Role::Worker,
        capacity: 0,
        weight: 1.0,
        capabilities: BTreeSet::new(),
        services: BTreeSet::new(),
        compliance: BTreeSet::new(),
        accelerator_model: None,
        cost_per_hour: 1.0 + (index % 7) as f32,
        carbon_g_per_kwh: f32::NAN,
        resources: Resources { cpu_millis: 8_000, memory_mib: 32_768, ..Resources::default() },
    })
}

pub fn load(index: u32) -> LoadReport {
    LoadReport { active: Some(index % 50), cpu: Some(0.3), ..LoadReport::default() }
}

/// A fleet of so many members, all eligible.
pub struct World {
    pub registry: Registry,
    pub fleet: Fleet,
    pub class: Arc<EligibleClass>,
}

impl World {
    pub fn of(members: u32) -> anyhow::Result<Self> {
        let mut registry = Registry::new(Rules::default(), Geography::default());
        for index in 0..members {
            let registration = registration(index)?;
            let id = registration.id.clone();
            registry.register(registration, Now(1_000), WallMs(0))?;
            registry.report(&id, &load(index), Now(1_000), WallMs(0))?;
        }
        let fleet = registry.publish().ok_or_else(|| anyhow::anyhow!("nothing was published"))?;
        let class = Classes::default()
            .resolve(&fleet, &Requirement::default())
            .map_err(|none| anyhow::anyhow!("{none:?}"))?;
        Ok(Self { registry, fleet, class })
    }
}
