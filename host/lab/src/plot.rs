//! Plots as SVG, for reports that open anywhere.
//!
//! series -> [`lines`] | [`bars`] -> SVG text that scales with the page
//!
//! Invariant: the same series give the same bytes. Values that are not finite are left out.

use std::ops::Range;

use plotters::prelude::*;

/// Size of a plot in its own units; the page scales it.
const SIZE: (u32, u32) = (860, 380);
const TEXT: (&str, u32) = ("sans-serif", 15);
/// Colours that people who see few colours can tell apart (Okabe and Ito 2008).
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
    RGBColor(148, 148, 148),
];

/// A plot could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw the plot `{title}`: {problem}")]
pub struct PlotError {
    /// Which one.
    title: String,
    /// What went wrong.
    problem: String,
}

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

/// A named series of points.
#[derive(Debug, Clone)]
pub struct Line {
    /// What it is, for the legend.
    pub name: String,
    /// Points in ascending order of `x`.
    pub points: Vec<(f64, f64)>,
}

/// A named value, perhaps with a confidence interval.
#[derive(Debug, Clone)]
pub struct Bar {
    /// What it is.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Lower and upper end of the interval.
    pub interval: Option<(f64, f64)>,
}

/// Lines over a common axis.
///
/// # Errors
/// [`PlotError`].
pub fn lines(frame: Frame<'_>, series: &[Line]) -> Result<String, PlotError> {
    let points =
        || series.iter().flat_map(|line| &line.points).filter(|(x, y)| x.is_finite() && y.is_finite());
    let x = span(points().map(|&(x, _)| x), None);
    let y = span(points().map(|&(_, y)| y), Some(0.0));
    draw(frame, |root| {
        let mut chart = ChartBuilder::on(root)
            .caption(frame.title, (TEXT.0, TEXT.1 + 3))
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(64)
            .build_cartesian_2d(x, y)?;
        let plain = |value: &f64| value.to_string();
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_label_formatter(&plain)
            .y_label_formatter(&plain)
            .x_desc(frame.x)
            .y_desc(frame.y)
            .label_style(TEXT)
            .draw()?;
        for (line, colour) in series.iter().zip(COLOURS.iter().cycle()) {
            let colour = *colour;
            let points = line.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite());
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
                .label(&line.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3)));
        }
        if series.len() > 1 {
            let legend =
                chart.configure_series_labels().background_style(WHITE.mix(0.85)).label_font(TEXT).draw();
            legend?;
        }
        Ok(())
    })
}

/// Bars side by side, in the order given; intervals as whiskers.
///
/// # Errors
/// [`PlotError`].
pub fn bars(frame: Frame<'_>, bars: &[Bar]) -> Result<String, PlotError> {
    let tops = bars.iter().flat_map(|bar| [bar.value, bar.interval.map_or(bar.value, |(_, upper)| upper)]);
    let y = span(tops.filter(|value| value.is_finite()), Some(0.0));
    let count = bars.len().max(1) as f64;
    draw(frame, |root| {
        let mut chart = ChartBuilder::on(root)
            .caption(frame.title, (TEXT.0, TEXT.1 + 3))
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..count, y)?;
        let name = |at: &f64| {
            let middle = (at.fract() - 0.5).abs() < 0.01;
            let bar = bars.get(at.floor() as usize).filter(|_| middle);
            bar.map(|bar| bar.name.clone()).unwrap_or_default()
        };
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(WHITE)
            .x_labels(bars.len() * 2 + 1)
            .x_label_formatter(&name)
            .x_desc(frame.x)
            .y_desc(frame.y)
            .label_style(TEXT)
            .draw()?;
        for (index, bar) in (0_u32..).zip(bars).filter(|(_, bar)| bar.value.is_finite()) {
            let at = f64::from(index);
            let colour = COLOURS.iter().cycle().nth(index as usize).copied().unwrap_or(BLACK);
            chart
                .draw_series([Rectangle::new([(at + 0.15, 0.0), (at + 0.85, bar.value)], colour.filled())])?;
            if let Some((lower, upper)) = bar.interval {
                let whisker = PathElement::new([(at + 0.5, lower), (at + 0.5, upper)], BLACK.stroke_width(2));
                chart.draw_series([whisker])?;
            }
        }
        Ok(())
    })
}

type Root<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn draw(frame: Frame<'_>, paint: impl for<'a> FnOnce(&Root<'a>) -> Drawn<'a>) -> Result<String, PlotError> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let painted = root.fill(&WHITE).and_then(|()| paint(&root)).and_then(|()| root.present());
        painted.map_err(|error| PlotError { title: frame.title.to_owned(), problem: error.to_string() })?;
    }
    // Without a fixed size the page decides how large it is.
    let (width, height) = SIZE;
    Ok(svg.replacen(&format!(r#"width="{width}" height="{height}""#), r#"class="plot""#, 1))
}

/// The range of values with some air above, from `least` if given. Never empty.
fn span(values: impl Iterator<Item = f64>, least: Option<f64>) -> Range<f64> {
    let (low, high) = values
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return 0.0..1.0;
    }
    let low = least.map_or(low, |least| low.min(least));
    let air = if least.is_some() { 0.05 * (high - low) } else { 0.0 };
    if high > low { low..high + air } else { low..low + 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame<'_> = Frame { title: "title", x: "time, s", y: "replicas" };

    fn line(points: &[(f64, f64)]) -> Line {
        Line { name: "a line".to_owned(), points: points.to_vec() }
    }

    #[test]
    fn plots_carry_their_texts_and_are_the_same_twice() {
        let series = [line(&[(0.0, 1.0), (1.0, 3.0)]), line(&[(0.0, 2.0), (1.0, 2.5)])];
        let svg = lines(FRAME, &series).unwrap();
        for wanted in ["<svg", "title", "time, s", "replicas", "a line"] {
            assert!(svg.contains(wanted), "{wanted} is missing");
        }
        assert_eq!(svg, lines(FRAME, &series).unwrap());
    }

    #[test]
    fn no_data_and_data_that_is_no_number_make_a_plot_as_well() {
        for points in [&[][..], &[(0.0, f64::NAN)], &[(f64::INFINITY, 1.0)], &[(1.0, 1.0)]] {
            assert!(lines(FRAME, &[line(points)]).unwrap().contains("</svg>"));
        }
        let bar = |value| Bar { name: "b".to_owned(), value, interval: Some((0.0, 2.0)) };
        for values in [&[][..], &[f64::NAN], &[1.0, 2.0]] {
            assert!(
                bars(FRAME, &values.iter().copied().map(bar).collect::<Vec<_>>()).unwrap().contains("</svg>")
            );
        }
    }
}
