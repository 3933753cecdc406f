//! A contest from the command line: data read, progress shown, results printed and written.
//!
//! Invariant: a scenario without its recording is left out and named, never an end of the others; if nothing is left to
//! run, the command fails.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use pilothouse_lab::contest::{self, Judged, Seeds, Standing};
use pilothouse_lab::report::{Document, findings};
use pilothouse_lab::scenario::{Prepared, Scenario, Skipped};
use serde_json::json;

use super::entries::Entries;
use super::{scenarios, tables};
use crate::args::lab::CommonArgs;
use crate::output::{Output, Report, note};

/// What somebody wanted to know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// As a question.
    pub(super) question: &'a str,
    /// The command that makes it again.
    pub(super) again: &'a str,
    /// Two policies to compare, by label.
    pub(super) pair: Option<(&'a str, &'a str)>,
    /// Whether a sentence for each scenario is enough on a terminal.
    pub(super) is_brief: bool,
}

/// A contest and what it came to.
pub(super) struct Contest {
    judged: Vec<Judged>,
    skipped: Vec<Skipped>,
    standings: Vec<Standing>,
}

impl Contest {
    pub(super) fn hold(
        scenarios: Vec<Scenario>,
        entries: &Entries,
        common: &CommonArgs,
    ) -> anyhow::Result<Self> {
        let (prepared, skipped) = scenarios::prepare(&scenarios, common.data.folder.as_deref())?;
        let remedies: Vec<String> =
            skipped.iter().map(|skipped| format!("{}: {}", skipped.scenario, skipped.remedy())).collect();
        anyhow::ensure!(!prepared.is_empty(), "there is nothing to run: {}", remedies.join("; "));
        let contenders = |prepared: &Prepared| entries.contenders(prepared.scenario.family().name());
        let seeds = Seeds { first: common.first_seed, count: common.seeds };
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let progress = Progress::new();
        let threads = common.threads.unwrap_or(cores);
        let judged =
            contest::hold(&prepared, &contenders, seeds, threads, &|done, all| progress.show(done, all));
        progress.bar.finish_and_clear();
        let families = scenarios::families();
        let standings = families.into_iter().flat_map(|family| contest::standings(family, &judged)).collect();
        Ok(Self { judged, skipped, standings })
    }

    /// Prints it and writes the report.
    pub(super) fn finish(&self, asked: Asked<'_>, common: &CommonArgs, output: Output) -> anyhow::Result<()> {
        if let Some(file) = &common.html {
            let document = Document {
                question: asked.question,
                command: asked.again,
                version: env!("CARGO_PKG_VERSION"),
                judged: &self.judged,
                skipped: &self.skipped,
                standings: &self.standings,
                pair: asked.pair,
            };
            std::fs::write(file, document.html())
                .with_context(|| format!("cannot write {}", file.display()))?;
            note(&format!("wrote {}", file.display()));
        }
        self.report(asked).print(output)
    }

    /// What it came to.
    pub(super) fn report(&self, asked: Asked<'_>) -> Report {
        let mut json = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "question": asked.question,
            "command": asked.again,
            "skipped": self.skipped,
            "standings": self.standings,
            "scenarios": self.judged,
        });
        let mut text = match asked.is_brief {
            true => tables::brief(&self.judged, &self.standings),
            false => tables::all(&self.judged, &self.standings),
        };
        if let Some((first, second)) = asked.pair {
            let differences: Vec<_> = self
                .judged
                .iter()
                .filter_map(|judged| Some((judged, judged.compare(first, second)?)))
                .collect();
            let shown: Vec<_> = differences.iter().map(|(_, difference)| *difference).collect();
            let verdict = findings::of_comparison(first, second, &shown);
            let comparison = json!({
                "first": first,
                "second": second,
                "verdict": verdict,
                "scenarios": differences.iter().map(|(judged, difference)| json!({
                    "scenario": judged.scenario,
                    "metric": judged.judged_by,
                    "difference": difference,
                })).collect::<Vec<_>>(),
            });
            if let Some(fields) = json.as_object_mut() {
                fields.insert("comparison".to_owned(), comparison);
            }
            text = format!("{}\n{verdict}", tables::comparison(first, second, &differences));
        }
        for skipped in &self.skipped {
            text.push_str(&format!("\nSKIPPED {}: {}", skipped.scenario, skipped.remedy()));
        }
        Report::new(json, text)
    }
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
