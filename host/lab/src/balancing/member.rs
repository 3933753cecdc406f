//! One member: workers, and tasks that wait for one in order of arrival.
//!
//! Invariant: nobody waits while a worker is free; a lost member holds nothing.

use std::collections::VecDeque;

use super::demand::Task;

/// A member and its tasks.
#[derive(Debug)]
pub(super) struct Member {
    speed: f64,
    workers: usize,
    running: Vec<Task>,
    waiting: VecDeque<Task>,
    /// Work done and begun since measuring began, ns of one worker at speed 1.
    pub(super) work_ns: f64,
    /// Grows when it is lost, so that ends announced before are not taken for later ones.
    pub(super) life: u32,
}

/// A task that a worker took, and when it will be through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Started {
    pub(super) number: u64,
    pub(super) ends_ns: u64,
}

impl Member {
    pub(super) fn new(speed: f64, workers: usize) -> Self {
        let (running, waiting) = (Vec::with_capacity(workers), VecDeque::new());
        Self { speed, workers, running, waiting, work_ns: 0.0, life: 0 }
    }

    /// Tasks that it has, running and waiting.
    pub(super) fn tasks(&self) -> usize {
        self.running.len() + self.waiting.len()
    }

    /// Tasks that wait.
    pub(super) fn queue(&self) -> usize {
        self.waiting.len()
    }

    /// Work over what its speed allows, to compare members.
    pub(super) fn relative_work(&self) -> f64 {
        self.work_ns / self.speed
    }

    /// Takes a task.
    pub(super) fn arrive(&mut self, task: Task, now_ns: u64) -> Option<Started> {
        self.waiting.push_back(task);
        self.start(now_ns)
    }

    /// A worker is through with a task; the next one may start.
    pub(super) fn finish(&mut self, number: u64, now_ns: u64) -> Option<(Task, Option<Started>)> {
        let place = self.running.iter().position(|task| task.number == number)?;
        let task = self.running.swap_remove(place);
        Some((task, self.start(now_ns)))
    }

    /// Loses everything.
    pub(super) fn lose(&mut self) -> Vec<Task> {
        self.life += 1;
        let mut lost = std::mem::take(&mut self.running);
        lost.extend(self.waiting.drain(..));
        lost.sort_unstable_by_key(|task| task.number);
        lost
    }

    fn start(&mut self, now_ns: u64) -> Option<Started> {
        if self.running.len() >= self.workers {
            return None;
        }
        let task = self.waiting.pop_front()?;
        self.work_ns += task.work_ns;
        self.running.push(task);
        let took_ns = (task.work_ns / self.speed).round().max(1.0) as u64;
        Some(Started { number: task.number, ends_ns: now_ns.saturating_add(took_ns) })
    }
}
