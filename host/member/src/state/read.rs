//! Reads and hashes the content of files, in chunks, on a few threads.
//!
//! Invariant: a digest is that of bytes that were read at once, padded with zeros. Chunks that are not what they were are kept while
//! there is room, so that a round can send them although their file goes on changing.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rustix::fs::{OFlags, SeekFrom, seek};

use super::table::{Region, chunks_for};
use super::walk::Stamp;
use super::{Digest, StateError, digest};

/// One job's bytes at most, about.
const JOB_BYTES: u64 = 4 << 20;
/// Most threads that one scan uses.
const THREADS_MAX: usize = 4;

/// A file to be read.
#[derive(Debug)]
pub(super) struct Task<'a> {
    pub(super) path: &'a str,
    pub(super) length: u64,
    pub(super) region: Region,
    pub(super) stamp: Stamp,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Harvest {
    /// First chunk, digests from there.
    pub(super) digests: Vec<(u32, Vec<Digest>)>,
    pub(super) kept: Vec<(u32, Box<[u8]>)>,
    /// Files that were not what they had been, by their place in the list of tasks.
    pub(super) torn: Vec<usize>,
    pub(super) error: Option<StateError>,
}

/// How reading is done.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) dir: &'a Path,
    pub(super) chunk_bytes: u32,
    pub(super) zero: Digest,
    /// Of the image before; empty = none.
    pub(super) known: &'a [Digest],
    pub(super) keep_bytes: AtomicU64,
}

/// Opens a file of a state for reading; links are not followed, and a pipe in its place does not block.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Reads until the buffer is full or the file ends; the rest is zeros.
pub(super) fn read_padded(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => {
                rest.fill(0);
                return Ok(());
            }
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Reader<'_> {
    /// Reads all of it.
    pub(super) fn read(&self, tasks: &[Task<'_>]) -> Result<Harvest, StateError> {
        let per_job = u32::try_from(JOB_BYTES / u64::from(self.chunk_bytes)).unwrap_or(1).max(1);
        let jobs: Vec<(usize, u32, u32)> = tasks
            .iter()
            .enumerate()
            .flat_map(|(at, task)| {
                let chunks = u32::try_from(chunks_for(task.length, self.chunk_bytes)).unwrap_or(0);
                let starts = (0..chunks).step_by(per_job as usize);
                starts.map(move |start| (at, start, chunks.min(start.saturating_add(per_job))))
            })
            .collect();
        let bytes: u64 = tasks.iter().map(|task| task.length).fold(0, u64::saturating_add);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads =
            cores.min(THREADS_MAX).min(usize::try_from(bytes / JOB_BYTES).unwrap_or(THREADS_MAX).max(1));
        let (next, harvest) = (AtomicUsize::new(0), Mutex::new(Harvest::default()));
        let work = || {
            let mut own = Harvest::default();
            while own.error.is_none() {
                let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                let Some(task) = tasks.get(job.0) else { break };
                match self.job(task, job.1, job.2, &mut own) {
                    Ok(true) => {}
                    Ok(false) => own.torn.push(job.0),
                    Err(error) => own.error = Some(error),
                }
            }
            let mut all = harvest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            all.digests.append(&mut own.digests);
            all.kept.append(&mut own.kept);
            all.torn.append(&mut own.torn);
            all.error = all.error.take().or(own.error);
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        let mut harvest = harvest.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        harvest.error.take().map_or(Ok(harvest), Err)
    }

    /// Some chunks of a file; whether it is what it was.
    fn job(&self, task: &Task<'_>, start: u32, end: u32, own: &mut Harvest) -> Result<bool, StateError> {
        let real = self.dir.join(task.path);
        let mut digests = Vec::with_capacity((end - start) as usize);
        let file = match open(&real) {
            Ok(file) => file,
            // Gone, or a link by now: the next scan sees what is there.
            Err(error) if matches!(error.raw_os_error(), Some(NOT_FOUND | LOOP)) => {
                own.digests.push((task.region.start + start, vec![self.zero; (end - start) as usize]));
                return Ok(false);
            }
            Err(error) => return Err(StateError::io("read", &real)(error)),
        };
        let step = u64::from(self.chunk_bytes);
        let mut buffer = vec![0; self.chunk_bytes as usize];
        let mut data_from = 0;
        for chunk in start..end {
            let offset = u64::from(chunk) * step;
            if offset + step > data_from {
                data_from = next_data(&file, offset);
            }
            if data_from >= offset + step {
                digests.push(self.zero);
                continue;
            }
            let wanted = usize::try_from(step.min(task.length - offset)).unwrap_or(0);
            let (content, padding) = buffer.split_at_mut(wanted);
            read_padded(&file, content, offset).map_err(StateError::io("read", &real))?;
            padding.fill(0);
            let digest = digest(&[&buffer]);
            let place = task.region.start + chunk;
            if digest != self.zero && self.known.get(place as usize) != Some(&digest) && self.may_keep() {
                own.kept.push((place, buffer.clone().into_boxed_slice()));
            }
            digests.push(digest);
        }
        own.digests.push((task.region.start + start, digests));
        let same = file.metadata().is_ok_and(|metadata| Stamp::of(&metadata) == task.stamp);
        Ok(same)
    }

    fn may_keep(&self) -> bool {
        let step = u64::from(self.chunk_bytes);
        self.keep_bytes
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(step))
            .is_ok()
    }
}

const NOT_FOUND: i32 = rustix::io::Errno::NOENT.raw_os_error();
const LOOP: i32 = rustix::io::Errno::LOOP.raw_os_error();

/// Where data begins at or behind an offset; a file system that does not know of holes has data everywhere.
fn next_data(file: &File, offset: u64) -> u64 {
    match seek(file, SeekFrom::Data(offset)) {
        Ok(data) => data,
        Err(rustix::io::Errno::NXIO) => u64::MAX,
        Err(_) => offset,
    }
}
