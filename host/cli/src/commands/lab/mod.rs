//! `lab run|compare|leaderboard|scenarios`: which policy is better, and why.
//!
//! scenario files + components -> [`scenarios`], [`entries`] -> `pilothouse_lab::contest` -> [`tables`], JSON, HTML
//!
//! Invariant: what is printed follows from scenario, data, components and seeds; the number of threads and the speed of the
//! machine do not show. The lab reads no file: [`data`] does.

mod data;
mod entries;
mod scenarios;
mod tables;

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use pilothouse_lab::contest::{self, Judged, Seeds, Standing};
use pilothouse_lab::report::{Document, findings};
use pilothouse_lab::scenario::Prepared;
use serde_json::json;

use crate::args::lab::{CommonArgs, CompareArgs, LabCommand, LeaderboardArgs, RunArgs};
use crate::output::{Output, Report, data as print, note};
use entries::Entries;

/// A name that leads nowhere.
#[derive(Debug, thiserror::Error)]
#[error("there is no {what} `{name}`; {hint}")]
pub(crate) struct NotFound {
    what: &'static str,
    name: String,
    hint: String,
}

pub(super) fn run(command: LabCommand, output: Output) -> anyhow::Result<()> {
    match command {
        LabCommand::Run(args) => run_one(&args, output),
        LabCommand::Compare(args) => compare(&args, output),
        LabCommand::Leaderboard(args) => leaderboard(&args, output),
        LabCommand::Scenarios { show: Some(name) } => print(scenarios::text(&name)?.trim_end()),
        LabCommand::Scenarios { show: None } => scenarios::list()?.print(output),
    }
}

fn run_one(args: &RunArgs, output: Output) -> anyhow::Result<()> {
    let scenario = scenarios::load(&args.scenario)?;
    let family = scenario.family().name();
    let settings = args.config.as_deref().map(entries::settings).transpose()?;
    let mut entries = Entries::new()?;
    for policy in &args.policy {
        entries.add(policy, settings.as_deref())?;
    }
    for file in &args.wasm {
        entries.add_file(file, settings.as_deref())?;
    }
    if entries.is_empty() {
        anyhow::ensure!(
            settings.is_none(),
            "--config belongs to one policy; name it with --policy or --wasm"
        );
        entries.add_family(family)?;
    }
    entries.must_be(family)?;
    let contest = Contest::hold(vec![scenario], &entries, &args.common)?;
    contest.finish(
        &format!("How good are policies in the scenario {}?", args.scenario),
        None,
        &args.common,
        output,
    )
}

fn compare(args: &CompareArgs, output: Output) -> anyhow::Result<()> {
    let mut entries = Entries::new()?;
    entries.add(&args.first, None)?;
    entries.add(&args.second, None)?;
    let family = entries.family()?;
    let scenarios = if args.scenario.is_empty() {
        scenarios::of_families(&[family], args.full)?
    } else {
        args.scenario.iter().map(|name| scenarios::load(name)).collect::<anyhow::Result<_>>()?
    };
    for scenario in &scenarios {
        let wanted = scenario.family().name();
        anyhow::ensure!(
            wanted == family,
            "the scenario `{}` judges {wanted} policies, these are of the family {family}",
            scenario.name
        );
    }
    let contest = Contest::hold(scenarios, &entries, &args.common)?;
    let labels = entries.labels();
    let pair = labels.first().zip(labels.get(1)).map(|(first, second)| (*first, *second));
    contest.finish(&format!("Is {} better than {}?", args.first, args.second), pair, &args.common, output)
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
    let contest = Contest::hold(scenarios::of_families(&families, args.full)?, &entries, &args.common)?;
    contest.finish("Which default policy is best, and where?", None, &args.common, output)
}

/// A contest and what it came to.
struct Contest {
    judged: Vec<Judged>,
    standings: Vec<Standing>,
    warnings: Vec<String>,
}

impl Contest {
    fn hold(
        scenarios: Vec<pilothouse_lab::scenario::Scenario>,
        entries: &Entries,
        common: &CommonArgs,
    ) -> anyhow::Result<Self> {
        let prepared = scenarios::prepare(scenarios, common.data.as_deref())?;
        let warning = |prepared: &Prepared| {
            let warning = prepared.origin.warning()?;
            Some(format!("{}: {warning}", prepared.scenario.name))
        };
        let warnings: Vec<String> = prepared.iter().filter_map(warning).collect();
        warnings.iter().for_each(|warning| note(&format!("warning: {warning}")));
        let contenders = |prepared: &Prepared| entries.contenders(prepared.scenario.family().name());
        let seeds = Seeds { first: common.first_seed, count: common.seeds };
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let progress = Progress::new();
        let judged =
            contest::hold(&prepared, &contenders, seeds, common.threads.unwrap_or(cores), &|done, all| {
                progress.show(done, all);
            });
        progress.bar.finish_and_clear();
        let families = scenarios::families();
        let standings = families.into_iter().flat_map(|family| contest::standings(family, &judged)).collect();
        Ok(Self { judged, standings, warnings })
    }

    /// Prints it and writes the report.
    fn finish(
        &self,
        question: &str,
        pair: Option<(&str, &str)>,
        common: &CommonArgs,
        output: Output,
    ) -> anyhow::Result<()> {
        if let Some(file) = &common.report {
            let document = Document {
                question,
                command: &command_line(),
                version: env!("CARGO_PKG_VERSION"),
                judged: &self.judged,
                standings: &self.standings,
                pair,
            };
            std::fs::write(file, document.html()?)
                .with_context(|| format!("cannot write {}", file.display()))?;
            note(&format!("wrote {}", file.display()));
        }
        let comparison = pair.map(|(first, second)| {
            let differences: Vec<_> = self
                .judged
                .iter()
                .filter_map(|judged| Some((judged, judged.compare(first, second)?)))
                .collect();
            (first, second, differences)
        });
        let mut json = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "question": question,
            "warnings": self.warnings,
            "standings": self.standings,
            "scenarios": self.judged,
        });
        let mut text = tables::all(&self.judged, &self.standings);
        if let Some((first, second, differences)) = comparison {
            let shown: Vec<_> = differences.iter().map(|(_, difference)| *difference).collect();
            let verdict = findings::of_comparison(first, second, &shown);
            json["comparison"] = json!({
                "first": first,
                "second": second,
                "verdict": verdict,
                "scenarios": differences.iter().map(|(judged, difference)| json!({
                    "scenario": judged.scenario,
                    "metric": judged.judged_by,
                    "difference": difference,
                })).collect::<Vec<_>>(),
            });
            text = format!("{}\n{verdict}", tables::comparison(first, second, &differences));
        }
        for warning in &self.warnings {
            text.push_str(&format!("\nWARNING {warning}"));
        }
        Report::new(json, text).print(output)
    }
}

/// The command as it can be given again.
fn command_line() -> String {
    let quoted = |argument: String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@".contains(c);
        if !argument.is_empty() && argument.chars().all(plain) {
            argument
        } else {
            format!("'{}'", argument.replace('\'', r"'\''"))
        }
    };
    let arguments =
        std::env::args_os().skip(1).map(|argument| quoted(argument.to_string_lossy().into_owned()));
    std::iter::once("pilothouse".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// A progress bar on a terminal, nothing elsewhere.
struct Progress {
    bar: ProgressBar,
    shown: AtomicU64,
}

impl Progress {
    fn new() -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) =
            ProgressStyle::with_template("{elapsed_precise} {bar:40} {pos}/{len} runs, about {eta} left")
        {
            bar.set_style(style);
        }
        Self { bar, shown: AtomicU64::new(0) }
    }

    fn show(&self, done: usize, all: usize) {
        // Threads finish in any order; the bar only moves forward.
        let done = self.shown.fetch_max(done as u64, Ordering::Relaxed).max(done as u64);
        self.bar.set_length(all as u64);
        self.bar.set_position(done);
    }
}
