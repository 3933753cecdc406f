//! The tour: every strategy, a placement, a live swap, a bad policy.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pilothouse_core::eligible::Requirement;
use pilothouse_core::fleet::facts::mix;
use pilothouse_core::id::Label;
use pilothouse_core::member::{MemberKind, Resources};
use pilothouse_core::placement::Terms;
use pilothouse_core::policy::Family;
use pilothouse_core::slot::{Happening, SlotId};
use pilothouse_lab::world::SITES;
use pilothouse_node::control::Control;
use pilothouse_transport::service::placement::{PlaceQuery, PlacementPlane as _};
use pilothouse_transport::service::{Activation, ControlPlane as _, RouteQuery, Upload};

use crate::output::{data, note};

const STRATEGIES: [&str; 9] = [
    "round-robin",
    "least-loaded",
    "adaptive",
    "least-agents",
    "random",
    "weighted",
    "session-affinity",
    "capability-match",
    "regional",
];
const TASKS: u64 = 2_000;
const SWAPS: u64 = 300;
/// Decisions before the first swap, to compare with.
const QUIET: u64 = 200_000;

/// Runs the tour; `false` if something did not hold.
pub(super) async fn run(control: &Control) -> anyhow::Result<bool> {
    strategies(control)?;
    placement(control).await?;
    let swapped = tokio::task::block_in_place(|| swap_under_load(control))?;
    let quarantined = bad_policy(control).await?;
    Ok(swapped && quarantined)
}

fn requirement(source: &str, capability: Option<&str>) -> anyhow::Result<Requirement> {
    Ok(Requirement {
        kind: Some(MemberKind::Cluster),
        source_region: Some(Label::parse(source)?),
        capabilities: capability.map(Label::parse).transpose()?.into_iter().collect(),
        ..Requirement::default()
    })
}

fn source_of(task: u64) -> &'static str {
    let rank = usize::try_from(mix(task) % SITES.len() as u64).unwrap_or_default();
    SITES.get(rank).map_or("us-east1", |site| site.region)
}

fn strategies(control: &Control) -> anyhow::Result<()> {
    note(&format!("\n1. {TASKS} tasks from all regions through each strategy, each a WebAssembly component"));
    let progress = bar(TASKS * STRATEGIES.len() as u64);
    let mut table =
        table(&["STRATEGY", "MOST", "NEXT", "MEAN RTT ms", "MEAN COST", "MAX/MEAN", "WHY (first task)"]);
    for strategy in STRATEGIES {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let (mut rtt_ms, mut cost, mut why) = (0.0, 0.0, String::new());
        for task in 0..TASKS {
            let source = source_of(task);
            let query = RouteQuery {
                requirement: requirement(source, (task % 5 == 0).then_some("gpu"))?,
                strategy: Some(strategy.to_owned()),
                session: Some(format!("session-{}", mix(task) % 200)),
                alternatives: 0,
            };
            let decided = control.route(&query)?;
            control.outcome(&decided.member, true)?;
            let region = decided.region.unwrap_or_default();
            rtt_ms += distance_ms(control, source, &region);
            cost += SITES
                .iter()
                .find(|site| site.region == region)
                .map_or(0.0, |site| f64::from(site.cost_per_hour));
            if why.is_empty() {
                why = decided.reason;
            }
            *counts.entry(region).or_default() += 1;
            progress.inc(1);
        }
        let mut shares: Vec<_> = counts.into_iter().collect();
        shares.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let share = |rank: usize| {
            shares
                .get(rank)
                .map_or("-".to_owned(), |(region, count)| format!("{region} {}%", count * 100 / TASKS))
        };
        let tasks = f64::from(u32::try_from(TASKS).unwrap_or(u32::MAX));
        let most = shares.first().map_or(0, |(_, count)| *count);
        table.add_row([
            strategy.to_owned(),
            share(0),
            share(1),
            format!("{:.0}", rtt_ms / tasks),
            format!("{:.2}", cost / tasks),
            format!("{:.2}", f64::from(u32::try_from(most).unwrap_or(u32::MAX)) * 12.0 / tasks),
            why,
        ]);
    }
    progress.finish_and_clear();
    data(&table.to_string())
}

fn distance_ms(control: &Control, from: &str, to: &str) -> f64 {
    let (Ok(from), Ok(to)) = (Label::parse(from), Label::parse(to)) else { return 0.0 };
    f64::from(control.hub.fleet.load().geography.rtt_ms(&from, &to))
}

async fn placement(control: &Control) -> anyhow::Result<()> {
    note("\n2. Three workloads placed by multi-factor, with the parts of the score");
    let mut table = table(&["USERS IN", "NEEDS", "PLACED IN", "SCORE", "NEXT BEST", "ITS PARTS"]);
    for (source, cpu_millis) in [("europe-west4", 4_000), ("asia-south1", 500), ("us-west1", 16_000)] {
        let needs = Resources { cpu_millis, memory_mib: 8_192, ..Resources::default() };
        let requirement = Requirement { needs, ..requirement(source, None)? };
        let terms = Terms { requirement, ..Terms::default() };
        let query = PlaceQuery { terms, alternatives: 1, ..PlaceQuery::default() };
        let decided = control.place(query).await?.decided;
        let next = decided.alternatives.first();
        let parts = next.map(|next| {
            let parts = next.factors.iter().map(|(name, value)| format!("{name} {value:.2}"));
            parts.collect::<Vec<_>>().join(" ")
        });
        table.add_row([
            source.to_owned(),
            format!("{cpu_millis} mCPU"),
            decided.region.unwrap_or_default(),
            format!("{:.1}", decided.score),
            next.map(|next| format!("{} {:.1}", next.member, next.score)).unwrap_or_default(),
            parts.unwrap_or_default(),
        ]);
    }
    data(&table.to_string())
}

/// Two threads decide without a pause while the default slot is swapped again and again.
fn swap_under_load(control: &Control) -> anyhow::Result<bool> {
    note(&format!(
        "\n3. {SWAPS} live swaps between least-loaded and round-robin while two threads decide at full speed"
    ));
    let (stop, lost, asked) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let by_policy = std::sync::Mutex::new(BTreeMap::<String, u64>::new());
    let (quiet, during) = (std::sync::Mutex::new(Vec::new()), std::sync::Mutex::new(Vec::new()));
    let swapping = AtomicBool::new(false);
    let progress = bar(SWAPS);
    let query = RouteQuery {
        requirement: Requirement { kind: Some(MemberKind::Cluster), ..Requirement::default() },
        ..RouteQuery::default()
    };
    let handle = tokio::runtime::Handle::current();
    let refused = std::thread::scope(|scope| -> anyhow::Result<u64> {
        for _ in 0..2 {
            scope.spawn(|| {
                let (mut own, mut times) = (BTreeMap::<String, u64>::new(), [Vec::new(), Vec::new()]);
                while !stop.load(Ordering::Relaxed) {
                    asked.fetch_add(1, Ordering::Relaxed);
                    match control.route(&query) {
                        Ok(decided) => {
                            // The task is done at once; otherwise the federation would be full in a moment.
                            let _ = control.outcome(&decided.member, true);
                            let phase = usize::from(swapping.load(Ordering::Relaxed));
                            if let Some(times) = times.get_mut(phase) {
                                times.push(decided.took_ns);
                            }
                            *own.entry(decided.policy).or_default() += 1;
                        }
                        Err(_) => drop(lost.fetch_add(1, Ordering::Relaxed)),
                    }
                }
                let [before, after] = times;
                lock(&quiet).extend(before);
                lock(&during).extend(after);
                own.into_iter()
                    .for_each(|(policy, count)| *lock(&by_policy).entry(policy).or_default() += count);
            });
        }
        while asked.load(Ordering::Relaxed) < QUIET {
            std::thread::yield_now();
        }
        swapping.store(true, Ordering::Relaxed);
        let started = now();
        let mut refused = 0;
        for swap in 0..SWAPS {
            let policy = if swap % 2 == 0 { "round-robin" } else { "least-loaded" };
            refused += u64::from(handle.block_on(control.activate(activation(policy))).is_err());
            progress.inc(1);
        }
        let seconds = started.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        progress.finish_and_clear();
        note(&format!("   {SWAPS} swaps in {seconds:.2} s"));
        Ok(refused)
    })?;
    let lost = lost.into_inner();
    let mut table = table(&["DECISIONS", "LOST", "REFUSED SWAPS", "ANSWERED BY", "p99 BEFORE", "p99 DURING"]);
    let answered: Vec<String> =
        lock(&by_policy).iter().map(|(policy, count)| format!("{policy} {count}")).collect();
    table.add_row([
        asked.into_inner().to_string(),
        lost.to_string(),
        refused.to_string(),
        answered.join(", "),
        p99(&mut lock(&quiet)),
        p99(&mut lock(&during)),
    ]);
    data(&table.to_string())?;
    Ok(lost == 0 && refused == 0)
}

/// A policy that passes every check and then breaks.
async fn bad_policy(control: &Control) -> anyhow::Result<bool> {
    note("\n4. A policy that passes its checks and then traps on live traffic");
    let Some(bad) = pilothouse_policies::FAULTY.first() else {
        anyhow::bail!("the build has no faulty policy")
    };
    let loaded =
        control.load(Upload { bytes: bytes::Bytes::from_static(bad.bytes), ..Upload::default() }).await?;
    control.activate(activation(&loaded.digest.to_string())).await?;
    let query = RouteQuery {
        requirement: Requirement { kind: Some(MemberKind::Cluster), ..Requirement::default() },
        ..RouteQuery::default()
    };
    let (mut lost, mut links, mut asked) = (0, BTreeMap::<&str, u64>::new(), 0);
    let slot = SlotId::default_of(Family::Balancing);
    let quarantined =
        |control: &Control| control.slot(&slot).is_some_and(|slot| !slot.quarantined.is_empty());
    while !quarantined(control) && asked < 100_000 {
        for _ in 0..100 {
            asked += 1;
            match control.route(&query) {
                Ok(decided) => {
                    control.outcome(&decided.member, true)?;
                    *links.entry(decided.link).or_default() += 1;
                }
                Err(_) => lost += 1,
            }
        }
        tokio::task::yield_now().await;
    }
    let answered: Vec<String> = links.iter().map(|(link, count)| format!("{link} {count}")).collect();
    note(&format!("   {asked} decisions, {lost} lost; answered by: {}", answered.join(", ")));
    let mut table = table(&["WHAT", "POLICY", "BY", "DETAIL"]);
    for entry in control.history(&slot).unwrap_or_default().iter().rev().take(6).rev() {
        let (what, detail) = match &entry.what {
            Happening::Faulted { kind, detail, count } => {
                ("faulted", format!("{}: {detail} ({count} times)", kind.name()))
            }
            Happening::Quarantined { for_ms } => ("quarantined", format!("for {} s", for_ms / 1_000)),
            Happening::Restored => ("restored", "the last good one serves again".to_owned()),
            Happening::Activated => ("activated", String::new()),
            Happening::Requested => ("requested", String::new()),
            other => ("other", format!("{other:?}")),
        };
        let policy = entry.revision.as_ref().map_or("native", |revision| &revision.name).to_owned();
        table.add_row([what.to_owned(), policy, entry.by.clone().unwrap_or_default(), detail]);
    }
    data(&table.to_string())?;
    Ok(lost == 0 && quarantined(control))
}

pub(super) fn next_commands(address: SocketAddr) {
    let server = if address.port() == 8151 { String::new() } else { format!(" --server http://{address}") };
    note(&format!(
        "\nThe server keeps running; Ctrl-C ends it. Try in another terminal:\n\
         \x20 pilothouse{server} status\n\
         \x20 pilothouse{server} cluster list\n\
         \x20 pilothouse{server} route --region asia-south1 --strategy regional --alternatives 3\n\
         \x20 pilothouse{server} policy activate balancing/default weighted\n\
         \x20 pilothouse{server} policy history balancing/default\n\
         \x20 pilothouse{server} events --since 0\n\
         \x20 curl http://{address}/api/cluster/stats"
    ));
}

fn activation(policy: &str) -> Activation {
    Activation {
        slot: SlotId::default_of(Family::Balancing),
        policy: policy.to_owned(),
        settings: String::new(),
        force: false,
        signature: None,
        allow_downgrade: false,
        by: "demo".to_owned(),
    }
}

fn p99(times_ns: &mut [u64]) -> String {
    times_ns.sort_unstable();
    let rank = times_ns.len().saturating_sub(1) * 99 / 100;
    times_ns.get(rank).map_or("-".to_owned(), |ns| format!("{}.{} µs", ns / 1_000, ns / 100 % 10))
}

fn table(titles: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(titles);
    table
}

fn bar(length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("   {bar:40} {pos}/{len}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr()).with_style(style)
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the tour measures time")]
    Instant::now()
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
