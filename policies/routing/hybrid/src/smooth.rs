//! Utilisation by row, smoothed over time.
//!
//! A cache of the instance: a fresh instance starts from what it sees first. A row that passes to another member
//! is forgotten within a few time constants.

const TIME_CONSTANT_MS: f32 = 30_000.0;

/// Exponentially weighted means with one time constant.
#[derive(Debug, Default)]
pub(crate) struct Smoothed {
    at_ms: u64,
    values: Vec<f32>,
}

impl Smoothed {
    /// Takes the values of rows `0 ..< rows` at a time.
    pub(crate) fn observe(&mut self, now_ms: u64, rows: u32, value: impl Fn(u32) -> f32) {
        let known = self.values.len() as u32;
        if now_ms > self.at_ms {
            let elapsed_ms = (now_ms - self.at_ms) as f32;
            let step = 1.0 - (-elapsed_ms / TIME_CONSTANT_MS).exp();
            for (row, smoothed) in (0_u32..).zip(&mut self.values) {
                *smoothed += step * (value(row) - *smoothed);
            }
            self.at_ms = now_ms;
        }
        self.values.extend((known..rows).map(value));
        self.values.truncate(rows as usize);
    }

    /// The smoothed value of a row.
    pub(crate) fn of(&self, row: u32) -> f32 {
        self.values.get(row as usize).copied().unwrap_or_default()
    }
}
