//! What a workload wrote: its newest lines in memory, more of them in two files.
//!
//! stdout, stderr -> [`Lines`] -> [`Log`] -> ring, `log` and `log.old` in the work directory
//!
//! Invariant: memory and disk are bounded whatever is written; a process that writes faster than [`BYTES_PER_S_MAX`] waits in its own
//! write. A full disk costs the file's lines, never the ring's.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::driver::{LogLine, Stream};

/// Most lines in memory.
pub const LINES_MAX: usize = 1_000;
/// Longest line, bytes; the rest of it is dropped.
pub const LINE_BYTES_MAX: usize = 4 << 10;
/// Longest file; there are two.
pub const FILE_BYTES_MAX: u64 = 4 << 20;
/// Most bytes that are read of one stream in a second.
pub const BYTES_PER_S_MAX: usize = 2 << 20;

/// The log of one instance.
#[derive(Debug)]
pub(super) struct Log {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    lines: VecDeque<LogLine>,
    next: u64,
    path: PathBuf,
    file: Option<BufWriter<File>>,
    file_bytes: u64,
}

impl Log {
    /// A log that goes on in the files of the work directory.
    pub(super) fn new(work_dir: &std::path::Path) -> Arc<Self> {
        let path = work_dir.join("log");
        let file = OpenOptions::new().create(true).append(true).open(&path).ok();
        let file_bytes =
            file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |metadata| metadata.len());
        let inner =
            Inner { lines: VecDeque::new(), next: 0, path, file: file.map(BufWriter::new), file_bytes };
        Arc::new(Self { inner: Mutex::new(inner) })
    }

    /// Takes a line.
    pub(super) fn write(&self, stream: Stream, text: String) {
        let at_ms = wall_ms();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.write(at_ms, stream, &text);
        let number = inner.next;
        inner.next += 1;
        if inner.lines.len() >= LINES_MAX {
            inner.lines.pop_front();
        }
        inner.lines.push_back(LogLine { number, at_ms, stream, text });
    }

    /// Brings lines to the file.
    pub(super) fn flush(&self) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        // A disk that is full now may have room later.
        let _ = inner.file.as_mut().map(BufWriter::flush);
    }

    /// The newest lines, oldest first.
    pub(super) fn tail(&self, count: usize) -> Vec<LogLine> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.lines.iter().skip(inner.lines.len().saturating_sub(count)).cloned().collect()
    }

    /// The newest line, for an error.
    pub(super) fn last(&self) -> Option<String> {
        self.tail(1).pop().map(|line| line.text)
    }
}

impl Inner {
    fn write(&mut self, at_ms: u64, stream: Stream, text: &str) {
        let name = match stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
            Stream::Log => "log",
        };
        let line = format!("{at_ms} {name} {text}\n");
        if self.file_bytes + line.len() as u64 > FILE_BYTES_MAX {
            self.file = None;
            let _ = std::fs::rename(&self.path, self.path.with_extension("old"));
            let new = OpenOptions::new().create(true).write(true).truncate(true).open(&self.path).ok();
            self.file = new.map(BufWriter::new);
            self.file_bytes = 0;
        }
        if let Some(file) = &mut self.file
            && file.write_all(line.as_bytes()).is_ok()
        {
            self.file_bytes += line.len() as u64;
        }
    }
}

fn wall_ms() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "lines carry the time for people; nothing is decided by it"
    )]
    let now = std::time::SystemTime::now();
    let since_epoch = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

/// Cuts bytes into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
}

impl Lines {
    /// Takes bytes; gives every line that is complete.
    pub(super) fn take(&mut self, bytes: &[u8], mut give: impl FnMut(String)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (content, ends) = part.strip_suffix(b"\n").map_or((part, false), |content| (content, true));
            let room = LINE_BYTES_MAX.saturating_sub(self.line.len());
            self.line.extend(content.iter().take(room));
            if ends {
                give(self.end());
            }
        }
    }

    /// What stood behind the last end of a line.
    pub(super) fn rest(mut self) -> Option<String> {
        (!self.line.is_empty()).then(|| self.end())
    }

    fn end(&mut self) -> String {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        let mut text = String::with_capacity(line.len());
        for char in String::from_utf8_lossy(line).chars() {
            if char.is_control() && char != '\t' {
                let _ = write!(text, "{}", char.escape_default());
            } else {
                text.push(char);
            }
        }
        text.truncate(text.floor_char_boundary(LINE_BYTES_MAX));
        text
    }
}

/// Follows a stream to its end.
pub(super) async fn follow(mut source: impl AsyncRead + Unpin, stream: Stream, log: Arc<Log>) {
    let (mut lines, mut buffer) = (Lines::default(), vec![0; 16 << 10]);
    let mut second = tokio::time::Instant::now();
    let mut taken = 0;
    while let Ok(count @ 1..) = source.read(&mut buffer).await {
        lines.take(buffer.get(..count).unwrap_or_default(), |line| log.write(stream, line));
        log.flush();
        taken += count;
        if second.elapsed() >= Duration::from_secs(1) {
            (second, taken) = (tokio::time::Instant::now(), 0);
        } else if taken > BYTES_PER_S_MAX {
            tokio::time::sleep_until(second + Duration::from_secs(1)).await;
        }
    }
    if let Some(line) = lines.rest() {
        log.write(stream, line);
    }
    log.flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(parts: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for part in parts {
            lines.take(part, |line| found.push(line));
            assert!(lines.line.len() <= LINE_BYTES_MAX);
        }
        found.extend(lines.rest());
        found
    }

    #[test]
    fn any_bytes_become_lines_of_bounded_length_without_control_characters() {
        assert_eq!(cut(&[b"a\nb", b"c\r\n\n", b"d"]), ["a", "bc", "", "d"]);
        assert_eq!(cut(&[b"\x1b[31mred\x00\xff\t.\n"]), ["\\u{1b}[31mred\\u{0}\u{fffd}\t."]);
        let endless = vec![b'x'; 1 << 20];
        assert_eq!(cut(&[&endless, &endless, b"\nnext"]), ["x".repeat(LINE_BYTES_MAX), "next".to_owned()]);
        assert!(
            cut(&[&vec![1; LINE_BYTES_MAX]])[0].len() <= LINE_BYTES_MAX,
            "escapes are longer than what they escape"
        );
    }

    #[test]
    fn the_ring_and_the_files_keep_the_newest_lines_within_their_bounds() {
        let dir = tempfile::TempDir::new().unwrap();
        let log = Log::new(dir.path());
        let line = "y".repeat(1_000);
        for _ in 0..10_000 {
            log.write(Stream::Stdout, line.clone());
        }
        log.write(Stream::Stderr, "last".into());
        log.flush();
        assert_eq!((log.tail(usize::MAX).len(), log.last().as_deref()), (LINES_MAX, Some("last")));
        assert_eq!(log.tail(2).iter().map(|line| line.number).collect::<Vec<_>>(), [9_999, 10_000]);
        for name in ["log", "log.old"] {
            let length = std::fs::metadata(dir.path().join(name)).unwrap().len();
            assert!((1..=FILE_BYTES_MAX).contains(&length), "{name} {length}");
        }
        let newest = std::fs::read_to_string(dir.path().join("log")).unwrap();
        assert!(newest.ends_with(" stderr last\n"));
    }

    #[test]
    fn without_a_place_for_files_the_ring_still_has_the_lines() {
        let log = Log::new(std::path::Path::new("/nowhere/at/all"));
        log.write(Stream::Log, "kept".into());
        assert_eq!(log.last().as_deref(), Some("kept"));
    }
}
