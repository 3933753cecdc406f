//! One scenario: what was simulated, what was found, plots, a table, and behind a fold everything to check it by.
//!
//! Invariant: every figure stands beside what it means and which way is good.

use super::findings;
use super::markup::{anchor, class, described, direction, figure, table, verdict};
use super::text::{difference, escape, head, measure, name, plain, seeds};
use crate::contest::{Judged, Row};
use crate::judge::Kind;
use crate::plot::{Frame, Line, Look, Mark, Spread, lines, spreads};
use crate::scenario::Origin;
use crate::statistics::Verdict;

/// Curves of policies in a plot, the best ones: more than that cannot be told apart.
const CURVES_MAX: usize = 3;

/// The section.
pub(super) fn html(judged: &Judged) -> String {
    let anchor = anchor(&judged.scenario);
    let metric = judged.metric().map(|metric| {
        format!(
            "<p>Judged by <b>{}</b>: {}; {}.</p>",
            escape(&head(metric)),
            escape(metric.meaning),
            direction(metric)
        )
    });
    [
        format!(r##"<section id="{anchor}"><h3><a href="#{anchor}">{}</a></h3>"##, escape(&judged.scenario)),
        format!(r#"<p class="finding">{}</p>"#, escape(&findings::of_scenario(judged))),
        format!("<p>{}</p>", escape(&judged.models)),
        metric.unwrap_or_default(),
        format!(r#"<p class="soft small">{} {}</p>"#, data(&judged.data), escape(&seeds(&judged.seeds))),
        figure(&spread(judged), "One row each, best first. Small dots are single seeds, the large mark is their mean, the line its 95 % interval."),
        results(judged),
        curves(judged),
        details(judged),
        "</section>".to_owned(),
    ]
    .concat()
}

fn data(origin: &Origin) -> String {
    match origin {
        Origin::Synthetic => "Data: made up from the seed.".to_owned(),
        Origin::Recorded { files } => {
            let files: Vec<String> =
                files.iter().map(|file| format!("<code>{}</code>", escape(file))).collect();
            format!("Data: recorded, {}.", files.join(" and "))
        }
    }
}

const fn mark(kind: Kind) -> Mark {
    match kind {
        Kind::Policy => Mark::Policy,
        Kind::Reference => Mark::Reference,
        Kind::Bound => Mark::Bound,
        Kind::Published => Mark::Published,
    }
}

fn spread(judged: &Judged) -> String {
    let Some(metric) = judged.metric() else { return String::new() };
    let row = |row: &Row| {
        let measured = row.measured.get(judged.judge());
        Spread {
            name: plain(&row.label),
            mark: mark(row.kind),
            mean: row.mean(judged.judge()),
            interval: measured.and_then(|measured| measured.estimate.interval),
            values: measured.map(|measured| measured.by_seed.clone()).unwrap_or_default(),
            figure: measure(measured),
        }
    };
    let rows: Vec<Spread> = judged.rows.iter().map(row).collect();
    let title = format!("{} ({})", head(metric), direction(metric));
    spreads(&title, &head(metric), &rows)
}

fn results(judged: &Judged) -> String {
    let heads = ["", "words|kind"].map(str::to_owned).into_iter();
    let metrics = judged.metrics.iter().map(|metric| escape(&head(metric)).replacen(", ", "<br>", 1));
    let heads: Vec<String> = heads.chain(metrics).chain(["words|against the best".to_owned()]).collect();
    let rows: Vec<(String, Vec<String>)> =
        judged.rows.iter().map(|row| (class(row.kind).to_owned(), result(judged, row))).collect();
    table(&heads, &rows)
}

fn result(judged: &Judged, row: &Row) -> Vec<String> {
    let mut cells = vec![name(&row.label), format!("words|{}", row.kind.name())];
    cells.extend((0..judged.metrics.len()).map(|metric| {
        let class = if metric == judged.judge() { "judge|" } else { "" };
        format!("{class}{}", escape(&measure(row.measured.get(metric))))
    }));
    let words = match (&row.problem, &row.against_best) {
        (Some(problem), _) => format!(r#"<span class="bad">{}</span>"#, name(problem)),
        (None, Some(shown)) => format!("{} {}", difference(shown), verdict(shown.verdict)),
        (None, None) if row.kind == Kind::Policy => r#"<span class="good">the best policy</span>"#.to_owned(),
        (None, None) => String::new(),
    };
    let faults =
        findings::faults(row).map(|faults| format!(r#"<small class="bad">{}</small>"#, escape(&faults)));
    cells.push(format!("words|{words}{}", faults.unwrap_or_default()));
    cells
}

/// The best policies, the best reference and the bound, in front of what was asked for.
fn curves(judged: &Judged) -> String {
    let first = |kind: Kind| judged.rows.iter().filter(move |row| row.kind == kind && !row.curves.is_empty());
    let chosen: Vec<(&Row, Look)> = first(Kind::Policy)
        .take(CURVES_MAX)
        .chain(first(Kind::Reference).take(1))
        .enumerate()
        .map(|(number, row)| (row, Look::Series(number)))
        .chain(first(Kind::Bound).map(|row| (row, Look::Dashed)))
        .collect();
    let draw = |(place, frame): (usize, &Frame<'_>)| {
        let backdrop = judged.backdrops.get(place).and_then(Option::as_ref);
        let backdrop = backdrop.map(|(name, points)| Line {
            name: (*name).to_owned(),
            points: points.clone(),
            look: Look::Backdrop,
        });
        let line = |(row, look): &(&Row, Look)| Line {
            name: plain(&row.label),
            points: row.curves.get(place).cloned().unwrap_or_default(),
            look: *look,
        };
        let series: Vec<Line> = backdrop.into_iter().chain(chosen.iter().map(line)).collect();
        let seed = judged.seeds.first().copied().unwrap_or_default();
        let caption =
            format!("Seed {seed}: the best policies, the best reference, and the bound where one runs.");
        figure(&lines(*frame, &series), &caption)
    };
    if chosen.is_empty() { String::new() } else { judged.plots.iter().enumerate().map(draw).collect() }
}

fn details(judged: &Judged) -> String {
    let metrics: String = judged
        .metrics
        .iter()
        .map(|metric| {
            format!(
                "<dt>{}</dt><dd>{}; {}</dd>",
                escape(&head(metric)),
                escape(metric.meaning),
                direction(metric)
            )
        })
        .collect();
    let who: String = judged.rows.iter().map(|row| described(&row.label, row.kind, &row.does)).collect();
    format!(
        "<details><summary>What the columns mean, who took part, every seed, the scenario’s file</summary>\
         <h4>Columns</h4><dl>{metrics}</dl><h4>Who took part</h4><dl>{who}</dl>{}<h4>The scenario’s file</h4><pre>{}</pre></details>",
        by_seed(judged),
        escape(&judged.file)
    )
}

fn by_seed(judged: &Judged) -> String {
    let Some(metric) = judged.metric() else { return String::new() };
    let heads: Vec<String> = std::iter::once(String::new())
        .chain(judged.seeds.iter().map(|seed| format!("seed {seed}")))
        .collect();
    let measured = judged.rows.iter().filter_map(|row| Some((row, row.measured.get(judged.judge())?)));
    let rows: Vec<(String, Vec<String>)> = measured
        .filter(|(_, measured)| !measured.by_seed.is_empty())
        .map(|(row, measured)| {
            let values = measured.by_seed.iter().map(|value| super::text::figure(*value));
            (class(row.kind).to_owned(), std::iter::once(name(&row.label)).chain(values).collect())
        })
        .collect();
    format!("<h4>{}, seed by seed</h4>{}", escape(&head(metric)), table(&heads, &rows))
}

/// One policy against another, scenario by scenario.
pub(super) fn comparison(first: &str, second: &str, judged: &[Judged]) -> String {
    let pairs: Vec<_> =
        judged.iter().filter_map(|judged| Some((judged, judged.compare(first, second)?))).collect();
    let shown: Vec<_> = pairs.iter().map(|(_, difference)| *difference).collect();
    let heads = ["scenario", "words|judged by", "difference [95 % interval]", "words|the first is"];
    let rows: Vec<(String, Vec<String>)> = pairs
        .iter()
        .map(|(judged, shown)| {
            let metric = judged.metric().map(|metric| format!("{}, {}", head(metric), direction(metric)));
            let link =
                format!(r##"<a href="#{}">{}</a>"##, anchor(&judged.scenario), escape(&judged.scenario));
            let cells = vec![
                link,
                format!("words|{}", escape(&metric.unwrap_or_default())),
                escape(&difference(shown)),
                format!("words|{}", verdict(shown.verdict)),
            ];
            (String::new(), cells)
        })
        .collect();
    let gains: Vec<Spread> = pairs.iter().map(|(judged, shown)| gain(judged, second, shown)).collect();
    let title = format!("How much better {} is than {}", plain(first), plain(second));
    let plot = spreads(&title, "better by, % of the second’s figure", &gains);
    format!(
        r#"<p class="finding">{}</p>{}{}"#,
        escape(&findings::of_comparison(first, second, &shown)),
        figure(
            &plot,
            "Right of zero the first is better. An interval that crosses zero shows no difference."
        ),
        table(&heads.map(str::to_owned), &rows)
    )
}

/// A difference as a gain of the first, in percent of the second.
fn gain(judged: &Judged, second: &str, shown: &crate::statistics::Difference) -> Spread {
    use crate::statistics::Better;
    let base =
        judged.policies().find(|row| row.label == second).map_or(f64::NAN, |row| row.mean(judged.judge()));
    let sign = if judged.metric().is_some_and(|metric| metric.better == Better::Lower) { -1.0 } else { 1.0 };
    let percent = |value: f64| sign * 100.0 * value / base;
    let ends = shown.estimate.interval.map(|(lower, upper)| (percent(lower), percent(upper)));
    let mean = percent(shown.estimate.mean);
    Spread {
        name: judged.scenario.clone(),
        mark: if shown.verdict == Verdict::NoDifferenceShown { Mark::Reference } else { Mark::Policy },
        mean,
        interval: ends.map(|(one, other)| (one.min(other), one.max(other))),
        values: Vec::new(),
        figure: format!("{} %", super::text::figure(mean)),
    }
}
