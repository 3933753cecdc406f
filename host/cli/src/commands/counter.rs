//! `demo-counter`: a workload to try things with, which needs nothing but this command. A counter that answers `add 5` and `get`.
//!
//! POST on `PILOTHOUSE_PORT` -> counter -> a file in `PILOTHOUSE_STATE_DIR` -> answer
//!
//! Invariant: what was answered is in the file: it survives the process, and goes where the state goes.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;

/// Longest message, bytes.
const MESSAGE_BYTES_MAX: usize = 64;
/// Longest line of a request's head, bytes, and most lines.
const HEAD_LINE_MAX: u64 = 8 << 10;
const HEAD_LINES_MAX: usize = 100;

/// Serves until it is ended.
pub(super) fn run() -> anyhow::Result<()> {
    let hint = "start it as a workload: pilothouse run NAME --command \"pilothouse demo-counter\"";
    let state =
        std::env::var_os("PILOTHOUSE_STATE_DIR").context("PILOTHOUSE_STATE_DIR is not set").context(hint)?;
    let port = std::env::var("PILOTHOUSE_PORT").context("PILOTHOUSE_PORT is not set").context(hint)?;
    let port: u16 = port.parse().with_context(|| format!("PILOTHOUSE_PORT is `{port}`, which is no port"))?;
    let counter = Counter::open(&PathBuf::from(state))?;
    say(&format!("counting from {}", counter.value));
    let counter = Arc::new(Mutex::new(counter));
    let listener =
        TcpListener::bind(("127.0.0.1", port)).with_context(|| format!("cannot listen on port {port}"))?;
    for connection in listener.incoming() {
        let (connection, counter) = (connection.context("cannot take a connection")?, Arc::clone(&counter));
        std::thread::spawn(move || {
            let mut reader = BufReader::new(&connection);
            // A connection that breaks is the caller's matter.
            while exchange(&mut reader, &connection, &counter).unwrap_or(false) {}
        });
    }
    Ok(())
}

fn say(text: &str) {
    // Whoever reads it may be gone.
    let _ = writeln!(std::io::stdout(), "{text}");
}

#[derive(Debug)]
struct Counter {
    value: i64,
    file: PathBuf,
}

impl Counter {
    fn open(state: &Path) -> anyhow::Result<Self> {
        let file = state.join("counter");
        let value = match std::fs::read_to_string(&file) {
            Ok(text) => text.trim().parse().with_context(|| format!("{} holds no number", file.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        Ok(Self { value, file })
    }

    /// The status and the text of the answer.
    fn answer(&mut self, message: &str) -> (u16, String) {
        let number = match message.split_ascii_whitespace().collect::<Vec<_>>()[..] {
            ["get"] => return (200, self.value.to_string()),
            ["add", number] => number.parse::<i64>().ok(),
            _ => None,
        };
        let Some(value) = number.and_then(|number| self.value.checked_add(number)) else {
            return (400, "say `add 5` or `get`".into());
        };
        // Beside and then in its place: a reader of the file sees the old number or the new one.
        let new = self.file.with_extension("new");
        if let Err(error) =
            std::fs::write(&new, format!("{value}\n")).and_then(|()| std::fs::rename(&new, &self.file))
        {
            return (500, format!("cannot write {}: {error}", self.file.display()));
        }
        self.value = value;
        say(&format!("{}: {value}", message.trim()));
        (200, value.to_string())
    }
}

/// One request and its answer; `false` = the connection is over.
fn exchange(
    reader: &mut impl BufRead,
    mut out: &TcpStream,
    counter: &Mutex<Counter>,
) -> std::io::Result<bool> {
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        reader.by_ref().take(HEAD_LINE_MAX).read_line(&mut line)?;
        if line.is_empty() || head.len() > HEAD_LINES_MAX {
            return Ok(false);
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(usize::MAX);
        }
        head.push(line);
    }
    let (status, text) = if length > MESSAGE_BYTES_MAX {
        (413, format!("at most {MESSAGE_BYTES_MAX} bytes"))
    } else if head.first().is_some_and(|line| line.starts_with("GET ")) {
        (200, "well".into())
    } else {
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        counter.lock().unwrap_or_else(PoisonError::into_inner).answer(&String::from_utf8_lossy(&body))
    };
    write!(out, "HTTP/1.1 {status} counter\r\ncontent-length: {}\r\n\r\n{text}", text.len())?;
    Ok(status != 413)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_answered_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut counter = Counter::open(dir.path()).unwrap();
        for (message, answer) in [
            ("get", (200, "0".to_owned())),
            ("add 5", (200, "5".to_owned())),
            ("add -7\n", (200, "-2".to_owned())),
            ("add much", (400, "say `add 5` or `get`".to_owned())),
            ("", (400, "say `add 5` or `get`".to_owned())),
            ("add -9223372036854775807", (400, "say `add 5` or `get`".to_owned())),
        ] {
            assert_eq!(counter.answer(message), answer, "{message}");
        }
        assert_eq!(Counter::open(dir.path()).unwrap().value, -2);
        std::fs::write(dir.path().join("counter"), "x").unwrap();
        assert!(Counter::open(dir.path()).is_err());
    }
}
