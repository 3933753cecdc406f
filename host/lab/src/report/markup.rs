//! Pieces of HTML that sections share.
//!
//! Invariant: every piece takes text that is escaped already and says so.

use super::text::{escape, name};
use crate::judge::{Kind, Metric};
use crate::statistics::{Better, Verdict};

/// A table; heads and cells are escaped, classes stand before a `|` that is not shown.
pub(super) fn table(heads: &[String], rows: &[(String, Vec<String>)]) -> String {
    let cell = |tag: &str, text: &String| match text.split_once('|') {
        Some((class, text)) => format!(r#"<{tag} class="{class}">{text}</{tag}>"#),
        None => format!("<{tag}>{text}</{tag}>"),
    };
    let heads: String = heads.iter().map(|head| cell("th", head)).collect();
    let row = |(class, cells): &(String, Vec<String>)| {
        let cells: String = cells.iter().map(|text| cell("td", text)).collect();
        format!(r#"<tr class="{class}">{cells}</tr>"#)
    };
    let rows: String = rows.iter().map(row).collect();
    format!(r#"<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"#)
}

/// A plot with words below it, which are escaped.
pub(super) fn figure(plot: &str, caption: &str) -> String {
    format!("<figure>{plot}<figcaption>{caption}</figcaption></figure>")
}

/// Which way is good.
pub(super) const fn direction(metric: &Metric) -> &'static str {
    match metric.better {
        Better::Lower => "lower is better",
        Better::Higher => "higher is better",
    }
}

/// The class of a row.
pub(super) const fn class(kind: Kind) -> &'static str {
    kind.name()
}

/// A verdict, coloured.
pub(super) fn verdict(verdict: Verdict) -> String {
    let class = match verdict {
        Verdict::Better => "good",
        Verdict::Worse => "bad",
        Verdict::NoDifferenceShown => "soft",
    };
    format!(r#"<span class="{class}">{}</span>"#, verdict.words())
}

/// The address of a scenario's section in the page.
pub(super) fn anchor(scenario: &str) -> String {
    format!("scenario-{}", escape(scenario))
}

/// What somebody does, after their name.
pub(super) fn described(label: &str, kind: Kind, does: &str) -> String {
    let does = if does.is_empty() { String::new() } else { format!(": {}", name(does)) };
    format!(
        r#"<dt><span class="mark {}"></span>{}</dt><dd>{}{does}</dd>"#,
        class(kind),
        name(label),
        kind.name()
    )
}
