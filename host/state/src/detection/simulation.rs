//! A fleet on virtual time: how often the detector is wrong, and how long it takes to notice a real death.
//!
//! [`NODES`] members beat every 100 to 200 ms over links that lose messages and delay the others: a base of up to
//! 80 ms, an exponential tail, and now and then a spike. Every 20 s one dies and comes back five seconds later. The
//! large run: `PILOTHOUSE_NODE_HOURS=10000 cargo test -p pilothouse-state --lib simulation -- --nocapture`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use pilothouse_core::fleet::facts::mix;
use pilothouse_core::id::{Label, MemberId};
use pilothouse_core::time::Now;

use super::{Command, Detection, Event, Rules};

/// Members of the fleet.
const NODES: usize = 50;
/// Time between deaths, and until the dead come back, ms.
const DEATH_EVERY_MS: u64 = 20_000;
const REVIVED_AFTER_MS: u64 = 5_000;
/// Virtual time before the first death, ms.
const CALM_MS: u64 = 30_000;

/// How a network loses messages.
#[derive(Debug, Clone, Copy)]
enum Loss {
    /// Each with this chance of a thousand, independent of all others.
    Independent(u64),
    /// Outages of a link: mean time up and mean time down, ms.
    Bursts { up_ms: f64, down_ms: f64 },
}

/// What happens next. A node is its place in the fleet; a run of it is its incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Tick,
    Send { node: usize, incarnation: u64, sequence: u64 },
    Beat { node: usize, incarnation: u64, sequence: u64 },
    Asked { node: usize, probe: u64, via: usize },
    Answer { node: usize, incarnation: u64, probe: u64 },
    Death,
    Revival { node: usize },
}

struct Node {
    id: MemberId,
    interval_ms: u64,
    base_ms: u64,
    incarnation: u64,
    died_at: Option<u64>,
    noticed: bool,
    /// Whether the link to it works, and until when.
    link: (bool, u64),
}

struct Simulation {
    detection: Detection,
    nodes: Vec<Node>,
    queue: BinaryHeap<Reverse<(u64, u64, Happening)>>,
    loss: Loss,
    /// Members through which probes are repeated.
    indirect: usize,
    random: u64,
    scheduled: u64,
    now: u64,
    figures: Figures,
}

#[derive(Debug, Default)]
struct Figures {
    heartbeats: u64,
    lost: u64,
    suspicions: u64,
    false_deaths: u64,
    missed: u64,
    detected_ms: Vec<u64>,
}

impl Simulation {
    fn new(loss: Loss, indirect: usize, seed: u64) -> Self {
        let mut simulation = Self {
            detection: Detection::new(Rules::default(), None),
            nodes: Vec::new(),
            queue: BinaryHeap::new(),
            loss,
            indirect,
            random: seed,
            scheduled: 0,
            now: 1_000,
            figures: Figures::default(),
        };
        for node in 0..NODES {
            let (interval_ms, base_ms) = (100 + simulation.below(101), 1 + simulation.below(80));
            let id = MemberId::parse(&format!("node-{node}")).unwrap();
            let region = Label::parse(["eu", "us", "ap"][node % 3]).ok();
            simulation.tell(Event::Joined { member: id.clone(), region, interval_ms, incarnation: 1 });
            let link = (true, 0);
            simulation.nodes.push(Node {
                id,
                interval_ms,
                base_ms,
                incarnation: 1,
                died_at: None,
                noticed: false,
                link,
            });
            simulation.after(node as u64, Happening::Send { node, incarnation: 1, sequence: 1 });
        }
        simulation.after(0, Happening::Tick);
        simulation.after(CALM_MS, Happening::Death);
        simulation
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.random) % bound
    }

    /// Exponentially distributed with this mean.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a test"
    )]
    fn exponential(&mut self, mean: f64) -> u64 {
        (-mean * ((self.below(1 << 30) + 1) as f64 / (1_u64 << 30) as f64).ln()) as u64
    }

    fn after(&mut self, delay_ms: u64, happening: Happening) {
        self.scheduled += 1;
        self.queue.push(Reverse((self.now + delay_ms, self.scheduled, happening)));
    }

    /// Sends over the link of a node; the message may be lost or late.
    fn send(&mut self, node: usize, happening: Happening) -> bool {
        let lost = match self.loss {
            Loss::Independent(of_thousand) => self.below(1_000) < of_thousand,
            Loss::Bursts { up_ms, down_ms } => {
                while self.nodes[node].link.1 <= self.now {
                    let (works, until) = self.nodes[node].link;
                    let lasts = self.exponential(if works { down_ms } else { up_ms }) + 1;
                    self.nodes[node].link = (!works, until.max(self.now) + lasts);
                }
                !self.nodes[node].link.0
            }
        };
        if !lost {
            let spike = if self.below(1_000) == 0 { self.below(150) } else { 0 };
            let delay = self.nodes[node].base_ms + self.exponential(2.0) + spike;
            self.after(delay, happening);
        }
        lost
    }

    fn tell(&mut self, event: Event) {
        for command in self.detection.step(event, Now(self.now)) {
            match command {
                Command::Probe { member, probe } => {
                    let node = self.nodes.iter().position(|node| node.id == member).unwrap();
                    self.send(node, Happening::Asked { node, probe, via: node });
                    for _ in 0..self.indirect {
                        let via = usize::try_from(self.below(NODES as u64)).unwrap();
                        self.send(via, Happening::Asked { node, probe, via });
                    }
                }
                Command::Suspected { .. } => self.figures.suspicions += 1,
                Command::Dead { member, .. } => {
                    let now = self.now;
                    let node = self.nodes.iter_mut().find(|node| node.id == member).unwrap();
                    node.noticed = true;
                    match node.died_at {
                        Some(died_at) => self.figures.detected_ms.push(now - died_at),
                        None => self.figures.false_deaths += 1,
                    }
                }
                _ => {}
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Tick => {
                self.tell(Event::Tick);
                self.after(20, Happening::Tick);
            }
            Happening::Send { node, incarnation, sequence } => {
                if self.nodes[node].died_at.is_some() || self.nodes[node].incarnation != incarnation {
                    return;
                }
                self.figures.heartbeats += 1;
                let lost = self.send(node, Happening::Beat { node, incarnation, sequence });
                self.figures.lost += u64::from(lost);
                let interval_ms = self.nodes[node].interval_ms;
                let jittered = interval_ms - interval_ms / 10 + self.below(interval_ms / 5 + 1);
                self.after(jittered, Happening::Send { node, incarnation, sequence: sequence + 1 });
            }
            Happening::Beat { node, incarnation, sequence } => {
                let member = self.nodes[node].id.clone();
                self.tell(Event::Heartbeat { member, incarnation, sequence });
            }
            Happening::Asked { node, probe, via } if self.nodes[via].died_at.is_none() => {
                let incarnation = self.nodes[node].incarnation;
                if self.nodes[node].died_at.is_none() {
                    // Through another member the question and the answer take one more leg each.
                    let legs = if via == node { 1 } else { 2 };
                    let answer = Happening::Answer { node, incarnation, probe };
                    let arrives = (1..legs).all(|_| self.below(1_000) >= 50);
                    let _lost = arrives && self.send(via, answer);
                }
            }
            Happening::Asked { .. } => {}
            Happening::Answer { node, incarnation, probe } => {
                let member = self.nodes[node].id.clone();
                self.tell(Event::Answered { member, incarnation, probe });
            }
            Happening::Death => {
                let node = usize::try_from(self.below(NODES as u64)).unwrap();
                (self.nodes[node].died_at, self.nodes[node].noticed) = (Some(self.now), false);
                self.after(REVIVED_AFTER_MS, Happening::Revival { node });
                self.after(DEATH_EVERY_MS, Happening::Death);
            }
            Happening::Revival { node } => {
                self.figures.missed += u64::from(!self.nodes[node].noticed);
                self.nodes[node].incarnation += 1;
                self.nodes[node].died_at = None;
                let incarnation = self.nodes[node].incarnation;
                self.after(0, Happening::Send { node, incarnation, sequence: 1 });
            }
        }
    }

    fn run(mut self, node_hours: u64) -> Figures {
        let end = self.now + node_hours * 3_600_000 / NODES as u64;
        while let Some(Reverse((at, _, happening))) = self.queue.pop()
            && at < end
        {
            self.now = at;
            self.happen(happening);
        }
        self.figures.detected_ms.sort_unstable();
        self.figures
    }
}

fn quantile(sorted: &[u64], of_thousand: usize) -> u64 {
    sorted[(sorted.len() - 1) * of_thousand / 1_000]
}

#[allow(clippy::print_stdout, reason = "the figures are what the test is for")]
fn report(name: &str, node_hours: u64, figures: &Figures) {
    let Figures { heartbeats, lost, suspicions, false_deaths, missed, detected_ms } = figures;
    println!(
        "{name}: {node_hours} node-hours, {heartbeats} heartbeats, {lost} lost, {suspicions} suspicions, \
         {false_deaths} false deaths, {} real deaths ({missed} missed) noticed after p50 {} ms, p99 {} ms, most {} ms",
        detected_ms.len(),
        quantile(detected_ms, 500),
        quantile(detected_ms, 990),
        quantile(detected_ms, 1_000),
    );
}

fn node_hours() -> u64 {
    std::env::var("PILOTHOUSE_NODE_HOURS").ok().and_then(|text| text.parse().ok()).unwrap_or(100)
}

#[test]
fn at_five_per_cent_loss_nobody_is_wrongly_dead_and_real_deaths_are_noticed_within_a_second() {
    let node_hours = node_hours();
    let figures = Simulation::new(Loss::Independent(50), 0, 1).run(node_hours);
    report("independent loss, direct probes only", node_hours, &figures);
    assert!(figures.lost * 22 > figures.heartbeats && figures.suspicions > 0, "the fault was there");
    assert_eq!((figures.false_deaths, figures.missed), (0, 0));
    assert!(figures.detected_ms.len() as u64 >= node_hours * 3, "enough real deaths");
    assert!(quantile(&figures.detected_ms, 990) <= 1_000);
}

#[test]
fn with_outages_of_single_links_other_ways_to_a_member_keep_it_alive() {
    let node_hours = node_hours() / 4;
    let figures = Simulation::new(Loss::Bursts { up_ms: 3_800.0, down_ms: 200.0 }, 3, 2).run(node_hours);
    report("outages of links, probes through three others", node_hours, &figures);
    assert!(figures.lost * 25 > figures.heartbeats && figures.suspicions > 0, "the fault was there");
    assert_eq!((figures.false_deaths, figures.missed), (0, 0));
    // Outages widen the deviation, and with it the silence that is usual.
    assert!(quantile(&figures.detected_ms, 990) <= 1_500);
}
