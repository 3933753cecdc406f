//! Ordinary least squares with a prediction interval (any textbook; Montgomery, Peck and Vining 2012, chapter 2).

/// A straight line through points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Growth of y per x.
    pub slope: f64,
    /// Share of the variance that the line explains, 0..1; 0 where there is nothing to explain.
    pub r_squared: f64,
    count: f64,
    mean: (f64, f64),
    spread_x: f64,
    deviation: f64,
}

impl Line {
    /// Through at least three points with different x.
    #[must_use]
    pub fn through(points: impl Iterator<Item = (f64, f64)> + Clone) -> Option<Self> {
        let count = points.clone().count() as f64;
        let sum = points.clone().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        let mean = (sum.0 / count, sum.1 / count);
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for (x, y) in points {
            let (x, y) = (x - mean.0, y - mean.1);
            (xx, xy, yy) = (xx + x * x, xy + x * y, yy + y * y);
        }
        if count < 3.0 || xx <= 0.0 {
            return None;
        }
        let slope = xy / xx;
        let unexplained = (yy - slope * xy).max(0.0);
        let r_squared = if yy > 0.0 { (1.0 - unexplained / yy).clamp(0.0, 1.0) } else { 0.0 };
        Some(Self {
            slope,
            r_squared,
            count,
            mean,
            spread_x: xx,
            deviation: (unexplained / (count - 2.0)).sqrt(),
        })
    }

    /// The line at x.
    #[must_use]
    pub fn at(&self, x: f64) -> f64 {
        self.mean.1 + self.slope * (x - self.mean.0)
    }

    /// Half the width of the interval that holds 90 % of new observations at x: one in twenty lies above it.
    #[must_use]
    pub fn margin(&self, x: f64) -> f64 {
        let distance = x - self.mean.0;
        let widening = (1.0 + 1.0 / self.count + distance * distance / self.spread_x).sqrt();
        student_95(self.count - 2.0) * self.deviation * widening
    }
}

/// The 95 % quantile of Student's t, by the expansion of Cornish and Fisher (Abramowitz and Stegun 26.7.5); within
/// 2 % from two degrees of freedom on.
fn student_95(freedom: f64) -> f64 {
    let z: f64 = 1.644_854;
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
    z + first / freedom + second / freedom.powi(2) + third / freedom.powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(points: &[(f64, f64)]) -> Option<Line> {
        Line::through(points.iter().copied())
    }

    #[test]
    fn a_straight_line_is_found_without_doubt() {
        let line = line(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0), (5.0, 11.0)]).unwrap();
        assert!((line.at(10.0) - 21.0).abs() < 1e-9 && line.margin(10.0) < 1e-6 && line.r_squared > 0.999);
    }

    #[test]
    fn the_interval_widens_with_the_distance() {
        let line = line(&[(0.0, 1.0), (1.0, 2.0), (2.0, 1.0), (3.0, 2.0)]).unwrap();
        assert!(line.margin(1.5) < line.margin(4.0) && line.margin(4.0) < line.margin(20.0));
    }

    #[test]
    fn too_little_gives_no_line() {
        assert_eq!(line(&[]), None);
        assert_eq!(line(&[(0.0, 1.0), (1.0, 2.0)]), None);
        assert_eq!(line(&[(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)]), None);
    }

    #[test]
    fn quantiles_are_those_of_the_table() {
        for (freedom, expected) in [(2.0, 2.920), (5.0, 2.015), (18.0, 1.734), (1e6, 1.645)] {
            assert!((student_95(freedom) - expected).abs() < 0.02 * expected, "{freedom}");
        }
    }
}
