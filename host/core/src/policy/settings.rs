//! A policy's configuration as guests get it: a flat list of scalars with their paths.

/// One scalar.
#[derive(Debug, Clone, PartialEq)]
pub enum SettingValue {
    /// true or false.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Number(f64),
    /// A text.
    Text(String),
}

/// A scalar and its path, for example `weights.latency` or `regions.0`.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Dotted path.
    pub path: String,
    /// The value.
    pub value: SettingValue,
}

/// One thing wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingProblem {
    /// Dotted path.
    pub path: String,
    /// What is wrong and what would be right.
    pub problem: String,
}
