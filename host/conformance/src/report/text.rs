//! For terminals.

use std::fmt::Write as _;

use super::{Outcome, Report, Verdict};
use crate::catalogue::{CHECKS, GROUPS, Severity};
use crate::property::Property;

const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";
const YELLOW: &str = "\u{1b}[33m";
const DIM: &str = "\u{1b}[2m";
const PLAIN: &str = "\u{1b}[0m";

impl Report {
    /// Lines for people, with colours if they are wanted.
    #[must_use]
    pub fn text(&self, colours: bool) -> String {
        let paint =
            |colour: &str, text: String| if colours { format!("{colour}{text}{PLAIN}") } else { text };
        let mut lines = String::new();
        let line = |lines: &mut String, text: &str| {
            lines.push_str(text);
            lines.push('\n');
        };
        let bytes = self.tested.size_bytes;
        let about = format!("{}  {} bytes  {}", self.title(), bytes, self.tested.digest);
        line(&mut lines, &about.chars().filter(|character| !character.is_control()).collect::<String>());
        for outcome in &self.outcomes {
            let (mark, colour) = mark(outcome);
            let Outcome { check, inputs, took, verdict } = outcome;
            let note =
                verdict.why_not_run().unwrap_or_else(|| format!("{inputs} inputs, {} ms", took.as_millis()));
            let text = format!("{} {:32} {}", paint(colour, format!("{mark:4}")), check.id, paint(DIM, note));
            line(&mut lines, text.trim_end());
        }
        for (check, failure) in self.failures() {
            let _ = write!(
                lines,
                "\n{}: {} ({})\n  input     {}\n  expected  {}\n  got       {}\n  why       {}\n  to do     {}\n",
                paint(RED, check.id.to_owned()),
                check.what,
                check.severity.name(),
                failure.input,
                failure.expected,
                failure.got,
                check.why,
                check.fix
            );
        }
        if !self.measured.is_empty() {
            lines.push('\n');
        }
        for (name, value) in &self.measured {
            let _ = writeln!(lines, "{name}: {value}");
        }
        let colour = if self.conforms() { GREEN } else { RED };
        let _ = write!(
            lines,
            "\n{} ({} inputs, {:.1} s, {}, seed {})",
            paint(colour, self.badge()),
            self.inputs(),
            self.took.as_secs_f64(),
            self.mode.name(),
            self.seed
        );
        lines
    }
}

const fn mark(outcome: &Outcome) -> (&'static str, &'static str) {
    match (&outcome.verdict, outcome.check.severity) {
        (Verdict::Passed, _) => ("ok", GREEN),
        (Verdict::Failed(_), Severity::Must) => ("FAIL", RED),
        (Verdict::Failed(_), Severity::Should) => ("warn", YELLOW),
        (Verdict::Skipped(_) | Verdict::Blocked(_), _) => ("-", DIM),
    }
}

/// Every check and property with why, as Markdown: what `--list` prints and `host/docs/conformance.md` contains.
#[must_use]
pub fn catalogue() -> String {
    let mut text = String::new();
    for group in GROUPS {
        let _ = writeln!(text, "### {}\n\n{}\n", group.name, group.about);
        let _ = writeln!(
            text,
            "| id | of | weight | what must hold | why | what to do |\n|---|---|---|---|---|---|"
        );
        for check in CHECKS.iter().filter(|check| check.group() == group.name) {
            let families: Vec<&str> = check.families.iter().map(|family| family.name()).collect();
            let families = if families.len() == 4 { "all".to_owned() } else { families.join(", ") };
            let cells = [check.id, &families, check.severity.name(), check.what, check.why, check.fix];
            let _ = writeln!(text, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
        }
        text.push('\n');
    }
    text.push_str("### Properties that a policy may declare\n\n| name | of | promises |\n|---|---|---|\n");
    for property in Property::ALL {
        let families: Vec<&str> = property.families.iter().map(|family| family.name()).collect();
        let _ = writeln!(text, "| {} | {} | {} |", property.name, families.join(", "), property.promises);
    }
    text
}
