//! Takes the member with the most free CPU, and in copies with another mark does one thing wrong. See `README.md`.

use pilothouse_sdk::placement::{Move, Placement, Request, Resident};
use pilothouse_sdk::{About, Choice, Class, Column, Fleet, Refusal, Settings, export_placement};

#[path = "../../zoo-balancing/src/mark.rs"]
mod mark;
use mark::fault;

/// The policy.
#[derive(Debug)]
pub struct Zoo {
    fault: &'static str,
}
export_placement!(Zoo);

impl Placement for Zoo {
    const ABOUT: About = About {
        columns: &[Column::CpuMillisFree, Column::CostPerHour],
        settings_schema: r#"{"type":"object","additionalProperties":false,"x-pilothouse-properties":[                          ]}"#,
        reasons: &["most free"],
        ..About::new("zoo-placement", "1.0.0", "Most free CPU, or a fault.")
    };

    fn new(_settings: &mut Settings) -> Self {
        Self { fault: fault() }
    }

    fn place(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> Result<Choice, Refusal> {
        let best = class.rows().iter().copied().max_by(|&a, &b| {
            self.score(fleet, class, request, a)
                .total_cmp(&self.score(fleet, class, request, b))
                .then(b.cmp(&a))
        });
        let row = if self.fault == "ineligible" { fleet.rows() - 1 } else { best.unwrap_or(0) };
        Ok(Choice { row, score: self.score(fleet, class, request, row), reason: 0 })
    }

    fn score(&mut self, fleet: &Fleet, _class: &Class, request: &Request, row: u32) -> f32 {
        let free = fleet.u32(Column::CpuMillisFree, row);
        assert!(self.fault != "overflow" || free.checked_add(request.needs.cpu_millis.max(1)).is_some());
        let cost = fleet.f32(Column::CostPerHour, row);
        match self.fault {
            "dearest" => {
                if cost.is_finite() {
                    cost
                } else {
                    -1.0
                }
            }
            "fullest" => -(free as f32),
            "nan-score" => cost,
            _ => free as f32,
        }
    }

    fn suggest_moves(
        &mut self,
        _fleet: &Fleet,
        class: &Class,
        _request: &Request,
        residents: &[Resident],
        limit: u32,
    ) -> Result<Vec<Move>, Refusal> {
        let wanted = |workload| Move { workload, to: class.nth(0), gain: 1.0 };
        match self.fault {
            "moves-many" => Ok((0..=limit).map(wanted).collect()),
            "moves-unknown" => Ok(vec![wanted(7_777)]),
            _ => {
                Ok(residents.iter().take(limit as usize).map(|resident| wanted(resident.workload)).collect())
            }
        }
    }

    fn choose_victims(
        &mut self,
        _fleet: &Fleet,
        _class: &Class,
        request: &Request,
        row: u32,
        residents: &[Resident],
    ) -> Result<Vec<u32>, Refusal> {
        let of_row = residents.iter().filter(|resident| resident.row == row);
        let all = self.fault == "victims-equal";
        let yielding = of_row.filter(|resident| all || resident.priority < request.priority);
        Ok(yielding.map(|resident| resident.workload).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::placement::Resources;
    use pilothouse_sdk::testing::{Member, World, placing};

    #[test]
    fn as_built_it_takes_the_most_free() {
        let member = |free| Member::default().with(Column::CpuMillisFree, free);
        let mut world: World<Zoo> = placing(&[]).unwrap().member(member(10.0)).member(member(90.0));
        let needs = Resources { cpu_millis: 1, memory_mib: 0, storage_mib: 0, accelerator_millis: 0 };
        let ranked = world.rank_placement(needs, 1, 1).unwrap();
        assert_eq!(ranked[0].row, 1);
    }
}
