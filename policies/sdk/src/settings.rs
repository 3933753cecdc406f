//! A policy's settings, read one by one; everything wrong is collected with its path.
//!
//! Invariant: a getter always returns something usable, so `new` needs no error path; the host refuses the revision if
//! any problem was noted or a setting was never asked for.

/// One scalar.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// true or false.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Number(f64),
    /// A text.
    Text(String),
}

/// One thing wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Dotted path.
    pub path: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// The settings of an instance.
#[derive(Debug, Default)]
pub struct Settings {
    values: Vec<(String, Value)>,
    asked: Vec<String>,
    problems: Vec<Problem>,
}

impl Settings {
    pub(crate) fn new(values: Vec<(String, Value)>) -> Self {
        Self { values, ..Self::default() }
    }

    fn get(&mut self, path: &str) -> Option<Value> {
        self.asked.push(path.to_owned());
        self.values.iter().find(|(known, _)| known == path).map(|(_, value)| value.clone())
    }

    /// Notes that a setting is wrong.
    pub fn problem(&mut self, path: &str, problem: impl Into<String>) {
        self.problems.push(Problem { path: path.to_owned(), problem: problem.into() });
    }

    /// A number within a range.
    pub fn number(&mut self, path: &str, default: f64, range: std::ops::RangeInclusive<f64>) -> f64 {
        let value = match self.get(path) {
            None => return default,
            Some(Value::Number(number)) => number,
            Some(Value::Integer(integer)) => integer as f64,
            Some(_) => f64::NAN,
        };
        if range.contains(&value) {
            return value;
        }
        self.problem(path, format!("use a number from {} to {}", range.start(), range.end()));
        default
    }

    /// A whole number within a range.
    pub fn integer(&mut self, path: &str, default: u32, range: std::ops::RangeInclusive<u32>) -> u32 {
        let value = match self.get(path) {
            None => return default,
            Some(Value::Integer(integer)) => u32::try_from(integer).ok(),
            Some(_) => None,
        };
        if let Some(value) = value.filter(|value| range.contains(value)) {
            return value;
        }
        self.problem(path, format!("use a whole number from {} to {}", range.start(), range.end()));
        default
    }

    /// true or false.
    pub fn flag(&mut self, path: &str, default: bool) -> bool {
        match self.get(path) {
            None => default,
            Some(Value::Flag(flag)) => flag,
            Some(_) => {
                self.problem(path, "use true or false");
                default
            }
        }
    }

    /// One of some words; gives its index.
    pub fn one_of(&mut self, path: &str, words: &[&str]) -> usize {
        let text = match self.get(path) {
            None => return 0,
            Some(Value::Text(text)) => text,
            Some(_) => String::new(),
        };
        if let Some(place) = words.iter().position(|word| *word == text) {
            return place;
        }
        self.problem(path, format!("use one of {}", words.join(", ")));
        0
    }

    pub(crate) fn finish(mut self) -> Vec<Problem> {
        let unknown: Vec<String> = self
            .values
            .iter()
            .map(|(path, _)| path)
            .filter(|path| !self.asked.contains(path))
            .cloned()
            .collect();
        for path in unknown {
            self.problem(&path, "there is no such setting");
        }
        self.problems
    }
}
