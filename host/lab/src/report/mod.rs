//! Reports: what a contest found, for people.
//!
//! [`crate::contest::Judged`] -> [`text`] and [`findings`] (words) -> a table on a terminal or [`Document::html`]
//!
//! Invariant: nothing that a policy says of itself gets into a report unescaped; the same results give the same bytes, so
//! there is no date in a report.

pub mod findings;
mod markup;
mod page;
mod section;
mod summary;
pub mod text;

pub use page::Document;
