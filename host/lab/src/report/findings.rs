//! What was found, in sentences.
//!
//! Invariant: a sentence claims that one policy is better only where the interval of the difference shows it; with one seed
//! it claims nothing.

use super::text::{difference, plain, with_unit};
use crate::contest::{Judged, Row, Standing};
use crate::judge::{Kind, Metric};
use crate::statistics::{Better, Difference, Verdict};

/// The sentence of a scenario.
#[must_use]
pub fn of_scenario(judged: &Judged) -> String {
    let (Some(metric), Some(best)) = (judged.metric(), judged.policies().find(|row| row.problem.is_none()))
    else {
        return "No policy could be measured.".to_owned();
    };
    let judge = judged.judge();
    let value = with_unit(best.mean(judge), metric);
    let mut sentence = format!("{} leads with {value} ({})", plain(&best.label), metric.name);
    if let Some(second) = judged.policies().filter(|row| row.problem.is_none()).nth(1) {
        sentence.push_str(&match &second.against_best {
            Some(shown) if shown.verdict == Verdict::Worse => {
                format!("; {} is next and shown to be worse by {}", plain(&second.label), distance(shown))
            }
            _ => format!("; no difference shown to {}", plain(&second.label)),
        });
    }
    sentence.push('.');
    for row in judged.rows.iter().filter(|row| row.kind != Kind::Policy) {
        if let Some(words) = beside(row, best, judge, metric) {
            sentence.push(' ');
            sentence.push_str(&words);
        }
    }
    let faulty: Vec<String> = judged.policies().filter_map(faults).collect();
    if !faulty.is_empty() {
        sentence.push_str(&format!(" Faults: {}.", faulty.join(", ")));
    }
    sentence
}

/// How far off something is, without a sign.
fn distance(shown: &Difference) -> String {
    difference(shown).trim_start_matches(['+', '-']).to_owned()
}

/// What is worth saying of a reference, a bound or a published figure: the one to beat.
fn beside(row: &Row, best: &Row, judge: usize, metric: &Metric) -> Option<String> {
    let (theirs, ours) = (row.mean(judge), best.mean(judge));
    if !theirs.is_finite() {
        return None;
    }
    let ahead = match metric.better {
        Better::Lower => theirs < ours,
        Better::Higher => theirs > ours,
    };
    match row.kind {
        Kind::Reference if ahead => {
            let shown = row.against_best.is_some_and(|shown| shown.verdict == Verdict::Better);
            let words =
                if shown { "is better than every policy" } else { "stands above, no difference shown" };
            Some(format!("The reference {} {words} ({}).", plain(&row.label), with_unit(theirs, metric)))
        }
        Kind::Published if ahead => {
            Some(format!("The published {} is better ({}).", plain(&row.label), with_unit(theirs, metric)))
        }
        _ => None,
    }
}

/// What a policy broke, if it did.
#[must_use]
pub fn faults(row: &Row) -> Option<String> {
    let total = row.faults.total();
    let kinds: Vec<String> = row.faults.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    (total > 0).then(|| format!("{} broke {total} times ({})", plain(&row.label), kinds.join(", ")))
}

/// The sentence of a family's table, from its standings.
#[must_use]
pub fn of_family(family: &str, standings: &[&Standing]) -> String {
    let mut policies = standings.iter().filter(|standing| standing.kind == Kind::Policy);
    let Some(first) = policies.next() else { return "No policy took part.".to_owned() };
    let Standing { label, best_or_equal, scenarios, score, .. } = first;
    let label = plain(label);
    let mut sentence = format!("{family}: {label}");
    if score.is_finite() && *score > 1.0 {
        sentence.push_str(&format!(
            " is nearest to the best over all, {} worse in the mean; it",
            percent(*score)
        ));
    }
    sentence.push_str(&format!(
        " is best, or not shown to be worse than the best, in {best_or_equal} of {scenarios} scenarios"
    ));
    if let Some(second) = policies.next().filter(|second| second.score.is_finite()) {
        let Standing { label, best_or_equal, score, .. } = *second;
        sentence.push_str(&format!(
            ". Next is {}, {} worse ({best_or_equal} of {scenarios})",
            plain(label),
            percent(*score),
        ));
    }
    sentence + "."
}

fn percent(score: f64) -> String {
    format!("{:.1}\u{a0}%", 100.0 * (score - 1.0))
}

/// The sentence of a comparison: how often the first is better, worse, or nothing is shown.
#[must_use]
pub fn of_comparison(first: &str, second: &str, differences: &[Difference]) -> String {
    let count = |verdict| differences.iter().filter(|difference| difference.verdict == verdict).count();
    let (better, worse, none) =
        (count(Verdict::Better), count(Verdict::Worse), count(Verdict::NoDifferenceShown));
    let (first, second, all) = (plain(first), plain(second), differences.len());
    let verdict = match (better, worse) {
        (0, 0) => format!("no difference between {first} and {second} is shown"),
        (_, 0) => format!("{first} is better than {second}"),
        (0, _) => format!("{first} is worse than {second}"),
        _ => format!("{first} is better than {second} in some scenarios and worse in others"),
    };
    format!(
        "{verdict}: better in {better}, worse in {worse}, no difference shown in {none} of {all} scenarios."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Estimate;

    #[test]
    fn a_comparison_claims_only_what_is_shown() {
        let shown = |verdict| Difference { estimate: Estimate::known(1.0), verdict };
        use Verdict::{Better as B, NoDifferenceShown as N, Worse as W};
        for (verdicts, wanted) in [
            (&[N, N][..], "no difference between a and b is shown"),
            (&[B, N], "a is better than b: better in 1"),
            (&[N, W], "a is worse than b: better in 0, worse in 1"),
            (&[B, W], "better than b in some scenarios and worse in others"),
        ] {
            let differences: Vec<Difference> = verdicts.iter().copied().map(shown).collect();
            let said = of_comparison("a", "b", &differences);
            assert!(said.contains(wanted), "{said}");
        }
    }
}
