//! An agent's newest log lines.
//!
//! Invariant: at most [`LINES_MAX`] lines and [`LOG_BYTES_MAX`] bytes; the oldest leave, the numbers go on.

use std::collections::VecDeque;

use crate::driver::{LogLine, Stream};

/// Most lines kept for an agent.
pub const LINES_MAX: usize = 128;
/// Most bytes kept for an agent.
pub const LOG_BYTES_MAX: usize = 32 << 10;
/// Longest line, bytes.
const LINE_BYTES_MAX: usize = 4 << 10;

#[derive(Debug, Default)]
pub(super) struct Lines {
    kept: VecDeque<LogLine>,
    bytes: usize,
    written: u64,
}

impl Lines {
    /// Adds lines; the texts are escaped already.
    pub(super) fn extend(&mut self, at_ms: u64, texts: Vec<String>) {
        for mut text in texts {
            let end = (0..=LINE_BYTES_MAX.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
            text.truncate(end.unwrap_or(0));
            self.written += 1;
            self.bytes += text.len();
            self.kept.push_back(LogLine { number: self.written, at_ms, stream: Stream::Log, text });
            while self.kept.len() > LINES_MAX || self.bytes > LOG_BYTES_MAX {
                self.bytes -= self.kept.pop_front().map_or(self.bytes, |line| line.text.len());
            }
        }
    }

    /// The newest lines, oldest first.
    pub(super) fn tail(&self, count: usize) -> Vec<LogLine> {
        self.kept.iter().skip(self.kept.len().saturating_sub(count)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_kept_within_their_bounds() {
        let mut lines = Lines::default();
        lines.extend(1, (0..300).map(|number| format!("{number}")).collect());
        assert_eq!(lines.tail(usize::MAX).len(), LINES_MAX);
        let last = lines.tail(1);
        assert_eq!((last[0].number, last[0].text.as_str()), (300, "299"));
        lines.extend(2, (0..20).map(|_| "ä".repeat(4_000)).collect());
        assert!(lines.kept.iter().map(|line| line.text.len()).sum::<usize>() <= LOG_BYTES_MAX);
        assert_eq!(lines.tail(1)[0].text.len(), LINE_BYTES_MAX);
    }
}
