//! Tables of results for a terminal.
//!
//! Invariant: labels are shown as [`plain`] text; what was not measured is a dash.

use comfy_table::{Cell, CellAlignment, Table, presets};
use pilothouse_lab::contest::{Judged, Standing};
use pilothouse_lab::judge::Kind;
use pilothouse_lab::report::findings;
use pilothouse_lab::report::text::{difference, figure, head, measure, plain};
use pilothouse_lab::statistics::Difference;

/// Every scenario, and the standings if there are several.
pub(super) fn all(judged: &[Judged], standings: &[Standing]) -> String {
    let mut parts: Vec<String> = judged.iter().map(scenario).collect();
    if judged.len() > 1 {
        parts.extend(families(standings).map(|(family, ours)| of_family(family, &ours)));
    }
    parts.join("\n\n")
}

/// The standings, and a sentence for every scenario.
pub(super) fn brief(judged: &[Judged], standings: &[Standing]) -> String {
    let part = |(family, ours): (&str, Vec<&Standing>)| {
        let sentences = judged.iter().filter(|judged| judged.family == family).map(|judged| {
            format!("{} ({} seeds): {}", judged.scenario, judged.seeds.len(), findings::of_scenario(judged))
        });
        std::iter::once(of_family(family, &ours)).chain(sentences).collect::<Vec<_>>().join("\n")
    };
    families(standings).map(part).collect::<Vec<_>>().join("\n\n")
}

/// Standings by family; those of one stand together.
fn families(standings: &[Standing]) -> impl Iterator<Item = (&'static str, Vec<&Standing>)> {
    let parts = standings.chunk_by(|one, next| one.family == next.family);
    parts.filter_map(|part| Some((part.first()?.family, part.iter().collect())))
}

fn table(heads: impl IntoIterator<Item = String>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(heads.into_iter().map(Cell::new));
    table
}

fn number(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn scenario(judged: &Judged) -> String {
    let heads = ["", "kind"].map(str::to_owned).into_iter().chain(judged.metrics.iter().map(head));
    let mut table = table(heads.chain(["against the best".to_owned(), "faults".to_owned()]));
    for row in &judged.rows {
        let mut cells = vec![Cell::new(plain(&row.label)), Cell::new(row.kind.name())];
        cells.extend((0..judged.metrics.len()).map(|metric| number(measure(row.measured.get(metric)))));
        let against =
            row.against_best.as_ref().map(|shown| format!("{} {}", difference(shown), shown.verdict.words()));
        cells.push(Cell::new(row.problem.as_deref().map(plain).or(against).unwrap_or_default()));
        cells.push(number(match row.faults.total() {
            0 => String::new(),
            faults => faults.to_string(),
        }));
        table.add_row(cells);
    }
    let seeds = judged.seeds.len();
    let title = format!("{} ({}, {seeds} seeds, ± is the 95 % interval)", judged.scenario, judged.family);
    format!("{title}\n{table}\n{}", findings::of_scenario(judged))
}

fn of_family(family: &str, standings: &[&Standing]) -> String {
    let heads = ["", "kind", "times worse than the best", "best or equal in", "faults"].map(str::to_owned);
    let mut table = table(heads);
    for standing in standings {
        let Standing { label, kind, score, best_or_equal, scenarios, faults, .. } = *standing;
        let wins =
            if *kind == Kind::Policy { format!("{best_or_equal} of {scenarios}") } else { String::new() };
        let faults = if *faults == 0 { String::new() } else { faults.to_string() };
        table.add_row(vec![
            Cell::new(plain(label)),
            Cell::new(kind.name()),
            number(figure(*score)),
            number(wins),
            number(faults),
        ]);
    }
    format!("{}\n{table}", findings::of_family(family, standings))
}

/// One policy against another, scenario by scenario.
pub(super) fn comparison(first: &str, second: &str, differences: &[(&Judged, Difference)]) -> String {
    let heads = ["scenario", "metric", "seeds"].map(str::to_owned).into_iter();
    let labels = [plain(first), plain(second), "difference [95 %]".to_owned(), "the first is".to_owned()];
    let mut table = table(heads.chain(labels));
    for (judged, shown) in differences {
        let mean = |label: &str| {
            let row = judged.policies().find(|row| row.label == label);
            measure(row.and_then(|row| row.measured.get(judged.judge())))
        };
        table.add_row(vec![
            Cell::new(&judged.scenario),
            Cell::new(judged.metric().map(head).unwrap_or_default()),
            number(judged.seeds.len().to_string()),
            number(mean(first)),
            number(mean(second)),
            number(difference(shown)),
            Cell::new(shown.verdict.words()),
        ]);
    }
    table.to_string()
}
