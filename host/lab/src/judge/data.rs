//! Where recordings come from: whoever calls the lab reads files, the lab parses texts.
//!
//! Invariant: a recording that is not there and one that cannot be used are told apart: the first leaves out its scenario,
//! the second is a mistake that somebody should see.

/// Texts of recorded data, by their path in the data folder.
pub trait Data: Sync {
    /// The texts in a file, decompressed: one for a plain file, one per member of an archive in the order of their
    /// names' numbers.
    ///
    /// # Errors
    /// [`DataError`].
    fn texts(&self, path: &str) -> Result<Vec<String>, DataError>;

    /// The one text of a plain file.
    ///
    /// # Errors
    /// [`DataError`].
    fn text(&self, path: &str) -> Result<String, DataError> {
        Ok(self.texts(path)?.into_iter().next().unwrap_or_default())
    }
}

/// There is no data.
#[derive(Debug, Clone, Copy)]
pub struct NoData;

impl Data for NoData {
    fn texts(&self, path: &str) -> Result<Vec<String>, DataError> {
        Err(DataError::Missing { path: path.to_owned() })
    }
}

/// Why there is no recording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// There is no such file.
    #[error("{path} is not there")]
    Missing {
        /// The file.
        path: String,
    },
    /// It is there and cannot be used.
    #[error("{path}: {problem}")]
    Unusable {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl DataError {
    /// Something is wrong with a file.
    pub fn unusable(path: &str, problem: impl ToString) -> Self {
        Self::Unusable { path: path.to_owned(), problem: problem.to_string() }
    }
}
