//! Futures without an executor.
//!
//! Invariant: nothing waits. What is not ready now is not ready; the simulator makes it so first.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// The result of a future, if it is ready.
pub fn ready<T>(future: &mut Pin<Box<dyn Future<Output = T> + Send + '_>>) -> Option<T> {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}
