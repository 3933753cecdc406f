//! For people who decide: one page that needs nothing else, with a badge.

use std::fmt::Write as _;

use super::{Report, Verdict, escaped};
use crate::catalogue::{GROUPS, Severity};

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#1c2430}\
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:1.6rem 0 .3rem}table{border-collapse:collapse;width:100%}\
td{border-top:1px solid #dde3ea;padding:.35rem .5rem;vertical-align:top}code{font-size:.9em}\
.passed{color:#1a7f37}.failed{color:#c62828;font-weight:600}.warning{color:#9a6700;font-weight:600}.skipped,.blocked{color:#6a737d}\
dl{display:grid;grid-template-columns:6rem 1fr;gap:.1rem .6rem;margin:.3rem 0;background:#fff5f5;padding:.5rem}dt{color:#6a737d}dd{margin:0}\
.number{text-align:right;white-space:nowrap;color:#6a737d}";

impl Report {
    /// One self-contained page.
    #[must_use]
    pub fn html(&self) -> String {
        let title = escaped(&self.title());
        let mut page = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}: conformance</title>\
<style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n<p>{}</p>\n<p><code>{}</code>, {} bytes; {} run, seed {}, {} inputs, {:.1} s</p>\n",
            self.badge_svg(),
            escaped(&self.tested.digest),
            self.tested.size_bytes,
            self.mode.name(),
            self.seed,
            self.inputs(),
            self.took.as_secs_f64()
        );
        for group in GROUPS {
            let of_group: Vec<_> =
                self.outcomes.iter().filter(|outcome| outcome.check.group() == group.name).collect();
            if of_group.is_empty() {
                continue;
            }
            let _ = writeln!(page, "<h2>{}</h2><p>{}</p><table>", group.name, escaped(group.about));
            for outcome in of_group {
                let check = outcome.check;
                let is_warning =
                    check.severity == Severity::Should && matches!(outcome.verdict, Verdict::Failed(_));
                let class = if is_warning { "warning" } else { outcome.verdict.name() };
                let _ = write!(
                    page,
                    "<tr><td class=\"{class}\">{class}</td><td><code>{}</code></td><td>{}{}</td><td class=\"number\">{} inputs<br>{} ms</td></tr>",
                    check.id,
                    escaped(check.what),
                    more(outcome),
                    outcome.inputs,
                    outcome.took.as_millis()
                );
            }
            page.push_str("</table>\n");
        }
        if !self.measured.is_empty() {
            page.push_str("<h2>measured</h2><table>");
            for (name, value) in &self.measured {
                let _ = write!(
                    page,
                    "<tr><td>{}</td><td class=\"number\">{}</td></tr>",
                    escaped(name),
                    escaped(value)
                );
            }
            page.push_str("</table>\n");
        }
        page.push_str("</body></html>\n");
        page
    }

    /// The one-line summary as a picture.
    #[must_use]
    pub fn badge_svg(&self) -> String {
        let text = escaped(&self.badge());
        let (left, right) = (86, 14 + 7 * self.badge().len());
        let colour = match (self.conforms(), self.counts().warnings) {
            (true, 0) => "#1a7f37",
            (true, _) => "#9a6700",
            (false, _) => "#c62828",
        };
        let width = left + right;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"24\" role=\"img\" aria-label=\"{text}\">\
<rect width=\"{left}\" height=\"24\" fill=\"#444c56\"/><rect x=\"{left}\" width=\"{right}\" height=\"24\" fill=\"{colour}\"/>\
<g fill=\"#fff\" font-family=\"Verdana,sans-serif\" font-size=\"12\"><text x=\"8\" y=\"16\">pilothouse</text>\
<text x=\"{}\" y=\"16\" textLength=\"{}\">{text}</text></g></svg>",
            left + 7,
            right - 14
        )
    }
}

fn more(outcome: &super::Outcome) -> String {
    let check = outcome.check;
    match &outcome.verdict {
        Verdict::Failed(failure) => {
            let line = |name: &str, text: &str| format!("<dt>{name}</dt><dd>{}</dd>", escaped(text));
            let lines = [
                line("input", &failure.input),
                line("expected", &failure.expected),
                line("got", &failure.got),
                line("why", check.why),
                line("to do", check.fix),
            ];
            format!("<dl>{}</dl>", lines.concat())
        }
        other => {
            let why = other.why_not_run().map(|why| format!("<br><em>{}</em>", escaped(&why)));
            why.unwrap_or_default()
        }
    }
}
