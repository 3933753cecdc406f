//! `policy bench`: how long a decision takes and how good it is, against another policy of its kind.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use pilothouse_core::policy::Family;
use pilothouse_engine::LoadedPolicy;
use pilothouse_node::config::Config;
use serde_json::{Value, json};

use super::build;
use super::engine::{self, Engine};
use super::measure::{self, Taken};
use super::project::Project;
use crate::args::author::BenchArgs;
use crate::commands::lab;
use crate::files;
use crate::output::Report;

pub(super) fn run(args: &BenchArgs) -> anyhow::Result<Report> {
    let file = if args.policy.is_dir() {
        let project = Project::open(&args.policy)?;
        build::build(&project, true)?;
        project.component()
    } else {
        args.policy.clone()
    };
    let ours = load(&file)?;
    let family = ours.family();
    let against = args.against.clone().unwrap_or_else(|| default_of(family));
    let theirs = match pilothouse_policies::find(family.name(), &against) {
        Some(policy) => Arc::new(engine::load(policy.bytes, None)?.loaded),
        None => load(Path::new(&against))?,
    };
    let speed = [(file.display().to_string(), &ours), (against.clone(), &theirs)]
        .into_iter()
        .flat_map(|(label, loaded)| match measure::all(loaded) {
            Ok(taken) => taken.into_iter().map(|taken| row(&label, Ok(taken))).collect::<Vec<_>>(),
            Err(error) => vec![row(&label, Err(error))],
        })
        .collect::<Vec<Value>>();
    let columns = [
        ("POLICY", "policy"),
        ("MEMBERS", "members"),
        ("NS A DECISION", "ns"),
        ("FUEL", "fuel"),
        ("MEMORY", "memory_bytes"),
        ("PROBLEM", "problem"),
    ];
    let speed_json = json!({ "speed": speed });
    let speed = speed_json.get("speed").cloned().unwrap_or_default();
    let table = Report::list(speed_json, "speed", &columns).into_text();
    let other = if pilothouse_policies::find(family.name(), &against).is_some() {
        format!("{}/{against}", family.name())
    } else {
        against
    };
    let (quality, compared) = lab::against(&file.display().to_string(), &other, args.seeds)?.into_parts();
    let json = json!({ "speed": speed, "quality": quality });
    Ok(Report::new(json, format!("{table}\n\n{compared}")))
}

fn row(label: &str, taken: anyhow::Result<Taken>) -> Value {
    match taken {
        Ok(Taken { members, ns, fuel, memory_bytes }) => json!({
            "policy": label, "members": members, "ns": ns, "fuel": fuel, "memory_bytes": memory_bytes,
        }),
        Err(error) => json!({ "policy": label, "problem": format!("{error:#}") }),
    }
}

fn load(file: &Path) -> anyhow::Result<Arc<LoadedPolicy>> {
    let bytes = files::component(file)?;
    let Engine { loaded, .. } =
        engine::load(&bytes, None).with_context(|| format!("{} would be refused", file.display()))?;
    Ok(Arc::new(loaded))
}

/// The policy that a server starts with.
fn default_of(family: Family) -> String {
    let Config { balancing, placement, routing, scaling, .. } = Config::default();
    let algorithm = match family {
        Family::Balancing => balancing.algorithm,
        Family::Placement => placement.algorithm,
        Family::Routing => routing.algorithm,
        Family::Scaling => scaling.algorithm,
    };
    algorithm.replace('_', "-")
}
