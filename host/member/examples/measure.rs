//! Figures of the drivers and of states on this machine: `cargo run -p pilothouse-member --example measure`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "it measures, prints and may fail"
)]

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pilothouse_core::id::AgentName;
use pilothouse_core::workload::{Driver as What, Durability, Process, Restart, Spec};
use pilothouse_member::driver::{Driver as _, Instance, Launch};
use pilothouse_member::process::ProcessDriver;
use pilothouse_member::state::{
    Delta, Differences, Image, Part, Reading, SecondCopy, Staging, Version, digest,
};

const STATE_BYTES: usize = 256 << 20;

fn timed<T>(what: &str, bytes: usize, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = work();
    let took = started.elapsed();
    let rate = if bytes > 0 {
        format!("{:7.2} GB/s", bytes as f64 / took.as_secs_f64() / 1e9)
    } else {
        String::new()
    };
    println!("{what:<58} {:>9.3} ms {rate}", took.as_secs_f64() * 1e3);
    result
}

fn main() {
    let base = tempfile::TempDir::new().unwrap();
    states(base.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(processes(base.path()));
}

fn states(base: &Path) {
    let dir = base.join("large");
    std::fs::create_dir(&dir).unwrap();
    let noise: Vec<u8> = (0..STATE_BYTES as u32 / 32).flat_map(|at| digest(&[&at.to_le_bytes()])).collect();
    for (at, part) in noise.chunks(STATE_BYTES / 16).enumerate() {
        std::fs::write(dir.join(format!("file-{at}")), part).unwrap();
    }
    timed("BLAKE3, one thread, 256 MiB", STATE_BYTES, || {
        noise.chunks(64 << 10).for_each(|chunk| drop(digest(&[chunk])))
    });
    // Times settle.
    std::thread::park_timeout(Duration::from_millis(50));
    let first =
        timed("first scan of 256 MiB", STATE_BYTES, || Image::scan(&dir, None, Reading::Changed).unwrap());
    timed("scan, nothing changed", 0, || {
        drop(Image::scan(&dir, Some(first.layout()), Reading::Changed).unwrap())
    });
    // One percent: 41 chunks, all in one file of sixteen.
    let file = std::fs::File::options().write(true).open(dir.join("file-3")).unwrap();
    for at in 0..41u64 {
        file.write_all_at(b"changed", at * 100_000 * 4).unwrap();
    }
    let second = timed("scan, 1 % changed in one file of 16", 0, || {
        Image::scan(&dir, Some(first.layout()), Reading::Changed).unwrap()
    });
    println!("{:<58} {:>9} KiB", "  to be sent", second.layout().dirty_bytes(first.layout()) >> 10);
    timed("scan, all read again", STATE_BYTES, || {
        drop(Image::scan(&dir, Some(first.layout()), Reading::All).unwrap())
    });

    let mut staging = Staging::open(&base.join("incoming")).unwrap();
    let send = |staging: &mut Staging, image: &Image| {
        let layout = image.layout();
        staging.fit(layout.chunk_bytes(), layout.image_bytes()).unwrap();
        let held = staging.held().unwrap();
        for (index, (wanted, held)) in (0..).zip(layout.digests().iter().zip(&held)) {
            if wanted != held {
                staging.write_chunk(index, &image.read_chunk(index).unwrap()).unwrap();
            }
        }
    };
    let all = Image::scan(&dir, None, Reading::All).unwrap();
    timed("chunks of 256 MiB read, checked and staged", STATE_BYTES, || send(&mut staging, &all));
    timed("tree of 256 MiB made", STATE_BYTES, || staging.place(all.layout().digests()).unwrap());
    file.write_all_at(b"again", 7).unwrap();
    let last = Image::scan(&dir, Some(all.layout()), Reading::Changed).unwrap();
    send(&mut staging, &last);
    timed("last round: tree changed and renamed, 1 chunk of 256 MiB", 0, || {
        staging.commit(last.layout().digests(), &base.join("state")).unwrap();
    });
    second_copy(base);
}

fn second_copy(base: &Path) {
    let dir = base.join("small");
    std::fs::create_dir(&dir).unwrap();
    let write = |byte: u8| std::fs::write(dir.join("state"), vec![byte; 64 << 10]).unwrap();
    write(0);
    let mut image = Image::scan(&dir, None, Reading::Changed).unwrap();
    let mut copy = SecondCopy::open(&base.join("copy")).unwrap();
    let mut times = Vec::new();
    for number in 0..1_000u64 {
        let older = (number > 0).then(|| image.layout().clone());
        let part = if older.is_some() { Part::Change } else { Part::Whole };
        write(number as u8);
        let started = Instant::now();
        image = Image::scan(&dir, older.as_ref(), Reading::Changed).unwrap();
        let deltas: Vec<Delta> = Differences::new(&image, older.as_ref()).map(Result::unwrap).collect();
        let count = deltas.len();
        for (at, delta) in deltas.iter().enumerate() {
            copy.write(Version { epoch: 1, number }, part, at as u32, at + 1 == count, delta).unwrap();
        }
        times.push(started.elapsed());
    }
    percentiles("64 KiB changed: scan, delta, in the second copy's log", times);
}

fn percentiles(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times.get((times.len() - 1) * share / 100).unwrap().as_secs_f64() * 1e3;
    println!("{what:<58} p50 {:.3} p99 {:.3} max {:.3} ms", at(50), at(99), at(100));
}

async fn processes(base: &Path) {
    let driver = ProcessDriver::default();
    let (mut starts, mut pauses, mut stops) = (Vec::new(), Vec::new(), Vec::new());
    for at in 0..100 {
        let (state_dir, work_dir) = (base.join(format!("p{at}/state")), base.join(format!("p{at}/work")));
        std::fs::create_dir_all(&state_dir).unwrap();
        std::fs::create_dir_all(&work_dir).unwrap();
        std::fs::write(state_dir.join("state"), vec![1; 1 << 20]).unwrap();
        let program = Process {
            command: vec!["sleep".into(), "1000".into()],
            call_path: "/".into(),
            ..Process::default()
        };
        let spec = Spec {
            driver: What::Process(program),
            durability: Durability::Local,
            restart: Restart::Never,
            stop_grace_ms: 1_000,
        };
        let launch = Launch {
            workload: AgentName::parse("w").unwrap(),
            epoch: 1,
            spec,
            state_dir: state_dir.clone(),
            work_dir,
        };
        let started = Instant::now();
        let instance: Arc<dyn Instance> = driver.start(launch).await.unwrap();
        starts.push(started.elapsed());
        let before = Image::scan(&state_dir, None, Reading::Changed).unwrap();
        std::fs::write(state_dir.join("state"), vec![2; 1 << 20]).unwrap();
        let started = Instant::now();
        instance.pause().await.unwrap();
        Image::scan(&state_dir, Some(before.layout()), Reading::All).unwrap();
        pauses.push(started.elapsed());
        instance.resume().await.unwrap();
        let started = Instant::now();
        instance.stop().await;
        stops.push(started.elapsed());
    }
    percentiles("start of a process", starts);
    percentiles("pause of a process, and a full scan of its 1 MiB", pauses);
    percentiles("stop of a process", stops);
}
