//! The page.

use crate::contest::{Judged, Standing};
use crate::plot::PlotError;

/// A report.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    /// What was asked.
    pub question: &'a str,
    /// The command that makes it again.
    pub command: &'a str,
    /// Version of the program.
    pub version: &'a str,
    /// What was found.
    pub judged: &'a [Judged],
    /// Tables of families.
    pub standings: &'a [Standing],
    /// Two policies that were compared, by label.
    pub pair: Option<(&'a str, &'a str)>,
}

impl Document<'_> {
    /// A page that needs nothing else.
    ///
    /// # Errors
    /// [`PlotError`].
    pub fn html(&self) -> Result<String, PlotError> {
        Ok(String::new())
    }
}
