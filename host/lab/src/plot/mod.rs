//! Plots as SVG text, for reports that open anywhere.
//!
//! series -> [`lines`] (curves over a common axis) | [`spreads`] (one row each: seeds, mean, interval) -> SVG that scales
//! with its page
//!
//! Colours are classes: a page that has [`STYLE`] shows plots light or dark as its reader likes; [`standalone`] puts the
//! style inside, for a file of its own.
//!
//! Invariant: the same series give the same bytes. Values that are not finite are left out. Names are escaped.

mod axis;
mod lines;
mod spreads;
mod svg;

pub use lines::{Line, Look, lines};
pub use spreads::{Mark, Spread, spreads};

/// Colours of plots and pages, light and dark. Series have those that people who see few colours can tell apart (Okabe and
/// Ito 2008), lighter on dark paper.
pub const STYLE: &str = include_str!("style.css");

/// Texts around a plot.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// What it shows.
    pub title: &'a str,
    /// The horizontal axis with its unit.
    pub x: &'a str,
    /// The vertical axis with its unit.
    pub y: &'a str,
}

/// A plot as a file of its own: its style inside.
#[must_use]
pub fn standalone(plot: &str) -> String {
    plot.replacen('>', &format!("><style>{STYLE}</style>"), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame<'_> = Frame { title: "title", x: "time, s", y: "replicas" };

    fn line(points: &[(f64, f64)]) -> Line {
        Line { name: "<a line>".to_owned(), points: points.to_vec(), look: Look::Series(0) }
    }

    fn spread(mean: f64) -> Spread {
        let values = vec![mean - 0.5, mean + 0.5];
        let interval = Some((mean - 1.0, mean + 1.0));
        Spread {
            name: "a & b".to_owned(),
            mark: Mark::Policy,
            mean,
            interval,
            values,
            figure: "5".to_owned(),
        }
    }

    #[test]
    fn plots_carry_their_texts_escaped_and_are_the_same_twice() {
        let series = [line(&[(0.0, 1.0), (1.0, 3.0)]), line(&[(0.0, 2.0), (1.0, 2.5)])];
        let svg = lines(FRAME, &series);
        for wanted in ["<svg", "title", "time, s", "replicas", "&lt;a line&gt;"] {
            assert!(svg.contains(wanted), "{wanted} is missing");
        }
        assert_eq!(svg, lines(FRAME, &series));
        assert!(spreads("title", "bill", &[spread(1.0)]).contains("a &amp; b"));
        assert!(standalone(&svg).contains("<style>"));
    }

    #[test]
    fn no_data_and_data_that_is_no_number_make_a_plot_as_well() {
        let sound = |svg: &str| svg.ends_with("</svg>") && !svg.contains("NaN") && !svg.contains("inf");
        for points in [&[][..], &[(0.0, f64::NAN)], &[(f64::INFINITY, 1.0)], &[(1.0, 1.0)], &[(0.0, -1e300)]]
        {
            assert!(sound(&lines(FRAME, &[line(points)])), "{points:?}");
        }
        for means in [&[][..], &[f64::NAN], &[1.0, 2.0], &[0.0, 1e-300, 1e300], &[0.01, 1.0, 1000.0]] {
            let rows: Vec<Spread> = means.iter().copied().map(spread).collect();
            assert!(sound(&spreads("t", "x", &rows)), "{means:?}");
        }
    }
}
