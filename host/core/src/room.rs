//! What a member can still take, counted down by plans that place many things at once.
//!
//! member, headroom -> [`Room`] -- take(needs) --> less room | [`Lack`]
//!
//! Invariant: what was taken never exceeds the total less the headroom. Totals that are unknown (0) are not held,
//! except accelerators, which are not there unless somebody said so. Single devices are not told apart here: the
//! eligible filter does that when the workload is placed.

use crate::member::{Member, Resources};

/// Which bound a workload would break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Lack {
    /// It does not fit.
    #[error("there is no room")]
    Capacity,
    /// It would fit, but only into the share that is kept free.
    #[error("the room left is kept as headroom")]
    Headroom,
}

/// Room of one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    free: Resources,
    slots: u32,
    kept: Resources,
    kept_slots: u32,
}

impl Room {
    /// The room of a member of which a share (0..1) stays free.
    #[must_use]
    pub fn of(member: &Member, headroom_share: f32) -> Self {
        let Resources { cpu_millis, memory_mib, storage_mib, accelerator_millis } =
            member.registration.resources;
        let used = member.used;
        let free = |total: u32, used: u32| match total {
            0 => u32::MAX,
            _ => total.saturating_sub(used),
        };
        let kept = |total: u32| share_of(total, headroom_share);
        Self {
            free: Resources {
                cpu_millis: free(cpu_millis, used.cpu_millis),
                memory_mib: free(memory_mib, used.memory_mib),
                storage_mib: free(storage_mib, used.storage_mib),
                accelerator_millis: accelerator_millis.saturating_sub(used.accelerator_millis),
            },
            slots: free(member.capacity(), member.active()),
            kept: Resources {
                cpu_millis: kept(cpu_millis),
                memory_mib: kept(memory_mib),
                storage_mib: kept(storage_mib),
                accelerator_millis: kept(accelerator_millis),
            },
            kept_slots: kept(member.capacity()),
        }
    }

    /// Whether one more workload fits.
    ///
    /// # Errors
    /// [`Lack`] says what is missing.
    pub fn fits(&self, needs: Resources) -> Result<(), Lack> {
        let lack = |free: u32, kept: u32, need: u32| match need {
            0 => None,
            _ if free < need => Some(Lack::Capacity),
            _ if free - need < kept => Some(Lack::Headroom),
            _ => None,
        };
        let lacks = [
            lack(self.free.cpu_millis, self.kept.cpu_millis, needs.cpu_millis),
            lack(self.free.memory_mib, self.kept.memory_mib, needs.memory_mib),
            lack(self.free.storage_mib, self.kept.storage_mib, needs.storage_mib),
            lack(self.free.accelerator_millis, self.kept.accelerator_millis, needs.accelerator_millis),
            lack(self.slots, self.kept_slots, 1),
        ];
        lacks.into_iter().flatten().min().map_or(Ok(()), Err)
    }

    /// Takes room for one workload.
    ///
    /// # Errors
    /// [`Lack`]; nothing was taken.
    pub fn take(&mut self, needs: Resources) -> Result<(), Lack> {
        self.fits(needs)?;
        self.count(needs, u32::saturating_sub);
        Ok(())
    }

    /// Gives back what was taken for one workload.
    pub fn give_back(&mut self, needs: Resources) {
        self.count(needs, u32::saturating_add);
    }

    fn count(&mut self, needs: Resources, change: fn(u32, u32) -> u32) {
        // Room without a known total stays without bound.
        let count = |free: u32, need: u32| if free == u32::MAX { free } else { change(free, need) };
        self.free = Resources {
            cpu_millis: count(self.free.cpu_millis, needs.cpu_millis),
            memory_mib: count(self.free.memory_mib, needs.memory_mib),
            storage_mib: count(self.free.storage_mib, needs.storage_mib),
            accelerator_millis: count(self.free.accelerator_millis, needs.accelerator_millis),
        };
        self.slots = count(self.slots, 1);
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "casts of floats saturate, and a share of a u32 is one"
)]
fn share_of(total: u32, share: f32) -> u32 {
    (f64::from(total) * f64::from(share)).ceil() as u32
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::id::{Label, MemberId};
    use crate::member::{Health, LoadReport, MemberKind, Registration, Role, Standing, Status};
    use crate::time::WallMs;

    /// A healthy node that runs `active` of `capacity` agents and has `memory_mib` in all.
    pub(crate) fn node(id: &str, region: &str, capacity: u32, active: u32, memory_mib: u32) -> Member {
        let registration = Registration {
            id: MemberId::parse(id).unwrap(),
            kind: MemberKind::Node,
            endpoint: format!("{id}:1"),
            hostname: String::new(),
            region: Label::parse(region).ok(),
            zone: None,
            cluster: None,
            role: Role::Worker,
            capacity,
            weight: 1.0,
            capabilities: [].into(),
            services: [].into(),
            compliance: [].into(),
            accelerator_model: None,
            cost_per_hour: f32::NAN,
            carbon_g_per_kwh: f32::NAN,
            resources: Resources { memory_mib, ..Resources::default() },
        };
        Member {
            registration,
            row: 0,
            status: Status::Online,
            standing: Standing::Sound,
            draining: false,
            health: Health::Healthy,
            role: Role::Worker,
            load: LoadReport::default(),
            assigned: active,
            used: Resources::default(),
            granted: Default::default(),
            reported_at: None,
            registered_at: WallMs(0),
            last_seen: WallMs(0),
        }
    }

    pub(crate) fn memory(memory_mib: u32) -> Resources {
        Resources { memory_mib, ..Resources::default() }
    }

    #[test]
    fn room_is_counted_down_and_says_what_lacks() {
        let (slots, mib) = (Lack::Capacity, memory(30));
        for (name, capacity, total_mib, headroom, needs, expected) in [
            ("fits", 10, 100, 0.15, mib, Ok(())),
            ("unknown totals are not held", 0, 0, 0.15, mib, Ok(())),
            ("too big", 10, 20, 0.0, mib, Err(Lack::Capacity)),
            ("only into the headroom", 10, 32, 0.15, mib, Err(Lack::Headroom)),
            ("no slot", 2, 100, 0.0, mib, Err(slots)),
            ("the last slots are headroom", 3, 100, 0.34, mib, Err(Lack::Headroom)),
            ("no accelerator", 0, 0, 0.0, Resources { accelerator_millis: 1, ..mib }, Err(Lack::Capacity)),
        ] {
            let mut room = Room::of(&node("a", "eu", capacity, 2, total_mib), headroom);
            let before = room;
            assert_eq!(room.take(needs), expected, "{name}");
            if expected.is_ok() {
                room.give_back(needs);
            }
            assert_eq!(room, before, "{name}");
        }
    }
}
