//! Where recordings come from: whoever calls the lab reads files, the lab parses texts.
//!
//! Invariant: a file that is not there is no error, because every scenario has parameters to make up what it lacks.

/// Texts of recorded data, by their path in the data folder.
pub trait Data: Sync {
    /// The texts in a file, decompressed: one for a plain file, one per member of an archive in the order of their
    /// names' numbers. `None` if there is no such file.
    ///
    /// # Errors
    /// [`DataError`] if the file is there and cannot be read.
    fn texts(&self, path: &str) -> Result<Option<Vec<String>>, DataError>;

    /// The one text of a plain file.
    ///
    /// # Errors
    /// [`DataError`].
    fn text(&self, path: &str) -> Result<Option<String>, DataError> {
        Ok(self.texts(path)?.map(|texts| texts.into_iter().next().unwrap_or_default()))
    }
}

/// There is no data.
#[derive(Debug, Clone, Copy)]
pub struct NoData;

impl Data for NoData {
    fn texts(&self, _path: &str) -> Result<Option<Vec<String>>, DataError> {
        Ok(None)
    }
}

/// A recording that is there and cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct DataError {
    /// Which file.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
}

impl DataError {
    /// Something is wrong with a file.
    pub fn new(path: &str, problem: impl ToString) -> Self {
        Self { path: path.to_owned(), problem: problem.to_string() }
    }
}
