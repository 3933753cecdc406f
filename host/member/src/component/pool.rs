//! The threads in which guests run.
//!
//! agent with work -> [`Pool::push`] -> the next free thread -> [`Work::run`]; if it has more work it queues up again
//!
//! Invariant: who has work is in the queue once, so the queue is as long as there are agents at most, and none waits
//! for more than one turn of each other.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Somebody who has work.
pub(super) trait Work: Debug + Send + Sync {
    /// Does one piece; says whether there is more.
    fn run(&self) -> bool;
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    turns: VecDeque<Arc<dyn Work>>,
    closed: bool,
}

/// Where work is put.
#[derive(Debug, Clone)]
struct Queue(Arc<Shared>);

impl Queue {
    fn push(&self, work: Arc<dyn Work>) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).turns.push_back(work);
        self.0.changed.notify_one();
    }

    fn work(&self) {
        while let Some(work) = self.next() {
            if work.run() {
                self.push(work);
            }
        }
    }

    fn next(&self) -> Option<Arc<dyn Work>> {
        let mut waiting = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(work) = waiting.turns.pop_front() {
                return Some(work);
            }
            if waiting.closed {
                return None;
            }
            waiting = self.0.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The threads; they end when it is dropped. Every agent holds it, so that none is left without a thread.
#[derive(Debug)]
pub(super) struct Pool(Queue);

impl Pool {
    pub(super) fn start(threads: usize) -> std::io::Result<Self> {
        let pool = Self(Queue(Arc::default()));
        for number in 0..threads.max(1) {
            let queue = pool.0.clone();
            std::thread::Builder::new().name(format!("agents-{number}")).spawn(move || queue.work())?;
        }
        Ok(pool)
    }

    /// Adds somebody who is not in the queue.
    pub(super) fn push(&self, work: Arc<dyn Work>) {
        self.0.push(work);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.0.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.0.0.changed.notify_all();
    }
}
