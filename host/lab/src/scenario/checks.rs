//! Checks of a scenario's values, gathered so that an author sees all of them at once.
//!
//! Invariant: a problem names its key and says what would be right.

/// Something wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, with its table.
    pub key: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`: {}", self.key, self.problem)
    }
}

/// What was found so far.
#[derive(Debug, Default)]
pub struct Checks(Vec<Problem>);

impl Checks {
    /// Notes a problem.
    pub fn problem(&mut self, key: &str, problem: impl Into<String>) {
        self.0.push(Problem { key: key.to_owned(), problem: problem.into() });
    }

    /// A number must lie within bounds.
    pub fn within(&mut self, key: &str, value: f64, least: f64, most: f64) {
        if !(least..=most).contains(&value) {
            self.problem(key, format!("{value} is out of range; use {least} to {most}"));
        }
    }

    /// A name is a short word that stands in tables, commands and file names.
    pub fn name(&mut self, key: &str, value: &str, bytes_max: usize) {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if value.is_empty() || value.len() > bytes_max || !value.chars().all(plain) {
            let problem = format!("use 1 to {bytes_max} of the characters a-z, 0-9 and -");
            self.problem(key, problem);
        }
    }

    /// A text for people must not be empty or endless.
    pub fn text(&mut self, key: &str, value: &str, bytes_max: usize) {
        if value.trim().is_empty() || value.len() > bytes_max {
            self.problem(key, format!("use 1 to {bytes_max} bytes of text"));
        }
    }

    /// All of them.
    #[must_use]
    pub fn into_problems(self) -> Vec<Problem> {
        self.0
    }
}
