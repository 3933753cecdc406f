//! Virtual time and the network: what happens next, and what becomes of a message.
//!
//! event + delay -> [`Stage::next`] in order of time; message -> [`Stage::send`] -> never, once or twice, soon or late
//!
//! Invariant: events of the same moment happen in the order in which they were scheduled; a link that is cut one way works the
//! other way. Who pauses and who crashes is the world's.

use std::cmp::Ordering;
use std::collections::{BTreeSet, BinaryHeap};

use crate::run::Run;

/// A party of the network; 0 is the host.
pub type Place = usize;

#[derive(Debug)]
struct Scheduled<E> {
    at_ms: u64,
    sequence: u64,
    event: E,
}

impl<E> PartialEq for Scheduled<E> {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl<E> Eq for Scheduled<E> {}

impl<E> PartialOrd for Scheduled<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Scheduled<E> {
    /// The earliest is the greatest: the heap hands out its greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at_ms, other.sequence).cmp(&(self.at_ms, self.sequence))
    }
}

/// Rates of the network's faults, of a thousand, and what is cut.
#[derive(Debug, Default)]
pub struct Network {
    /// Messages lost.
    pub loss: u64,
    /// Messages that arrive twice.
    pub duplicated: u64,
    /// Messages that are very late.
    pub late: u64,
    /// Cuts, at each change of the weather.
    pub cut: u64,
    cuts: BTreeSet<(Place, Place)>,
    places: usize,
}

impl Network {
    /// Faults drawn for this run.
    #[must_use]
    pub fn drawn(run: &mut Run, places: usize) -> Self {
        let random = &mut run.random;
        let (loss, duplicated) = (random.rate(300), random.rate(200));
        Self {
            loss,
            duplicated,
            late: random.rate(200),
            cut: random.rate(400),
            cuts: BTreeSet::new(),
            places,
        }
    }

    /// Whether nothing is ever lost.
    #[must_use]
    pub fn is_reliable(&self) -> bool {
        self.loss == 0 && self.cut == 0 && self.late == 0
    }

    /// From now on everything arrives.
    pub fn heal(&mut self) {
        *self = Self { places: self.places, ..Self::default() };
    }

    /// Some cuts end, some begin.
    pub fn weather(&mut self, run: &mut Run) {
        let random = &mut run.random;
        self.cuts.retain(|_| !random.chance(300));
        if !run.random.chance(self.cut) {
            return;
        }
        let (one, other) = (run.random.index(self.places), run.random.index(self.places));
        match run.random.below(4) {
            0 => {
                run.count("network: link cut one way");
                self.cuts.insert((one, other));
            }
            1 => {
                run.count("network: link cut");
                self.cuts.extend([(one, other), (other, one)]);
            }
            2 => {
                run.count("network: party isolated");
                self.cuts.extend((0..self.places).flat_map(|place| [(one, place), (place, one)]));
            }
            _ => {
                run.count("network: split in two");
                let side = |place: Place| place < one;
                let links = (0..self.places).flat_map(|from| (0..self.places).map(move |to| (from, to)));
                self.cuts.extend(links.filter(|(from, to)| side(*from) != side(*to)));
            }
        }
        run.note(format_args!("cuts: {:?}", self.cuts));
    }

    /// Delays of the copies of a message that arrive, ms.
    fn deliveries(&self, run: &mut Run, from: Place, to: Place) -> [Option<u64>; 2] {
        if self.cuts.contains(&(from, to)) {
            run.count("network: message cut off");
            return [None, None];
        }
        if run.fires("network: message lost", self.loss) {
            return [None, None];
        }
        let delay = |run: &mut Run| {
            let late = run.fires("network: message late", self.late);
            let most = if late { 3_000 } else { 15 };
            Some(run.random.between(1, most))
        };
        let first = delay(run);
        let second = if run.fires("network: message doubled", self.duplicated) { delay(run) } else { None };
        [first, second]
    }
}

/// What happens when.
#[derive(Debug)]
pub struct Stage<E> {
    queue: BinaryHeap<Scheduled<E>>,
    sequence: u64,
    /// How messages travel.
    pub network: Network,
}

impl<E: Clone> Stage<E> {
    /// Nothing is scheduled yet.
    #[must_use]
    pub fn new(network: Network) -> Self {
        Self { queue: BinaryHeap::new(), sequence: 0, network }
    }

    /// Schedules an event.
    pub fn after(&mut self, run: &Run, delay_ms: u64, event: E) {
        self.sequence += 1;
        self.queue.push(Scheduled { at_ms: run.now_ms + delay_ms, sequence: self.sequence, event });
    }

    /// Sends a message that arrives as an event, or does not.
    pub fn send(&mut self, run: &mut Run, from: Place, to: Place, event: &E) {
        for delay_ms in self.network.deliveries(run, from, to).into_iter().flatten() {
            self.after(run, delay_ms, event.clone());
        }
    }

    /// The next event; time goes on to it.
    pub fn next(&mut self, run: &mut Run) -> Option<E> {
        let next = self.queue.pop()?;
        run.now_ms = run.now_ms.max(next.at_ms);
        Some(next.event)
    }
}
