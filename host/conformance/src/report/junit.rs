//! For CI servers: JUnit XML, a test case per check.

use std::fmt::Write as _;

use super::{Counts, Report, Verdict, escaped};
use crate::catalogue::Severity;

impl Report {
    /// A JUnit XML document. Warnings are skipped cases with their text, because a server would count them as failures.
    #[must_use]
    pub fn junit(&self) -> String {
        let Counts { failed, warnings, not_run, .. } = self.counts();
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let _ = writeln!(
            xml,
            "<testsuites name=\"pilothouse policy conform\">\n<testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\" errors=\"0\" skipped=\"{}\" time=\"{:.3}\">",
            escaped(&self.title()),
            self.outcomes.len(),
            warnings + not_run,
            self.took.as_secs_f64()
        );
        let _ = writeln!(
            xml,
            "<properties><property name=\"badge\" value=\"{}\"/></properties>",
            escaped(&self.badge())
        );
        for outcome in &self.outcomes {
            let check = outcome.check;
            let _ = write!(
                xml,
                "<testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\">",
                check.group(),
                check.id,
                outcome.took.as_secs_f64()
            );
            match &outcome.verdict {
                Verdict::Passed => {}
                Verdict::Failed(failure) => {
                    let text = format!(
                        "input: {}\nexpected: {}\ngot: {}\nwhy: {}\nto do: {}",
                        failure.input, failure.expected, failure.got, check.why, check.fix
                    );
                    // Line ends are kept; everything else goes through the escape.
                    let text: Vec<String> = text.lines().map(escaped).collect();
                    let message = escaped(&failure.got);
                    let _ = match check.severity {
                        Severity::Must => {
                            write!(xml, "<failure message=\"{message}\">{}</failure>", text.join("\n"))
                        }
                        Severity::Should => write!(xml, "<skipped message=\"warning: {message}\"/>"),
                    };
                }
                other => {
                    let why = other.why_not_run().unwrap_or_default();
                    let _ = write!(xml, "<skipped message=\"{}\"/>", escaped(&why));
                }
            }
            xml.push_str("</testcase>\n");
        }
        xml.push_str("</testsuite>\n</testsuites>\n");
        xml
    }
}
