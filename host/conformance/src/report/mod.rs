//! What came out, and its forms: text, JSON, JUnit XML and one HTML page.

mod html;
mod json;
mod junit;
mod text;

use std::time::Duration;

use pilothouse_core::policy::Family;

use crate::catalogue::{Check, Severity};
use crate::runner::Mode;
use crate::trial::Failure;

pub use text::catalogue;

/// The component that was tried.
#[derive(Debug, Clone, Default)]
pub struct Tested {
    /// Its name; of a component that could not be loaded, its file.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its family, if that is known.
    pub family: Option<Family>,
    /// Digest of its bytes.
    pub digest: String,
    /// Its size, bytes.
    pub size_bytes: usize,
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing found.
    Passed,
    /// Found what it looks for.
    Failed(Failure),
    /// There was nothing to check, and why.
    Skipped(String),
    /// The finding of another check kept it from going on.
    Blocked(&'static str),
}

/// One check's end.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The check.
    pub check: &'static Check,
    /// How it ended.
    pub verdict: Verdict,
    /// Inputs that it tried.
    pub inputs: u64,
    /// How long it took.
    pub took: Duration,
}

/// What the kit says of a component.
#[derive(Debug, Clone)]
pub struct Report {
    /// The component.
    pub tested: Tested,
    /// How thorough it was.
    pub mode: Mode,
    /// Where the inputs came from.
    pub seed: u64,
    /// One per check, in order.
    pub outcomes: Vec<Outcome>,
    /// Figures, with their names.
    pub measured: Vec<(String, String)>,
    /// How long it took.
    pub took: Duration,
}

/// How many checks ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Passed.
    pub passed: usize,
    /// Failed and must not.
    pub failed: usize,
    /// Failed and should not.
    pub warnings: usize,
    /// Not run.
    pub not_run: usize,
}

impl Report {
    /// The checks that failed.
    pub fn failures(&self) -> impl Iterator<Item = (&'static Check, &Failure)> {
        self.outcomes.iter().filter_map(|outcome| match &outcome.verdict {
            Verdict::Failed(failure) => Some((outcome.check, failure)),
            _ => None,
        })
    }

    /// How many checks ended how.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for outcome in &self.outcomes {
            let place = match (&outcome.verdict, outcome.check.severity) {
                (Verdict::Passed, _) => &mut counts.passed,
                (Verdict::Failed(_), Severity::Must) => &mut counts.failed,
                (Verdict::Failed(_), Severity::Should) => &mut counts.warnings,
                (Verdict::Skipped(_) | Verdict::Blocked(_), _) => &mut counts.not_run,
            };
            *place += 1;
        }
        counts
    }

    /// Whether nothing that must hold was found broken.
    #[must_use]
    pub fn conforms(&self) -> bool {
        self.counts().failed == 0
    }

    /// Inputs tried in all.
    #[must_use]
    pub fn inputs(&self) -> u64 {
        self.outcomes.iter().map(|outcome| outcome.inputs).sum()
    }

    /// One line, as on a badge.
    #[must_use]
    pub fn badge(&self) -> String {
        let Counts { passed, failed, warnings, .. } = self.counts();
        match (failed, warnings) {
            (0, 0) => format!("conforms: {passed} checks passed"),
            (0, _) => format!("conforms with {warnings} warnings: {passed} checks passed"),
            _ => format!("does not conform: {failed} of {} checks failed", passed + failed + warnings),
        }
    }

    /// `FAMILY/NAME VERSION`
    #[must_use]
    pub fn title(&self) -> String {
        let Tested { name, version, family, .. } = &self.tested;
        let family = family.map(|family| format!("{}/", family.name())).unwrap_or_default();
        format!("{family}{name} {version}").trim_end().to_owned()
    }
}

impl Verdict {
    /// The name in JSON and HTML.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "failed",
            Self::Skipped(_) => "skipped",
            Self::Blocked(_) => "blocked",
        }
    }

    /// Why it was not run, if it was not.
    pub(crate) fn why_not_run(&self) -> Option<String> {
        match self {
            Self::Skipped(why) => Some(why.clone()),
            Self::Blocked(id) => Some(format!("blocked by {id}")),
            Self::Passed | Self::Failed(_) => None,
        }
    }
}

/// Replaces what XML and HTML would read as markup, and control characters that XML forbids.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            control if control.is_control() => safe.extend(control.escape_default()),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, refused};

    fn report() -> Report {
        let tested = Tested { name: "a<b>\u{1b}".to_owned(), ..Tested::default() };
        let options = Options { mode: Mode::Quick, seed: 1, only: Vec::new() };
        refused(tested, "contract/imports", "it imports `evil:fs`", &options).unwrap()
    }

    #[test]
    fn every_form_names_what_failed_and_what_to_do() {
        let report = report();
        assert!(!report.conforms());
        for form in [report.text(false), report.html(), report.junit(), report.json().to_string()] {
            for told in ["contract/imports", "evil:fs", "does not conform", "wasm32-unknown-unknown"] {
                assert!(form.contains(told), "{told} in {form}");
            }
        }
    }

    #[test]
    fn names_of_guests_cannot_write_markup_or_escapes() {
        let report = report();
        for form in [report.html(), report.junit()] {
            assert!(form.contains("a&lt;b&gt;") && !form.contains("a<b>") && !form.contains('\u{1b}'));
        }
        assert!(!report.text(false).contains('\u{1b}'));
    }
}
