//! Words and figures: how numbers and names are written in every report.
//!
//! Invariant: [`plain`] leaves nothing that moves a cursor or turns a line around, [`escape`] nothing that is markup.

use crate::contest::Measured;
use crate::judge::Metric;
use crate::statistics::{Difference, Estimate};

/// A name as it may stand in a terminal: control characters and others that are not shown become escapes.
#[must_use]
pub fn plain(text: &str) -> String {
    let shown = |c: char| {
        let quoted = matches!(c, '"' | '\'' | '\\');
        if quoted { c.to_string() } else { c.escape_debug().to_string() }
    };
    text.chars().map(shown).collect()
}

/// A text as it may stand in HTML, attributes included.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Which seeds ran.
#[must_use]
pub fn seeds(seeds: &[u64]) -> String {
    match seeds {
        [] => "No seeds.".to_owned(),
        [one] => format!("One seed ({one}), so there are no intervals and nothing is shown about chance."),
        [first, .., last] => format!("{} seeds, {first} to {last}.", seeds.len()),
    }
}

/// A name that somebody else gave, as it may stand in HTML.
#[must_use]
pub fn name(text: &str) -> String {
    escape(&plain(text))
}

/// A number with about four digits; `–` if it is none.
#[must_use]
pub fn figure(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let decimals = match value.abs() {
        large if large >= 1_000.0 => 0,
        large if large >= 100.0 => 1,
        large if large >= 10.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

/// A mean with half the width of its interval.
#[must_use]
pub fn estimate(estimate: &Estimate) -> String {
    match estimate.interval {
        Some((lower, upper)) if estimate.mean.is_finite() => {
            format!("{} ± {}", figure(estimate.mean), figure((upper - lower) / 2.0))
        }
        _ => figure(estimate.mean),
    }
}

/// A measure; `–` if there is none.
#[must_use]
pub fn measure(measured: Option<&Measured>) -> String {
    measured.map_or_else(|| "–".to_owned(), |measured| estimate(&measured.estimate))
}

/// A difference with its sign and the ends of its interval.
#[must_use]
pub fn difference(difference: &Difference) -> String {
    let sign = |value: f64| if value > 0.0 { format!("+{}", figure(value)) } else { figure(value) };
    let mean = sign(difference.estimate.mean);
    match difference.estimate.interval {
        Some((lower, upper)) => format!("{mean} [{}, {}]", sign(lower), sign(upper)),
        None => mean,
    }
}

/// A figure with its unit.
#[must_use]
pub fn with_unit(value: f64, metric: &Metric) -> String {
    format!("{} {}", figure(value), metric.unit).trim_end().to_owned()
}

/// The head of a column: name and unit.
#[must_use]
pub fn head(metric: &Metric) -> String {
    if metric.unit.is_empty() { metric.name.to_owned() } else { format!("{}, {}", metric.name, metric.unit) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_no_harm_in_a_terminal_or_a_page() {
        for (given, in_terminal, in_page) in [
            ("plain-name", "plain-name", "plain-name"),
            ("it's \"x\"", "it's \"x\"", "it&#39;s &quot;x&quot;"),
            ("\u{1b}[31mred\n", "\\u{1b}[31mred\\n", "\\u{1b}[31mred\\n"),
            ("a\u{202e}b", "a\\u{202e}b", "a\\u{202e}b"),
            ("<script>1</script>&", "<script>1</script>&", "&lt;script&gt;1&lt;/script&gt;&amp;"),
        ] {
            assert_eq!((plain(given).as_str(), name(given).as_str()), (in_terminal, in_page));
        }
    }

    #[test]
    fn figures_have_about_four_digits() {
        for (value, text) in [
            (0.0, "0.000"),
            (1.23456, "1.235"),
            (-12.345, "-12.35"),
            (123.456, "123.5"),
            (14_048.4, "14048"),
            (f64::NAN, "–"),
            (f64::INFINITY, "–"),
        ] {
            assert_eq!(figure(value), text);
        }
        let known = Estimate { mean: 2.0, interval: Some((1.5, 2.5)) };
        assert_eq!(estimate(&known), "2.000 ± 0.500");
        assert_eq!(estimate(&Estimate::known(2.0)), "2.000");
    }
}
