//! Draws at random, and in copies with another mark does one thing wrong. See `README.md`.

use std::hint::black_box;

use pilothouse_sdk::balancing::{Balancing, Request};
use pilothouse_sdk::state::{Cell, Counter};
use pilothouse_sdk::{
    About, Candidate, Choice, Class, Column, Fleet, Refusal, Rng, Settings, export_balancing, mix,
};

mod mark;
use mark::fault;

/// Larger than what the host copies for one call.
const HUGE_BYTES: usize = 5 << 18;

/// The policy.
#[derive(Debug)]
pub struct Zoo {
    fault: &'static str,
    level: u32,
    calls: u64,
    cell: Cell,
    hoard: Vec<Vec<u8>>,
    rows: Vec<u32>,
    rows_of: (u64, u32, u64),
}
export_balancing!(Zoo);

impl Balancing for Zoo {
    const ABOUT: About = About {
        columns: &[Column::Active, Column::Weight, Column::Cpu, Column::LatencyMs, Column::Identity],
        settings_schema: r#"{"type":"object","additionalProperties":false,"properties":{
"level":{"type":"integer","minimum":0,"maximum":9,"default":1,"description":"Does nothing."}},"x-pilothouse-properties":[                          ]}"#,
        reasons: &["drawn at random"],
        factors: &["load"],
        ..About::new("zoo-balancing", "1.0.0", "Any member, or a fault.")
    };

    fn new(settings: &mut Settings) -> Self {
        let level = settings.integer("level", 1, 0..=9);
        match fault() {
            "edge-trap" => assert!(level < 9, "broken on purpose"),
            "no-path" if level == 9 => settings.problem("", "not that high"),
            "quota" => (0..64).for_each(|index| {
                let _ = Counter::open(&format!("c-{index}"));
            }),
            "defaults" => settings.problem("level", "must be given"),
            "takes-all" => {
                let _ = settings.integer("there-is-no-such-setting", 0, 0..=9);
            }
            _ => {}
        }
        let cell = Cell::open("memory");
        if fault() == "reset" {
            let (version, _) = cell.get();
            cell.compare_and_set(version, &[0.0]);
        }
        let (hoard, rows) = (Vec::new(), Vec::new());
        Self { fault: fault(), level, calls: 0, cell, hoard, rows, rows_of: (0, 0, 0) }
    }

    fn choose(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> Result<Choice, Refusal> {
        self.calls += 1;
        let drawn =
            Choice { row: class.nth(Rng::new(request.seed).below(class.count())), score: 0.0, reason: 0 };
        match self.fault {
            "other" => Err(Refusal::Other("I would rather not".to_owned())),
            "refuses" => Err(Refusal::NothingSuits(0)),
            "huge-text" => Err(Refusal::Other("x".repeat(HUGE_BYTES))),
            "ineligible" => Ok(Choice { row: best_of_all(fleet), ..drawn }),
            "nan-score" => Ok(Choice { score: f32::NAN, ..drawn }),
            "reason" => Ok(Choice { reason: 7, ..drawn }),
            "stale-rows" | "stale-class" | "memory" | "reset" => {
                Ok(Choice { row: self.remembered(fleet, class, request), ..drawn })
            }
            "sticky-row" => Ok(Choice { row: by_session(class, request), ..drawn }),
            "more-loaded" => Ok(Choice { row: most_loaded(fleet, class), ..drawn }),
            "nan-bits" => {
                let bits = fleet.f32(Column::Cpu, drawn.row).to_bits();
                Ok(Choice { row: class.nth(mix(u64::from(bits)) as u32 % class.count()), ..drawn })
            }
            _ => {
                self.misbehave(fleet, class, request);
                Ok(drawn)
            }
        }
    }

    fn choose_many(
        &mut self,
        fleet: &Fleet,
        class: &Class,
        requests: &[Request],
    ) -> Vec<Result<Choice, Refusal>> {
        let mut answers: Vec<_> = requests.iter().map(|request| self.choose(fleet, class, request)).collect();
        match self.fault {
            "batch-short" => drop(answers.pop()),
            "batch-turned" => answers.reverse(),
            _ => {}
        }
        answers
    }

    fn rank(
        &mut self,
        fleet: &Fleet,
        class: &Class,
        request: &Request,
        limit: u32,
    ) -> Result<Vec<Candidate>, Refusal> {
        let first = self.choose(fleet, class, request)?;
        let limit = limit + u32::from(self.fault == "rank-more");
        let others = class.rows().iter().filter(|&&row| row != first.row);
        let rows = std::iter::once(&first.row).chain(others).take(limit as usize);
        let mut ranked: Vec<Candidate> = rows
            .enumerate()
            .map(|(place, &row)| Candidate { row, score: -(place as f32), reason: 0, factors: vec![0.0] })
            .collect();
        match (self.fault, ranked.as_mut_slice()) {
            ("rank-twice", [first, second, ..]) => second.row = first.row,
            ("rank-ascending", all) => {
                (0_u16..).zip(all).for_each(|(place, candidate)| candidate.score = f32::from(place));
            }
            ("rank-other", [first, second, ..]) => std::mem::swap(&mut first.row, &mut second.row),
            ("factors", all) => all.iter_mut().for_each(|candidate| candidate.factors.push(1.0)),
            _ => {}
        }
        Ok(ranked)
    }
}

impl Zoo {
    /// Breaks, burns, floods or hoards; what it does not know it does not do.
    fn misbehave(&mut self, fleet: &Fleet, class: &Class, request: &Request) {
        let row = class.nth(0);
        let (cpu, weight) = (fleet.f32(Column::Cpu, row), fleet.f32(Column::Weight, row));
        let broken = match self.fault {
            "trap" => true,
            "trap-late" => self.calls > 150,
            "trap-nan" => class.count() > 2 && cpu.is_nan() && all_unknown(fleet, class),
            "trap-zero" => weight == 0.0,
            "trap-infinite" => cpu.is_infinite(),
            "trap-huge" => fleet.u32(Column::Active, row).checked_add(1).is_none(),
            "trap-tiny" => weight > 0.0 && (1.0 / weight).is_infinite(),
            "trap-equal" => class.count() > 1 && all_equal(fleet, class),
            "trap-single" => fleet.rows() == 1,
            "trap-foreign" => self.cell.get().1.len() > 1,
            _ => false,
        };
        assert!(!broken, "broken on purpose");
        match self.fault {
            "spin" => spin(u64::MAX),
            "square" => spin(u64::from(class.count()) * u64::from(class.count())),
            "near-limit" if class.count() >= 10_000 => spin(160_000),
            "recurse" => {
                let _ = black_box(descend(u32::MAX));
            }
            "allocate" => loop {
                self.hoard.push(black_box(Vec::with_capacity(1 << 20)));
            },
            "leak" => self.hoard.push(black_box(vec![1; 64])),
            "named-state" => {
                let _ = Counter::open(&format!("session-{}", request.session.unwrap_or(0) % 50));
            }
            "log" => (0..40).for_each(|_| chatter()),
            "trap-foreign" => {
                let (version, _) = self.cell.get();
                self.cell.compare_and_set(version, &[f64::from(self.level)]);
            }
            _ => {}
        }
    }

    /// A row by memory of an instance, or by a list that is not kept up to date.
    fn remembered(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> u32 {
        let (epoch, id, version) = (fleet.epoch(), class.id(), class.version());
        let (old_epoch, old_id, old_version) = self.rows_of;
        match self.fault {
            "memory" => return class.nth((self.calls % u64::from(class.count())) as u32),
            "reset" => {
                let (version, values) = self.cell.get();
                let turn = values.first().copied().unwrap_or(0.0);
                let turn = if turn.is_finite() && turn >= 0.0 { turn % 4_096.0 } else { 0.0 };
                self.cell.compare_and_set(version, &[turn + 1.0]);
                return class.nth(turn as u32 % class.count());
            }
            _ => {}
        }
        // One forgets that eligibility changes between two epochs, the other that there are several classes.
        let is_fresh = match self.fault {
            "stale-rows" => (old_epoch, old_id) == (epoch, id),
            _ => old_epoch == epoch && (old_id != id || old_version == version),
        };
        if !is_fresh {
            (self.rows, self.rows_of) = (class.rows().to_vec(), (epoch, id, version));
        }
        let place = Rng::new(request.seed).below(self.rows.len().max(1) as u32) as usize;
        self.rows.get(place).copied().unwrap_or(class.nth(0))
    }
}

fn all_unknown(fleet: &Fleet, class: &Class) -> bool {
    class.rows().iter().all(|&row| fleet.f32(Column::Cpu, row).is_nan())
}

fn all_equal(fleet: &Fleet, class: &Class) -> bool {
    let first = fleet.u64(Column::Identity, class.nth(0));
    class.rows().iter().all(|&row| fleet.u64(Column::Identity, row) == first)
}

fn chatter() {
    #[cfg(target_family = "wasm")]
    {
        use pilothouse_sdk::bindings::base::pilothouse::host::log;
        log::write(log::Level::Debug, "still here");
    }
}

/// The least loaded of all members, eligible or not.
fn best_of_all(fleet: &Fleet) -> u32 {
    let load = |&row: &u32| fleet.u32(Column::Active, row);
    (0..fleet.rows()).min_by_key(load).unwrap_or(0)
}

fn most_loaded(fleet: &Fleet, class: &Class) -> u32 {
    class.rows().iter().copied().max_by_key(|&row| fleet.u32(Column::Active, row)).unwrap_or(0)
}

/// By the session's hash modulo the members, so that all move when one is lost.
fn by_session(class: &Class, request: &Request) -> u32 {
    class.nth((request.session.unwrap_or(request.seed) % u64::from(class.count())) as u32)
}

fn spin(turns: u64) {
    let mut turn = 0;
    while black_box(turn) < turns {
        turn += 1;
    }
}

/// Goes down without an end that the stack could reach, and does something after each return.
fn descend(depth: u32) -> u32 {
    let frame = black_box([depth; 32]);
    if depth == 0 {
        0
    } else {
        descend(black_box(depth - 1)).wrapping_add(frame.iter().fold(0, |sum, part| sum ^ part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::testing::{Member, World};

    #[test]
    fn as_built_it_is_honest() {
        let mut world = World::<Zoo>::of().members((0..3).map(|_| Member::default()));
        assert!((0..50).all(|seed| world.row(seed) < 3));
    }
}
