//! `lab scenarios|run|compare|leaderboard`: which policy is better, and why.
//!
//! scenario files + components -> [`scenarios`], [`entries`] -> [`contest`] -> [`tables`], JSON, HTML
//!
//! Invariant: what is printed follows from scenario, data, components and seeds; the number of threads and the speed of the
//! machine do not show. The lab reads no file: [`data`] does.

mod again;
mod contest;
mod data;
mod entries;
mod scenarios;
mod tables;

use crate::args::lab::{CompareArgs, LabCommand, LeaderboardArgs, RunArgs};
use crate::output::{Output, data as print};
use contest::{Asked, Contest};
use entries::Entries;
use pilothouse_lab::scenario::Scenario;

/// A name that leads nowhere.
#[derive(Debug, thiserror::Error)]
#[error("there is no {what} `{name}`; {hint}")]
pub(crate) struct NotFound {
    pub(crate) what: &'static str,
    pub(crate) name: String,
    pub(crate) hint: String,
}

pub(super) fn run(command: LabCommand, output: Output) -> anyhow::Result<()> {
    match command {
        LabCommand::Scenarios(args) => match &args.show {
            Some(name) => print(scenarios::text(name)?.trim_end()),
            None => scenarios::list(args.data.folder.as_deref())?.print(output),
        },
        LabCommand::Run(args) => judge(&args, output),
        LabCommand::Compare(args) => compare(&args, output),
        LabCommand::Leaderboard(args) => leaderboard(&args, output),
    }
}

fn judge(args: &RunArgs, output: Output) -> anyhow::Result<()> {
    let settings = args.config.as_deref().map(entries::settings).transpose()?;
    let named = scenarios::named(&args.scenario)?;
    let mut entries = Entries::new()?;
    for policy in &args.policies {
        entries.add(policy, family_of(&named), settings.as_deref())?;
    }
    let question = match args.policies.as_slice() {
        [only] => format!("How good is {only}?"),
        several => format!("Which is best: {}?", several.join(", ")),
    };
    let again = again::run(args);
    let asked = Asked { question: &question, again: &again, pair: None, is_brief: false };
    Contest::hold(of_one_family(named, &entries)?, &entries, &args.common)?.finish(
        asked,
        &args.common,
        output,
    )
}

fn compare(args: &CompareArgs, output: Output) -> anyhow::Result<()> {
    let named = scenarios::named(&args.scenario)?;
    let mut entries = Entries::new()?;
    for policy in [&args.first, &args.second] {
        entries.add(policy, family_of(&named), None)?;
    }
    let question = format!("Is {} better than {}?", args.first, args.second);
    let labels = entries.labels();
    let pair = labels.first().zip(labels.get(1)).map(|(first, second)| (*first, *second));
    let again = again::compare(args);
    let asked = Asked { question: &question, again: &again, pair, is_brief: false };
    Contest::hold(of_one_family(named, &entries)?, &entries, &args.common)?.finish(
        asked,
        &args.common,
        output,
    )
}

fn leaderboard(args: &LeaderboardArgs, output: Output) -> anyhow::Result<()> {
    let known = scenarios::families();
    for family in &args.family {
        if !known.contains(&family.as_str()) {
            let hint = format!("the lab judges {}", known.join(", "));
            return Err(NotFound { what: "family", name: family.clone(), hint }.into());
        }
    }
    let families: Vec<&str> = known
        .into_iter()
        .filter(|known| args.family.is_empty() || args.family.iter().any(|family| family == known))
        .collect();
    let mut entries = Entries::new()?;
    for family in &families {
        entries.add_family(family)?;
    }
    for policy in &args.with {
        entries.add(policy, None, None)?;
    }
    let again = again::leaderboard(args);
    let question = "Which policy is best, and where?";
    let asked = Asked { question, again: &again, pair: None, is_brief: true };
    Contest::hold(scenarios::of_families(&families)?, &entries, &args.common)?.finish(
        asked,
        &args.common,
        output,
    )
}

/// The family of scenarios that were named, to tell policies of one name apart.
fn family_of(scenarios: &[Scenario]) -> Option<&'static str> {
    scenarios.first().map(|scenario| scenario.family().name())
}

/// The scenarios that were named, or all of the policies' family; policies and scenarios must be of one.
fn of_one_family(named: Vec<Scenario>, entries: &Entries) -> anyhow::Result<Vec<Scenario>> {
    let family = entries.family()?;
    for scenario in &named {
        let wanted = scenario.family().name();
        anyhow::ensure!(
            wanted == family,
            "the scenario `{}` judges {wanted} policies, but a {family} policy was given",
            scenario.name
        );
    }
    if named.is_empty() { scenarios::of_families(&[family]) } else { Ok(named) }
}
