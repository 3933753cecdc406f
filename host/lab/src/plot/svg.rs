//! The few shapes that plots are made of, as text.
//!
//! Invariant: coordinates have one decimal, which is finer than a screen and keeps reports small; texts are escaped.

use std::fmt::Write as _;

use crate::report::text::escape;

/// Width of a plot in its own units; the page scales it.
pub(super) const WIDTH: f64 = 860.0;

/// A picture in the making.
pub(super) struct Svg(String);

impl Svg {
    pub(super) fn new(height: f64, title: &str) -> Self {
        let title = escape(title);
        let mut svg = Self(format!(
            r#"<svg class="plot" viewBox="0 0 {WIDTH} {height:.0}" xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{title}">"#
        ));
        svg.text("title", (0.0, 16.0), &title);
        svg
    }

    fn push(&mut self, shape: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.0.write_fmt(shape);
    }

    /// `text` must be escaped.
    pub(super) fn text(&mut self, class: &str, (x, y): (f64, f64), text: &str) {
        self.push(format_args!(r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{text}</text>"#));
    }

    pub(super) fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        self.push(format_args!(
            r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
        ));
    }

    pub(super) fn rectangle(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64)) {
        self.push(format_args!(
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"/>"#
        ));
    }

    pub(super) fn circle(&mut self, class: &str, (x, y): (f64, f64), radius: f64) {
        self.push(format_args!(r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="{radius:.1}"/>"#));
    }

    pub(super) fn diamond(&mut self, class: &str, (x, y): (f64, f64), radius: f64) {
        let (left, right, top, bottom) = (x - radius, x + radius, y - radius, y + radius);
        let points = [(left, y), (x, top), (right, y), (x, bottom)];
        self.polygon(class, points.into_iter());
    }

    pub(super) fn polygon(&mut self, class: &str, points: impl Iterator<Item = (f64, f64)>) {
        self.shape("polygon", class, points);
    }

    pub(super) fn polyline(&mut self, class: &str, points: impl Iterator<Item = (f64, f64)>) {
        self.shape("polyline", class, points);
    }

    fn shape(&mut self, name: &str, class: &str, points: impl Iterator<Item = (f64, f64)>) {
        self.push(format_args!(r#"<{name} class="{class}" points=""#));
        for (x, y) in points {
            self.push(format_args!("{x:.1},{y:.1} "));
        }
        self.push(format_args!(r#""/>"#));
    }

    pub(super) fn finish(self) -> String {
        self.0 + "</svg>"
    }
}
