//! A family over all its scenarios: who is best, and where.
//!
//! Invariant: a cell is coloured only by what the intervals show.

use super::findings;
use super::markup::{anchor, class, direction, table};
use super::text::{escape, figure, head, name};
use crate::contest::{Judged, Standing};
use crate::judge::Kind;
use crate::statistics::Verdict;

/// Table and sentence of a family.
pub(super) fn html(family: &str, standings: &[Standing], judged: &[Judged]) -> String {
    let ours: Vec<&Judged> = judged.iter().filter(|judged| judged.family == family).collect();
    let standings: Vec<&Standing> = standings.iter().filter(|standing| standing.family == family).collect();
    let heads =
        ["".to_owned(), "times worse than<br>the best policy".to_owned(), "best or<br>equal in".to_owned()];
    let scenarios = ours.iter().map(|judged| {
        let metric = judged.metric();
        let under = metric.map(|metric| format!("{}<br>{}", escape(&head(metric)), direction(metric)));
        format!(
            r##"<a href="#{}">{}</a><br>{}"##,
            anchor(&judged.scenario),
            escape(&judged.scenario),
            under.unwrap_or_default()
        )
    });
    let heads: Vec<String> = heads.into_iter().chain(scenarios).collect();
    let rows: Vec<(String, Vec<String>)> = standings
        .iter()
        .map(|standing| {
            let wins = match standing.kind {
                Kind::Policy => format!("{} of {}", standing.best_or_equal, standing.scenarios),
                _ => String::new(),
            };
            let fixed = [name(&standing.label), format!("judge|{}", figure(standing.score)), wins];
            let cells = ours.iter().map(|judged| cell(judged, standing));
            (class(standing.kind).to_owned(), fixed.into_iter().chain(cells).collect())
        })
        .collect();
    format!(
        r#"<p class="finding">{}</p>{}"#,
        escape(&findings::of_family(family, &standings)),
        table(&heads, &rows)
    )
}

/// The judging figure of a competitor in a scenario.
fn cell(judged: &Judged, standing: &Standing) -> String {
    let found = judged.rows.iter().find(|row| row.label == standing.label && row.kind == standing.kind);
    let Some(row) = found else { return String::new() };
    let class = match row.against_best.as_ref().map(|shown| shown.verdict) {
        _ if row.problem.is_some() || standing.kind != Kind::Policy => "",
        None | Some(Verdict::NoDifferenceShown | Verdict::Better) => "good",
        Some(Verdict::Worse) => "",
    };
    format!("{class}|{}", figure(row.mean(judged.judge())))
}
