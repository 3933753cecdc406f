//! Places accelerator work so that no device is left that nobody can use.
//!
//! Rule: the workload goes where it strands least. A free device is stranded as far as the requests that come cannot use
//! it; three ways are counted, in thousandths of a device, before and after the workload is placed:
//!
//! - CPU: `g * (e^(-c / (0.7 k g)) + 2 s(c))`, `g` free devices beside `c` free CPU, `k` the CPU that requests take
//!   beside a device, `s(c)` the share of requests that need more than `c`;
//! - remainders: 1.8 times what a part of a device loses in the mean when it is filled by the shares that come;
//! - groups: 0.05 times whole devices that are fewer than requests take at once.
//!
//! Near-ties go to the member with less left (best fit), ties to the seed. The demand is learnt from the requests seen. The aim
//! and the measure are those of FGD (Weng et al., "Beware of Fragmentation", USENIX ATC 2023), which weighs every
//! frequent kind of request on every member; here a member costs a few look-ups.
//! Which device of the member serves a share is the host's choice: the fullest that fits.

mod demand;
mod devices;
mod stranded;

use pilothouse_sdk::placement::{Placement, Request, Resources};
use pilothouse_sdk::scan::{self, NO, Scores};
use pilothouse_sdk::{
    About, Block, Candidate, Choice, Class, Column, Fleet, LANES, Refusal, Settings, export_placement,
};

use demand::Learner;
use devices::{Devices, WHOLE};
use stranded::{Free, Tables};

const NO_ROOM: u32 = 1;
/// CPU that is taken to be beside a thousandth of a device where nothing is known of it (an unknown total forbids nothing):
/// plenty.
const UNKNOWN_CPU: f32 = 1_000.0;
/// Best fit decides near-ties: per thousandth of a device and per thousandth of a core left.
const DEVICE_LEFT: f32 = 0.017;
const CPU_LEFT: f32 = 0.000_005;

/// The policy.
#[derive(Debug)]
pub struct GpuPacking {
    learner: Learner,
}
export_placement!(GpuPacking);

impl Placement for GpuPacking {
    const ABOUT: About = About {
        columns: &[
            Column::CpuMillisFree,
            Column::CpuMillisTotal,
            Column::MemoryMibFree,
            Column::MemoryMibTotal,
            Column::AcceleratorDevices,
        ],
        reasons: &["strands the least", "nobody has room"],
        ..About::new("gpu-packing", "1.0.0", "Leaves the fewest accelerators that nobody can use.")
    };

    fn new(_settings: &mut Settings) -> Self {
        Self { learner: Learner::open() }
    }

    fn place(&mut self, fleet: &Fleet, class: &Class, request: &Request) -> Result<Choice, Refusal> {
        let tables = self.learner.learn(request);
        let needs = Needs::of(&request.needs);
        scan::choose(fleet, class, request.seed, NO_ROOM, |block, eligible| {
            scores(block, eligible, needs, tables)
        })
    }

    fn rank(
        &mut self,
        fleet: &Fleet,
        class: &Class,
        request: &Request,
        limit: u32,
    ) -> Result<Vec<Candidate>, Refusal> {
        let tables = self.learner.learn(request);
        let needs = Needs::of(&request.needs);
        let score = |block: Block<'_>, eligible| scores(block, eligible, needs, tables);
        scan::rank(fleet, class, request.seed, limit, NO_ROOM, score, |_| Vec::new())
    }
}

/// What the workload takes: whole devices, and a share of one more.
#[derive(Debug, Clone, Copy)]
struct Needs {
    cpu_millis: u32,
    memory_mib: u32,
    wholes: u16,
    share: u16,
}

impl Needs {
    fn of(needs: &Resources) -> Self {
        Self {
            cpu_millis: needs.cpu_millis,
            memory_mib: needs.memory_mib,
            wholes: u16::try_from(needs.accelerator_millis / u32::from(WHOLE)).unwrap_or(u16::MAX),
            share: (needs.accelerator_millis % u32::from(WHOLE)) as u16,
        }
    }
}

fn scores(block: Block<'_>, eligible: u64, needs: Needs, tables: &Tables) -> Scores {
    let cpu = [Column::CpuMillisFree, Column::CpuMillisTotal].map(|column| block.u32(column));
    let memory = [Column::MemoryMibFree, Column::MemoryMibTotal].map(|column| block.u32(column));
    let words = block.devices();
    let mut scores = [NO; LANES];
    for lane in scan::lanes(eligible) {
        let [cpu_free, cpu_total] = at(cpu, lane);
        let [memory_free, memory_total] = at(memory, lane);
        let devices = Devices::of(at(words, lane), needs.share);
        // `&` and not `&&`: a branch costs more than what it saves.
        let fits = ((cpu_free >= needs.cpu_millis) | (cpu_total == 0))
            & ((memory_free >= needs.memory_mib) | (memory_total == 0))
            & devices.hold(needs.wholes);
        if let (true, Some(score)) = (fits, scores.get_mut(lane)) {
            let device_millis = f32::from(devices.millis);
            let cpu_millis = if cpu_total > 0 { cpu_free as f32 } else { device_millis * UNKNOWN_CPU };
            let free = Free { cpu_millis, device_millis, wholes: usize::from(devices.wholes) };
            *score = -strands(free, devices.fullest, needs, tables);
        }
    }
    scores
}

/// One lane of some columns.
#[inline]
fn at<T: Copy + Default, const N: usize>(columns: [&[T; LANES]; N], lane: usize) -> [T; N] {
    columns.map(|column| column.get(lane).copied().unwrap_or_default())
}

/// What the workload strands on a member, with best fit for near-ties.
#[inline]
fn strands(free: Free, fullest: u16, needs: Needs, tables: &Tables) -> f32 {
    let begins_whole = fullest == WHOLE;
    let left = Free {
        cpu_millis: free.cpu_millis - needs.cpu_millis as f32,
        device_millis: free.device_millis
            - f32::from(needs.wholes) * f32::from(WHOLE)
            - f32::from(needs.share),
        wholes: free.wholes - usize::from(needs.wholes) - usize::from(begins_whole),
    };
    let mut stranded = tables.for_lack_of_cpu(left) - tables.for_lack_of_cpu(free);
    stranded += tables.in_small_groups(left.wholes) - tables.in_small_groups(free.wholes);
    if needs.share > 0 {
        stranded += tables.in_remainder(fullest - needs.share) - tables.in_remainder(fullest);
    }
    stranded + DEVICE_LEFT * left.device_millis + CPU_LEFT * left.cpu_millis
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilothouse_sdk::testing::{Member, World, placing};

    fn node(cpu_millis: u32, devices: &[u16]) -> Member {
        Member::default()
            .with(Column::CpuMillisTotal, 96_000.0)
            .with(Column::CpuMillisFree, cpu_millis.into())
            .with(Column::MemoryMibTotal, 1_000.0)
            .with(Column::MemoryMibFree, 1_000.0)
            .devices(devices)
    }

    fn needs(cpu_millis: u32, accelerator_millis: u32) -> Resources {
        Resources { cpu_millis, memory_mib: 10, storage_mib: 0, accelerator_millis }
    }

    /// A world that has seen requests for a device and 10 cores, and for shares.
    fn world(members: impl IntoIterator<Item = Member>) -> World<GpuPacking> {
        let mut world = placing(&[]).unwrap().members(members);
        for seed in 0..200 {
            for needs in [needs(10_000, 1_000), needs(4_000, 700), needs(4_000, 300)] {
                let _ = world.rank_placement(needs, seed, 1);
            }
        }
        world
    }

    fn order(members: impl IntoIterator<Item = Member>, needs: Resources) -> Vec<u32> {
        let ranked = world(members).rank_placement(needs, 1, 64);
        ranked.map_or_else(|_| Vec::new(), |ranked| ranked.iter().map(|candidate| candidate.row).collect())
    }

    #[test]
    fn work_goes_where_it_strands_least() {
        let fresh = || node(96_000, &[1_000; 8]);
        for (name, members, needs, rows) in [
            ("a share closes a device", vec![fresh(), node(90_000, &[300])], needs(4_000, 300), vec![1, 0]),
            (
                "exactly, if it can",
                vec![node(50_000, &[400]), node(50_000, &[300])],
                needs(4_000, 300),
                vec![1, 0],
            ),
            (
                "plain work spares devices",
                vec![node(30_000, &[1_000; 3]), node(60_000, &[])],
                needs(20_000, 0),
                vec![1, 0],
            ),
            (
                "CPU beside devices",
                vec![node(20_000, &[1_000; 2]), node(60_000, &[1_000; 2])],
                needs(18_000, 1_000),
                vec![1, 0],
            ),
            (
                "halves are not a whole",
                vec![node(50_000, &[500, 500]), node(50_000, &[1_000])],
                needs(1, 1_000),
                vec![1],
            ),
            (
                "one and a half",
                vec![node(9_000, &[1_000, 400]), node(9_000, &[1_000, 500])],
                needs(1, 1_500),
                vec![1],
            ),
            ("two wholes hold one and a half", vec![node(9_000, &[1_000, 1_000])], needs(1, 1_500), vec![0]),
            ("too little CPU", vec![node(3_999, &[1_000])], needs(4_000, 300), vec![]),
            ("too few devices", vec![node(90_000, &[1_000; 7])], needs(1, 8_000), vec![]),
            ("nobody is so large", vec![node(90_000, &[1_000; 16])], needs(1, u32::MAX), vec![]),
        ] {
            assert_eq!(order(members, needs), rows, "{name}");
        }
    }

    #[test]
    fn unknown_totals_forbid_nothing() {
        assert_eq!(order([Member::default().devices(&[1_000])], needs(4_000, 300)), [0]);
        assert_eq!(order([Member::default()], needs(4_000, 0)), [0]);
    }
}
