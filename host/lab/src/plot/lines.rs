//! Curves over a common axis.
//!
//! Invariant: what is a backdrop lies behind all curves; the legend names everything in the order given.

use super::Frame;
use super::axis::{Axis, is_drawable};
use super::svg::{Svg, WIDTH};
use crate::report::text::escape;

/// The plot's own area: left, right, height.
const LEFT: f64 = 62.0;
const RIGHT: f64 = WIDTH - 12.0;
const HEIGHT: f64 = 250.0;
/// Below it: ticks and the name of the axis.
const FOOT: f64 = 44.0;
/// About the width of a letter.
const LETTER: f64 = 7.0;
/// Colours of series; then they begin again.
const COLOURS: usize = 6;

/// How a curve is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A line in the colour of this number.
    Series(usize),
    /// A dashed line without colour.
    Dashed,
    /// A filled area behind everything.
    Backdrop,
}

/// A named series of points.
#[derive(Debug, Clone)]
pub struct Line {
    /// What it is, for the legend.
    pub name: String,
    /// Points in ascending order of `x`.
    pub points: Vec<(f64, f64)>,
    /// How it is drawn.
    pub look: Look,
}

impl Line {
    fn drawable(&self) -> impl Iterator<Item = (f64, f64)> {
        self.points.iter().copied().filter(|(x, y)| is_drawable(*x) && is_drawable(*y))
    }

    fn class(&self) -> String {
        match self.look {
            Look::Series(number) => format!("line s{}", number % COLOURS),
            Look::Dashed => "line dashed".to_owned(),
            Look::Backdrop => "backdrop".to_owned(),
        }
    }
}

/// Draws curves.
#[must_use]
pub fn lines(frame: Frame<'_>, series: &[Line]) -> String {
    let legend = if series.len() > 1 { legend(series) } else { Vec::new() };
    let legend_rows = legend.iter().map(|(_, row)| row + 1.0).fold(0.0, f64::max);
    let top = 40.0 + 20.0 * legend_rows;
    let bottom = top + HEIGHT;
    let points = || series.iter().flat_map(Line::drawable);
    let x = Axis::linear(points().map(|(x, _)| x), None, LEFT..RIGHT);
    let y = Axis::linear(points().map(|(_, y)| y), Some(0.0), bottom..top + 8.0);
    let mut svg = Svg::new(bottom + FOOT, frame.title);
    svg.text("soft", (0.0, top - 6.0), &escape(frame.y));
    for (value, label) in y.ticks() {
        svg.line("grid", (LEFT, y.at(value)), (RIGHT, y.at(value)));
        svg.text("soft end", (LEFT - 8.0, y.at(value) + 4.0), &label);
    }
    for (value, label) in x.ticks() {
        svg.line("axis", (x.at(value), bottom), (x.at(value), bottom + 5.0));
        svg.text("soft middle", (x.at(value), bottom + 19.0), &label);
    }
    svg.line("axis", (LEFT, bottom), (RIGHT, bottom));
    svg.text("soft end", (RIGHT, bottom + 36.0), &escape(frame.x));
    let is_backdrop = |line: &&Line| line.look == Look::Backdrop;
    for line in series.iter().filter(is_backdrop) {
        let places: Vec<_> = line.drawable().map(|(at, value)| (x.at(at), y.at(value))).collect();
        let ends = places.first().zip(places.last()).map(|((first, _), (last, _))| (*first, *last));
        let ground = ends.into_iter().flat_map(|(first, last)| [(last, bottom), (first, bottom)]);
        svg.polygon(&line.class(), places.iter().copied().chain(ground));
    }
    for line in series.iter().filter(|line| !is_backdrop(line)) {
        svg.polyline(&line.class(), line.drawable().map(|(at, value)| (x.at(at), y.at(value))));
    }
    for (line, (left, row)) in series.iter().zip(legend) {
        let middle = 32.0 + 20.0 * row;
        match line.look {
            Look::Backdrop => svg.rectangle(&line.class(), (left, middle - 6.0), (22.0, 12.0)),
            _ => svg.line(&line.class(), (left, middle), (left + 22.0, middle)),
        }
        svg.text("", (left + 28.0, middle + 4.0), &escape(&line.name));
    }
    svg.finish()
}

/// Where each entry of the legend begins, and in which row.
fn legend(series: &[Line]) -> Vec<(f64, f64)> {
    let (mut left, mut row) = (0.0, 0.0);
    let mut places = Vec::with_capacity(series.len());
    for line in series {
        let width = 46.0 + LETTER * line.name.chars().count() as f64;
        if left > 0.0 && left + width > WIDTH {
            (left, row) = (0.0, row + 1.0);
        }
        places.push((left, row));
        left += width;
    }
    places
}
