//! Prometheus text, made when it is asked for from the counts that are kept anyway.
//!
//! Invariant: label values come from slots, links, fault kinds and states: sets that clients cannot grow.

use std::fmt::Write as _;

use pilothouse_core::member::MemberKind;

use crate::failover::Failovers;
use crate::hub::Hub;
use crate::slots::Slots;
use crate::slots::live::TIME_BOUNDS_NS;

/// All metrics.
pub(crate) fn text(hub: &Hub, slots: &Slots, failovers: &Failovers) -> String {
    let mut out = String::new();
    members(&mut out, hub);
    family(&mut out, "pilothouse_fleet_epoch", "gauge", "Version of the fleet snapshot.");
    let _ = writeln!(out, "pilothouse_fleet_epoch {}", hub.fleet.load().epoch);
    family(&mut out, "pilothouse_assignments", "gauge", "Agents assigned.");
    let _ = writeln!(out, "pilothouse_assignments {}", hub.ledger().iter().len());
    family(
        &mut out,
        "pilothouse_decisions_total",
        "counter",
        "Decisions by slot and link of the fallback chain.",
    );
    for slot in slots.all_live() {
        for (link, count) in slot.answers() {
            let _ = writeln!(
                out,
                "pilothouse_decisions_total{{slot=\"{}\",link=\"{}\"}} {count}",
                slot.id,
                link.name()
            );
        }
    }
    decision_times(&mut out, slots);
    policies(&mut out, slots);
    failures(&mut out, hub, failovers);
    out
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn members(out: &mut String, hub: &Hub) {
    family(out, "pilothouse_members", "gauge", "Members by kind and health.");
    for (kind, name) in [(MemberKind::Cluster, "cluster"), (MemberKind::Node, "node")] {
        let stats = hub.registry().stats(kind);
        for (state, count) in [("all", stats.members), ("online", stats.online), ("healthy", stats.healthy)] {
            let _ = writeln!(out, "pilothouse_members{{kind=\"{name}\",state=\"{state}\"}} {count}");
        }
    }
}

fn failures(out: &mut String, hub: &Hub, failovers: &Failovers) {
    let (open, displaced, brakes) = failovers.counts();
    let fired = failovers.faults_fired(hub.clock.now());
    for (name, kind, help, value) in [
        ("pilothouse_failovers_open", "gauge", "Failovers under way.", open as u64),
        ("pilothouse_displaced_workloads", "gauge", "Workloads away from home.", displaced as u64),
        ("pilothouse_brakes_on", "gauge", "Brakes on declaring members dead.", brakes as u64),
        ("pilothouse_chaos_fired_total", "counter", "Messages hit by faults on purpose.", fired),
    ] {
        family(out, name, kind, help);
        let _ = writeln!(out, "{name} {value}");
    }
}

fn decision_times(out: &mut String, slots: &Slots) {
    family(out, "pilothouse_decision_seconds", "histogram", "Time from request to decision.");
    for slot in slots.all_live() {
        let (counts, sum_ns) = slot.times();
        let mut below = 0;
        #[expect(clippy::cast_precision_loss, reason = "seconds for a chart")]
        for (index, count) in counts.iter().enumerate() {
            below += count;
            let bound =
                TIME_BOUNDS_NS.get(index).map_or("+Inf".to_owned(), |&ns| (ns as f64 / 1e9).to_string());
            let _ = writeln!(
                out,
                "pilothouse_decision_seconds_bucket{{slot=\"{}\",le=\"{bound}\"}} {below}",
                slot.id
            );
        }
        #[expect(clippy::cast_precision_loss, reason = "seconds for a chart")]
        let sum = sum_ns as f64 / 1e9;
        let _ = writeln!(out, "pilothouse_decision_seconds_sum{{slot=\"{}\"}} {sum}", slot.id);
        let _ = writeln!(out, "pilothouse_decision_seconds_count{{slot=\"{}\"}} {below}", slot.id);
    }
}

fn policies(out: &mut String, slots: &Slots) {
    let infos: Vec<_> = slots.all_live().iter().filter_map(|slot| slots.info(&slot.id)).collect();
    family(out, "pilothouse_policy_faults_total", "counter", "Faults of the active revision by kind.");
    for info in &infos {
        for (kind, count) in &info.faults {
            let _ = writeln!(
                out,
                "pilothouse_policy_faults_total{{slot=\"{}\",kind=\"{}\"}} {count}",
                info.id,
                kind.name()
            );
        }
    }
    for (name, help, value) in [
        ("pilothouse_slot_generation", "Exchanges of the slot's active revision.", 0),
        ("pilothouse_policy_fuel_total", "Fuel burned by the active revision.", 1),
        ("pilothouse_policy_memory_bytes", "Largest linear memory of the active revision.", 2),
        ("pilothouse_policy_instances_total", "Instances made for the active revision.", 3),
    ] {
        family(out, name, if value == 2 { "gauge" } else { "counter" }, help);
        for info in &infos {
            let usage = info.usage;
            let number =
                [info.generation, usage.fuel, usage.memory_bytes, usage.instances].get(value).copied();
            let _ = writeln!(out, "{name}{{slot=\"{}\"}} {}", info.id, number.unwrap_or_default());
        }
    }
}
