//! Settings of an operator that are out of their range, said the same way everywhere.
//!
//! Invariant: a machine that was given checked rules never divides by zero, waits forever or grows without bound.
//! Reading settings from files is the shell's work.

use std::ops::RangeInclusive;

/// A setting is out of its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{field}` must be {low} to {high}, is {value}")]
pub struct SettingError {
    /// The setting.
    pub field: &'static str,
    /// The value given.
    pub value: f64,
    /// Lowest allowed.
    pub low: f64,
    /// Highest allowed.
    pub high: f64,
}

/// Checks one setting; not-a-number is never within.
///
/// # Errors
/// [`SettingError`]
pub fn within(field: &'static str, value: f64, range: RangeInclusive<f64>) -> Result<(), SettingError> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(SettingError { field, value, low: *range.start(), high: *range.end() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_out_of_range_is_named_with_what_would_be_right() {
        assert_eq!(within("share", 1.0, 0.0..=1.0), Ok(()));
        assert_eq!(
            within("share", 1.5, 0.0..=1.0).unwrap_err().to_string(),
            "`share` must be 0 to 1, is 1.5"
        );
        assert!(within("share", f64::NAN, 0.0..=1.0).is_err());
    }
}
