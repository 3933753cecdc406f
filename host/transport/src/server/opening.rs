//! The first bytes of a connection: hyper waits for them without a time-out while it finds out the protocol, so they are
//! read here, under one.
//!
//! Invariant: not a byte is lost; hyper reads what was read here first.

use std::io::Cursor;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, Chain, Join, ReadHalf, WriteHalf};

/// What an HTTP/2 client says first (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream of which the first bytes have been read already.
pub(super) type Opened<S> = Join<Chain<Cursor<Vec<u8>>, ReadHalf<S>>, WriteHalf<S>>;

/// Reads until the protocol is clear.
///
/// # Errors
/// The stream's own, or its end before it said anything.
pub(super) async fn open<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> std::io::Result<Opened<S>> {
    let mut first = Vec::with_capacity(PREFACE.len());
    while PREFACE.starts_with(&first) && first.len() < PREFACE.len() {
        if stream.read_buf(&mut first).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let (read, write) = tokio::io::split(stream);
    Ok(tokio::io::join(Cursor::new(first).chain(read), write))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake, Waker};

    use futures_util::FutureExt as _;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn a_stream_is_open_when_its_protocol_is_clear_and_keeps_every_byte() {
        for (pieces, opens) in [
            (vec!["GET / HTTP/1.1\r\n\r\n"], true),
            (vec!["P", "OST / HTTP/1.1\r\n"], true),
            (vec!["PRI * HTTP/2.0\r\n\r\n", "SM\r\n\r\n", "and frames"], true),
            (vec!["PRI * HTTP/2.0"], false),
            (vec![], false),
        ] {
            let (mut client, server) = tokio::io::duplex(1_024);
            let opening = tokio::spawn(open(server));
            for piece in &pieces {
                client.write_all(piece.as_bytes()).await.unwrap();
            }
            client.shutdown().await.unwrap();
            let opened = opening.await.unwrap();
            assert_eq!(opened.is_ok(), opens, "{pieces:?}");
            if let Ok(mut stream) = opened {
                let mut text = String::new();
                stream.read_to_string(&mut text).await.unwrap();
                assert_eq!(text, pieces.concat());
            }
        }
    }

    /// Counts how often it was woken.
    #[derive(Default)]
    struct Alarm(AtomicUsize);

    impl Wake for Alarm {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Outside a runtime, where a timer would panic.
    #[test]
    fn half_a_preface_is_waited_for_without_work() {
        let (mut client, server) = tokio::io::duplex(64);
        let (alarm, mut opening) = (Arc::<Alarm>::default(), Box::pin(open(server)));
        let waker = Waker::from(Arc::clone(&alarm));
        let mut wakes_after = |bytes: &[u8]| {
            client.write_all(bytes).now_or_never().unwrap().unwrap();
            assert!(opening.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            alarm.0.load(Ordering::Relaxed)
        };
        assert_eq!((wakes_after(b"PRI * HT"), wakes_after(b"TP/2.0")), (0, 1), "only bytes wake it");
    }
}
