//! The page: question and answer first, then how to read it, then families and scenarios, at the end how to make it again.
//!
//! Invariant: it needs no other file and no network, and has no script; light or dark is the reader's choice.

use super::markup::anchor;
use super::text::{escape, name};
use super::{findings, section, summary};
use crate::contest::{Judged, Standing};
use crate::plot;
use crate::scenario::Skipped;

const STYLE: &str = include_str!("page.css");

/// How to read the page.
const READING: &str = r#"<div class="card"><h2>How to read this</h2><ul>
<li>Everybody ran every scenario once for each seed. A seed decides everything that is left to chance, and all had the same ones, so differences are taken seed by seed.</li>
<li><b>a ± b</b> is a mean and half the width of its 95 % confidence interval (Student’s t over the seeds); brackets hold both ends. The fewer seeds, the wider.</li>
<li><b>Better</b> and <b>worse</b> are said only where the whole interval of the difference lies on one side of zero. <b>No difference shown</b> does not mean equal: these seeds do not tell. Of twenty comparisons of equals about one is called different by chance.</li>
<li><span class="mark"></span><b>policy</b>: a WebAssembly component that Pilothouse can run.
<span class="mark reference"></span><b>reference</b>: a simple or well-known algorithm in native code, the baseline.
<span class="mark bound"></span><b>bound</b>: what nobody can beat, because it knows what no policy can know.
<span class="mark published"></span><b>published</b>: a figure that others published for the same data and protocol.</li>
<li><b>Times worse than the best policy</b>: 1 is the best policy of a scenario, 1.1 is a tenth worse; over several scenarios the geometric mean. Scenarios in which the best has 0 say nothing about ratios and do not count in it.</li></ul></div>"#;

/// A report.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    /// What was asked.
    pub question: &'a str,
    /// The command that makes it again.
    pub command: &'a str,
    /// Version of the program.
    pub version: &'a str,
    /// What was found.
    pub judged: &'a [Judged],
    /// What was left out.
    pub skipped: &'a [Skipped],
    /// Tables of families.
    pub standings: &'a [Standing],
    /// Two policies that were compared, by label.
    pub pair: Option<(&'a str, &'a str)>,
}

impl Document<'_> {
    /// A page that needs nothing else.
    #[must_use]
    pub fn html(&self) -> String {
        let question = name(self.question);
        [
            format!(
                r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{question}</title><style>{}{STYLE}</style></head><body><header><h1>{question}</h1>"#,
                plot::STYLE
            ),
            self.answer(),
            "</header><main>".to_owned(),
            self.skipped(),
            READING.to_owned(),
            self.contents(),
            self.pair.map(|(first, second)| format!("<h2>Side by side</h2>{}", section::comparison(first, second, self.judged))).unwrap_or_default(),
            self.families().into_iter().map(|family| self.family(family)).collect(),
            self.again(),
            "</main></body></html>\n".to_owned(),
        ]
        .concat()
    }

    /// Families in the order of the scenarios.
    fn families(&self) -> Vec<&'static str> {
        let mut families: Vec<&'static str> = Vec::new();
        for judged in self.judged {
            if !families.contains(&judged.family) {
                families.push(judged.family);
            }
        }
        families
    }

    fn of(&self, family: &str) -> impl Iterator<Item = &Judged> {
        self.judged.iter().filter(move |judged| judged.family == family)
    }

    fn answer(&self) -> String {
        if let Some((first, second)) = self.pair {
            let shown: Vec<_> =
                self.judged.iter().filter_map(|judged| judged.compare(first, second)).collect();
            return format!("<p>{}</p>", escape(&findings::of_comparison(first, second, &shown)));
        }
        let sentence = |family: &'static str| {
            let sentence = match self.of(family).collect::<Vec<_>>().as_slice() {
                [only] => findings::of_scenario(only),
                _ => {
                    let ours: Vec<_> =
                        self.standings.iter().filter(|standing| standing.family == family).collect();
                    findings::of_family(family, &ours)
                }
            };
            format!("<p>{}</p>", escape(&sentence))
        };
        self.families().into_iter().map(sentence).collect()
    }

    fn skipped(&self) -> String {
        let item = |skipped: &Skipped| {
            format!("<li><b>{}</b>: {}</li>", escape(&skipped.scenario), escape(&skipped.remedy()))
        };
        let items: String = self.skipped.iter().map(item).collect();
        if items.is_empty() {
            return String::new();
        }
        format!(
            r#"<div class="card warning"><h2>Left out: {} scenarios without their data</h2><ul>{items}</ul></div>"#,
            self.skipped.len()
        )
    }

    fn contents(&self) -> String {
        if self.judged.len() < 2 {
            return String::new();
        }
        let item = |judged: &Judged| {
            format!(r##"<li><a href="#{}">{}</a></li>"##, anchor(&judged.scenario), escape(&judged.scenario))
        };
        let list = |family: &'static str| {
            format!("<div><b>{family}</b><ul>{}</ul></div>", self.of(family).map(item).collect::<String>())
        };
        format!("<nav>{}</nav>", self.families().into_iter().map(list).collect::<String>())
    }

    fn family(&self, family: &'static str) -> String {
        let sections: String = self.of(family).map(section::html).collect();
        let summary = if self.of(family).count() > 1 {
            summary::html(family, self.standings, self.judged)
        } else {
            String::new()
        };
        format!("<h2>Family {family}</h2>{summary}{sections}")
    }

    fn again(&self) -> String {
        let mut digests: Vec<(&str, &str)> = Vec::new();
        for row in self.judged.iter().flat_map(Judged::policies) {
            let digest = row.digest.as_deref().unwrap_or_default();
            if !digests.contains(&(row.label.as_str(), digest)) {
                digests.push((&row.label, digest));
            }
        }
        let digests: String = digests
            .into_iter()
            .map(|(label, digest)| {
                format!("<dt>{}</dt><dd><code>{}</code></dd>", name(label), escape(digest))
            })
            .collect();
        format!(
            "<h2>Make it again</h2><p>The same command, components and data give the same bytes.</p><pre>{}</pre>\
             <details><summary>Components and their digests</summary><dl>{digests}</dl></details>\
             <footer>Pilothouse {}</footer>",
            escape(self.command),
            escape(self.version)
        )
    }
}
