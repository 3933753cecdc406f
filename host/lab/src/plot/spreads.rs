//! One row for each competitor: a dot for each seed, the mean, and where the mean lies with 95 % confidence.
//!
//! Invariant: rows stand in the order given; one without a number has its name and its text, and no mark.

use super::axis::{Axis, is_drawable};
use super::svg::{Svg, WIDTH};
use crate::report::text::escape;

/// The plot's own area: left, right, top.
const LEFT: f64 = 190.0;
const RIGHT: f64 = WIDTH - 150.0;
const TOP: f64 = 30.0;
/// Height of a row.
const ROW: f64 = 26.0;
/// Longest name that fits beside the area, characters; longer ones end in dots.
const NAME_MAX: usize = 26;

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A policy.
    Policy,
    /// Something to compare with.
    Reference,
    /// What nobody can beat.
    Bound,
    /// A published figure.
    Published,
}

impl Mark {
    const fn class(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Reference => "reference",
            Self::Bound => "bound",
            Self::Published => "published",
        }
    }
}

/// A row.
#[derive(Debug, Clone)]
pub struct Spread {
    /// Its name.
    pub name: String,
    /// What it is.
    pub mark: Mark,
    /// The mean.
    pub mean: f64,
    /// Lower and upper end of the mean's interval.
    pub interval: Option<(f64, f64)>,
    /// By seed.
    pub values: Vec<f64>,
    /// The mean in words.
    pub figure: String,
}

/// Draws rows over a common axis; its ends may be cut at what a policy or bound never reaches.
#[must_use]
pub fn spreads(title: &str, x: &str, rows: &[Spread]) -> String {
    let bottom = TOP + ROW * rows.len() as f64;
    let values: Vec<f64> = rows
        .iter()
        .flat_map(|row| row.values.iter().copied().chain([row.mean]))
        .filter(|value| is_drawable(*value))
        .collect();
    let axis = Axis::airy(&values, LEFT..RIGHT);
    let mut svg = Svg::new(bottom + 42.0, title);
    for (value, label) in axis.ticks() {
        svg.line("grid", (axis.at(value), TOP), (axis.at(value), bottom));
        svg.text("soft middle", (axis.at(value), bottom + 18.0), &label);
    }
    svg.line("axis", (LEFT, bottom), (RIGHT, bottom));
    svg.text("soft end", (RIGHT, bottom + 36.0), &escape(x));
    for (index, row) in rows.iter().enumerate() {
        draw(&mut svg, row, &axis, TOP + ROW * (index as f64 + 0.5));
    }
    svg.finish()
}

fn draw(svg: &mut Svg, row: &Spread, axis: &Axis, y: f64) {
    let class = if row.mark == Mark::Policy { "strong end" } else { "soft end" };
    svg.text(class, (LEFT - 14.0, y + 4.0), &escape(&shortened(&row.name)));
    svg.text(class, (WIDTH, y + 4.0), &escape(&row.figure));
    for value in row.values.iter().filter(|value| is_drawable(**value)) {
        svg.circle("seed", (axis.at(*value), y), 3.0);
    }
    if !is_drawable(row.mean) {
        return;
    }
    if let Some((lower, upper)) = row.interval {
        svg.line("whisker", (axis.at(lower), y), (axis.at(upper), y));
    }
    let (at, class) = ((axis.at(row.mean), y), row.mark.class());
    match row.mark {
        Mark::Policy | Mark::Reference => svg.circle(class, at, 5.0),
        Mark::Bound | Mark::Published => svg.diamond(class, at, 6.0),
    }
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME_MAX {
        return name.to_owned();
    }
    // The end of a path says more than its beginning.
    let skipped = name.chars().count() - (NAME_MAX - 1);
    std::iter::once('…').chain(name.chars().skip(skipped)).collect()
}
