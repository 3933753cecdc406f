//! Keeps tasks near where they come from.
//!
//! Rule: same zone, else same region, else the region with the smallest round-trip time. The near group keeps the share
//! `min(1, 1.4 x healthy weight / all weight) x room`, where room falls from 1 to 0 as its utilisation goes from
//! `spill-from` to 1; the rest goes to the next group, so load spills gradually and not off a cliff. Inside a group the
//! less loaded of two random members takes the task. Where work may live at all is the host's filter, not this policy's.
//! Source: Envoy's priority levels and overprovisioning factor (1.4).

use pilothouse_sdk::balancing::{Balancing, Request};
use pilothouse_sdk::{About, Choice, Class, Column, Fleet, Refusal, Rng, Settings, export_balancing};

const OVERPROVISIONING: f32 = 1.4;
/// Round-trip times are grouped by this step, ms: members of one region differ by less.
const RTT_STEP_MS: f32 = 5.0;

/// The policy.
#[derive(Debug)]
pub struct Regional {
    spill_from: f32,
    checked_at: Option<(u32, u64, u64)>,
    groups: Vec<Group>,
}
export_balancing!(Regional);

/// Members equally near.
#[derive(Debug, Default)]
struct Group {
    reason: u32,
    rows: Vec<u32>,
    healthy_share: f32,
}

impl Balancing for Regional {
    const ABOUT: About = About {
        columns: &[
            Column::Region,
            Column::Zone,
            Column::Active,
            Column::Capacity,
            Column::Weight,
            Column::RttMs,
        ],
        settings_schema: r#"{"type":"object","additionalProperties":false,"properties":{
"spill-from":{"type":"number","minimum":0.1,"maximum":1,"default":0.8,"description":"Utilisation of the near group from which work spills over."}}}"#,
        reasons: &["same zone", "same region", "nearest region", "distance unknown"],
        factors: &["round-trip time, ms", "load"],
        ..About::new("regional", "1.0.0", "Same zone, same region, nearest region; spills gradually.")
    };

    fn new(settings: &mut Settings) -> Self {
        Self {
            spill_from: settings.number("spill-from", 0.8, 0.1..=1.0) as f32,
            checked_at: None,
            groups: Vec::new(),
        }
    }

    fn choose(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> Result<Choice, Refusal> {
        self.refresh(fleet, class);
        let mut rng = Rng::new(request.seed);
        let mut last = None;
        for group in &self.groups {
            let choice = pick(fleet, group, &mut rng);
            last = last.or(Some(choice));
            if rng.unit() < f64::from(self.share(fleet, group, &mut rng)) {
                return Ok(choice);
            }
        }
        // Everybody is full to the brim: the nearest group is as good as any.
        Ok(last.unwrap_or(Choice { row: class.nth(0), score: 0.0, reason: 3 }))
    }

    fn score(&mut self, _fleet: &Fleet, class: &Class, _request: &Request, row: u32) -> f32 {
        -class.rtt_ms(row)
    }

    fn factors(&mut self, fleet: &Fleet, class: &Class, _request: &Request, row: u32) -> Vec<f32> {
        vec![class.rtt_ms(row), load(fleet, row)]
    }
}

impl Regional {
    /// Groups the eligible members by nearness, if the class or the fleet's labels may have changed.
    fn refresh(&mut self, fleet: &Fleet, class: &Class) {
        let now = Some((class.id(), class.version(), fleet.epoch()));
        if self.checked_at == now {
            return;
        }
        self.checked_at = now;
        let nearness = |row: u32| -> (u32, u32) {
            let (region, zone) = (fleet.u32(Column::Region, row), fleet.u32(Column::Zone, row));
            let home = class.source_region() != 0 && region == class.source_region();
            match class.rtt_ms(row) {
                _ if home && class.source_zone() != 0 && zone == class.source_zone() => (0, 0),
                _ if home => (1, 0),
                rtt_ms if rtt_ms.is_nan() => (3, 0),
                rtt_ms => (2, (rtt_ms / RTT_STEP_MS) as u32),
            }
        };
        let mut keyed: Vec<((u32, u32), u32)> =
            class.rows().iter().map(|&row| (nearness(row), row)).collect();
        keyed.sort_unstable();
        self.groups.clear();
        let mut current = None;
        for (key, row) in keyed {
            if current != Some(key) {
                current = Some(key);
                self.groups.push(Group { reason: key.0, ..Group::default() });
            }
            if let Some(group) = self.groups.last_mut() {
                group.rows.push(row);
            }
        }
        for group in &mut self.groups {
            group.healthy_share = healthy_share(fleet, class, &group.rows);
        }
    }

    fn share(&self, fleet: &Fleet, group: &Group, rng: &mut Rng) -> f32 {
        let healthy = (OVERPROVISIONING * group.healthy_share).min(1.0);
        let utilisation = utilisation(fleet, group, rng);
        let room = if utilisation <= self.spill_from {
            1.0
        } else {
            (1.0 - utilisation) / (1.0 - self.spill_from).max(0.01)
        };
        healthy * room.clamp(0.0, 1.0)
    }
}

/// Weight of the group's eligible members over the weight of all members in their regions.
fn healthy_share(fleet: &Fleet, class: &Class, rows: &[u32]) -> f32 {
    let Some(region) = rows.first().map(|&row| fleet.u32(Column::Region, row)) else { return 0.0 };
    let weight = |row: u32| fleet.f32(Column::Weight, row).max(0.0);
    let (mut healthy, mut all) = (0.0, 0.0);
    for row in (0..fleet.rows()).filter(|&row| fleet.u32(Column::Region, row) == region) {
        all += weight(row);
        healthy += if class.contains(row) { weight(row) } else { 0.0 };
    }
    if all > 0.0 { healthy / all } else { 1.0 }
}

/// Utilisation of a few members of the group; members without a limit count as empty.
fn utilisation(fleet: &Fleet, group: &Group, rng: &mut Rng) -> f32 {
    let (mut work, mut room) = (0.0, 0.0);
    let count = group.rows.len() as u32;
    let start = rng.below(count);
    for step in 0..count.min(8) {
        let Some(&row) = group.rows.get(((start + step) % count) as usize) else { continue };
        match fleet.u32(Column::Capacity, row) {
            0 => return 0.0,
            capacity => {
                work += fleet.u32(Column::Active, row).saturating_add(fleet.in_flight(row)) as f32;
                room += capacity as f32;
            }
        }
    }
    if room > 0.0 { work / room } else { 0.0 }
}

fn pick(fleet: &Fleet, group: &Group, rng: &mut Rng) -> Choice {
    let (first, second) = rng.two_below(group.rows.len() as u32);
    let row_of = |rank: u32| group.rows.get(rank as usize).copied().unwrap_or_default();
    let (a, b) = (row_of(first), row_of(second));
    let (load_a, load_b) = (load(fleet, a), load(fleet, b));
    let (row, load) = if load_b < load_a { (b, load_b) } else { (a, load_a) };
    Choice { row, score: -load, reason: group.reason }
}

fn load(fleet: &Fleet, row: u32) -> f32 {
    let work = fleet.u32(Column::Active, row).saturating_add(fleet.in_flight(row)).saturating_add(1) as f32;
    work / fleet.f32(Column::Weight, row).max(f32::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::testing::{Member, World};

    fn member(region: u32, zone: u32, active: u32, rtt_ms: f32) -> Member {
        Member::default()
            .with(Column::Region, f64::from(region))
            .with(Column::Zone, f64::from(zone))
            .with(Column::Active, f64::from(active))
            .with(Column::Capacity, 100.0)
            .with(Column::Weight, 1.0)
            .rtt_ms(rtt_ms)
    }

    fn world(members: impl IntoIterator<Item = Member>) -> World<Regional> {
        World::<Regional>::of().source(1, 10).members(members)
    }

    #[test]
    fn zone_before_region_before_distance() {
        let all =
            [member(2, 20, 0, 80.0), member(3, 30, 0, 20.0), member(1, 11, 0, 1.5), member(1, 10, 0, 0.5)];
        assert_eq!(world(all.clone()).counts(100), [0, 0, 0, 100]);
        assert_eq!(world(all[..3].iter().cloned()).counts(100), [0, 0, 100]);
        assert_eq!(world(all[..2].iter().cloned()).counts(100), [0, 100]);
        assert_eq!(
            world([member(2, 20, 0, f32::NAN)]).row(1),
            0,
            "an unknown distance is better than nothing"
        );
    }

    #[test]
    fn work_spills_gradually_as_the_near_group_fills() {
        let mut shares = Vec::new();
        for active in [50, 80, 90, 99] {
            let counts = world([member(1, 10, active, 0.5), member(2, 20, 0, 50.0)]).counts(2_000);
            shares.push(counts[0] / 20);
        }
        assert!(
            shares[0] == 100 && shares[1] == 100 && (40..60).contains(&shares[2]) && shares[3] < 12,
            "{shares:?}"
        );
    }

    #[test]
    fn a_group_that_lost_half_its_members_passes_some_work_on() {
        let lost = || member(1, 10, 0, 0.5).ineligible();
        let counts = world([member(1, 10, 0, 0.5), lost(), member(2, 20, 0, 50.0)]).counts(2_000);
        assert!((1_300..1_500).contains(&counts[0]), "about 70 %: {counts:?}");
    }
}
