//! Background tasks with a name and an end.
//!
//! Invariant: every task that the server starts is in one set, stops when the stop signal is given, and a task
//! that panics is logged with its name. Nothing else in the workspace spawns.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

/// Tells tasks to stop.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Ends when the signal is given (or its sender is gone).
    pub(crate) async fn wait(&mut self) {
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Sleeps for the period; `false` if the signal came first.
    pub(crate) async fn sleep(&mut self, period: Duration) -> bool {
        tokio::select! {
            () = self.wait() => false,
            () = tokio::time::sleep(period) => true,
        }
    }
}

/// All tasks of a server.
#[derive(Debug)]
pub(crate) struct TaskSet {
    tasks: JoinSet<&'static str>,
    signal: watch::Sender<bool>,
}

impl Default for TaskSet {
    fn default() -> Self {
        Self { tasks: JoinSet::new(), signal: watch::channel(false).0 }
    }
}

impl TaskSet {
    /// Starts a task. It must end soon after its [`Stop`].
    pub(crate) fn spawn<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        name: &'static str,
        task: impl FnOnce(Stop) -> F,
    ) {
        let work = task(Stop(self.signal.subscribe()));
        self.tasks.spawn(async move {
            work.await;
            name
        });
    }

    /// Gives the signal and waits for every task, at most `patience`; what is left then is aborted.
    pub(crate) async fn stop(mut self, patience: Duration) {
        let _ = self.signal.send(true);
        let all = async {
            while let Some(ended) = self.tasks.join_next().await {
                match ended {
                    Ok(name) => tracing::debug!(task = name, "task ended"),
                    Err(error) => tracing::error!(%error, "task failed"),
                }
            }
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            tracing::warn!(left = self.tasks.len(), "tasks did not end in time and are aborted");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_end_at_the_signal() {
        let mut set = TaskSet::default();
        let (ended, mut seen) = tokio::sync::mpsc::channel(2);
        for _ in 0..2 {
            let ended = ended.clone();
            set.spawn("waits", |mut stop| async move {
                assert!(!stop.sleep(Duration::from_secs(3_600)).await);
                let _ = ended.send(()).await;
            });
        }
        drop(ended);
        set.stop(Duration::from_secs(10)).await;
        assert_eq!((seen.recv().await, seen.recv().await, seen.recv().await), (Some(()), Some(()), None));
    }
}
