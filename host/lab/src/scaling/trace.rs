//! A load: pieces of work arriving in each second.

use pilothouse_core::fleet::facts::mix;

/// A load. Where nothing is said otherwise, seconds without a record count zero.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trace {
    /// Arrivals of each second.
    pub per_second: Vec<f64>,
    /// The second at which a step was put in, if one was.
    pub step_at_s: Option<usize>,
}

/// A text that is not a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceError {
    /// Number of the word or line, from 1.
    pub place: usize,
    /// What is wrong.
    pub problem: &'static str,
}

impl std::fmt::Display for TraceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at {}: {}", self.place, self.problem)
    }
}

impl std::error::Error for TraceError {}

/// Longest trace, a year: a stray timestamp must not ask for endless memory.
const SECONDS_MAX: usize = 366 * 86_400;

impl Trace {
    /// Counts of consecutive seconds, separated by white space.
    ///
    /// # Errors
    /// The first word that is not a count.
    pub fn from_counts(text: &str) -> Result<Self, TraceError> {
        let count = |(index, word): (usize, &str)| match word.parse::<f64>() {
            Ok(count) if count.is_finite() && count >= 0.0 => Ok(count),
            _ => Err(TraceError { place: index + 1, problem: "not a count" }),
        };
        let per_second = text.split_whitespace().enumerate().map(count).collect::<Result<_, _>>()?;
        Ok(Self { per_second, step_at_s: None })
    }

    /// One line per piece of work in any order, its first field a time: `YYYY-MM-DD HH:MM:SS[.fraction]` or a number
    /// of seconds. A first line that starts with a letter is a heading.
    ///
    /// # Errors
    /// The first line without a time, or times more than a year apart.
    pub fn from_timestamps(csv: &str) -> Result<Self, TraceError> {
        let mut at = Vec::new();
        for (index, line) in csv.lines().enumerate() {
            let field = line.split(',').next().unwrap_or_default().trim();
            let heading = index == 0 && field.starts_with(|first: char| first.is_ascii_alphabetic());
            if field.is_empty() || heading {
                continue;
            }
            at.push(seconds(field).ok_or(TraceError { place: index + 1, problem: "not a time" })?);
        }
        let (Some(&first), Some(&last)) = (at.iter().min(), at.iter().max()) else {
            return Ok(Self::default());
        };
        let span = usize::try_from(last.saturating_sub(first)).unwrap_or(usize::MAX);
        if span >= SECONDS_MAX {
            return Err(TraceError { place: at.len(), problem: "times are more than a year apart" });
        }
        let mut per_second = vec![0.0; span + 1];
        for second in at {
            let place = usize::try_from(second - first).ok().and_then(|place| per_second.get_mut(place));
            if let Some(count) = place {
                *count += 1.0;
            }
        }
        Ok(Self { per_second, step_at_s: None })
    }

    /// A part of so many seconds, from a place drawn by a seed; all of it if it is shorter.
    #[must_use]
    pub fn window(&self, seconds: usize, seed: u64) -> Self {
        let length = seconds.min(self.per_second.len());
        let starts = (self.per_second.len() - length + 1) as u64;
        let first = (mix(seed) % starts) as usize;
        let per_second = self.per_second.iter().skip(first).take(length).copied().collect();
        let step_at_s = self.step_at_s.and_then(|step| step.checked_sub(first)).filter(|&step| step < length);
        Self { per_second, step_at_s }
    }

    /// All arrivals.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.per_second.iter().sum()
    }

    /// The count that a share of all seconds does not exceed.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.per_second.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank"
        )]
        let rank = (share.clamp(0.0, 1.0) * last as f64) as usize;
        sorted.get(rank).copied().unwrap_or_default()
    }
}

/// Whole seconds since some epoch.
fn seconds(field: &str) -> Option<i64> {
    if let Ok(number) = field.parse::<f64>() {
        #[expect(clippy::cast_possible_truncation, reason = "checked to fit")]
        return (number.abs() < 1e15).then_some(number.floor() as i64);
    }
    let (date, time) = field.split_once([' ', 'T'])?;
    let [year, month, day] = whole(date, '-')?;
    let [hour, minute, second] = whole(time.split(['.', 'Z', '+']).next()?, ':')?;
    let in_range = (0..10_000).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    in_range.then(|| days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

fn whole(text: &str, separator: char) -> Option<[i64; 3]> {
    let mut parts = text.split(separator).map(|part| part.parse().ok());
    let three = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(three)
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant, `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}
