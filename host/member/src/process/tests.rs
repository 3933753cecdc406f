//! Real programs, well-behaved and not: this test binary again, as a small server, and `sh`.
//!
//! Invariant: tests wait for what the instance says or the system shows, and leave no process behind.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pilothouse_core::id::AgentName;
use pilothouse_core::workload::{
    Checkpoint, Condition, Driver as What, Durability, HealthCheck, Hook, Probe, Process as Program, Restart,
    Spec,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::driver::{Answer, Call, State, Stream};

const PATIENCE: Duration = Duration::from_secs(20);
const ROLE: &str = "HELPER_ROLE";

/// Not a test of anything: what the programs of the tests below are, if they are started as one.
#[test]
fn helper() {
    match std::env::var(ROLE).as_deref() {
        Ok("server") => serve(),
        Ok("member") => be_a_member(),
        _ => {}
    }
}

fn serve() -> ! {
    let state = PathBuf::from(std::env::var_os("PILOTHOUSE_STATE_DIR").unwrap());
    let port = std::env::var("PILOTHOUSE_PORT").unwrap().parse().unwrap();
    let signals = state.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut wanted =
                tokio::signal::unix::signal(tokio::signal::unix::SignalKind::user_defined1()).unwrap();
            std::fs::write(signals.join("listens"), "").unwrap();
            while wanted.recv().await.is_some() {
                std::fs::write(signals.join("saved"), "by signal").unwrap();
                std::fs::write(signals.join("checkpoint"), "").unwrap();
            }
        });
    });
    while !state.join("listens").exists() {
        std::thread::yield_now();
    }
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    for connection in listener.incoming() {
        let state = state.clone();
        std::thread::spawn(move || while answer(connection.as_ref().unwrap(), &state).is_some() {});
    }
    std::process::exit(0)
}

fn answer(mut connection: &TcpStream, state: &Path) -> Option<()> {
    let mut reader = BufReader::new(connection);
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
        head.push(line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    let (mut status, mut text) = (200, body.clone());
    match (head[0].split(' ').nth(1)?, body.split_once(' ').unwrap_or((&body, ""))) {
        ("/health", _) if state.join("sick").exists() => status = 500,
        ("/checkpoint", _) => std::fs::write(state.join("saved"), "by http").unwrap(),
        (_, ("env", name)) => text = std::env::var(name).unwrap_or_default(),
        (_, ("count-env", _)) => text = std::env::vars_os().count().to_string(),
        (_, ("pid", _)) => text = std::process::id().to_string(),
        (_, ("status", code)) => status = code.parse().unwrap(),
        (_, ("slow", _)) => {
            std::fs::write(state.join("slow"), "").unwrap();
            while !state.join("go").exists() {
                std::thread::yield_now();
            }
        }
        (_, ("run", command)) => {
            #[expect(clippy::zombie_processes, reason = "it is to outlive the one who started it")]
            std::process::Command::new("sh").args(["-c", command]).spawn().unwrap();
        }
        (_, ("long", _)) => text = "x".repeat(CALL_BYTES_MAX + 1),
        (_, ("exit", code)) => std::process::exit(code.parse().unwrap()),
        _ => {}
    }
    write!(connection, "HTTP/1.1 {status} It\r\ncontent-length: {}\r\n\r\n{text}", text.len()).ok()
}

/// Starts a workload, says so, and waits to be killed.
fn be_a_member() -> ! {
    let base = PathBuf::from(std::env::var_os("BASE").unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let launch = launch(&base, sh("sh -c 'echo $$ > inner; sleep 1000' & setsid sh -c 'echo $$ > away; sleep 1000' & echo $$ > outer; wait"));
        let _instance = ProcessDriver::default().start(launch).await.unwrap();
        std::future::pending::<()>().await;
    });
    unreachable!()
}

fn server() -> Program {
    let exe = std::env::current_exe().unwrap().to_string_lossy().into_owned();
    let command = [&exe, "--exact", "process::tests::helper", "--nocapture"].map(str::to_owned).to_vec();
    let environment = BTreeMap::from([(ROLE.to_owned(), "server".to_owned())]);
    Program {
        command,
        environment,
        health: health(Probe::Http { path: "/health".into() }),
        checkpoint: None,
        call_path: "/call".into(),
    }
}

fn sh(script: &str) -> Program {
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    Program { command, call_path: "/".into(), ..Program::default() }
}

fn health(probe: Probe) -> Option<HealthCheck> {
    Some(HealthCheck { probe, interval_ms: 10, timeout_ms: 1_000, failures_max: 2 })
}

fn launch(base: &Path, program: Program) -> Launch {
    let (state_dir, work_dir) = (base.join("state"), base.join("work"));
    std::fs::create_dir_all(&state_dir).unwrap();
    std::fs::create_dir_all(&work_dir).unwrap();
    let spec = Spec {
        driver: What::Process(program),
        durability: Durability::Local,
        restart: Restart::Always,
        stop_grace_ms: 5_000,
    };
    Launch { workload: AgentName::parse("w").unwrap(), epoch: 7, spec, state_dir, work_dir }
}

async fn start(base: &Path, program: Program) -> Arc<dyn Instance> {
    ProcessDriver::default().start(launch(base, program)).await.unwrap()
}

async fn call(instance: &Arc<dyn Instance>, body: &str) -> Result<Answer, DriverError> {
    instance.call(Call { body: body.as_bytes().to_vec(), timeout: PATIENCE }).await
}

async fn say(instance: &Arc<dyn Instance>, body: &str) -> String {
    String::from_utf8(call(instance, body).await.unwrap().body).unwrap()
}

async fn becomes(instance: &Arc<dyn Instance>, what: impl Fn(&State) -> bool) -> State {
    let mut condition = instance.condition();
    let state = timeout(PATIENCE, condition.wait_for(what)).await.expect("it becomes so in time").unwrap();
    state.clone()
}

/// Waits for what only the system shows.
async fn shows<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, found).await.expect("it shows in time")
}

async fn pid_in(file: PathBuf) -> Pid {
    shows(|| Pid::from_raw(std::fs::read_to_string(&file).ok()?.trim().parse().ok()?)).await
}

/// `None` = it is gone, or nothing but a record of its end.
fn status_of(pid: Pid) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    stat.rsplit_once(") ")?.1.chars().next().filter(|state| !"ZX".contains(*state))
}

async fn gone(pid: Pid) {
    shows(|| status_of(pid).is_none().then_some(())).await;
}

#[tokio::test]
async fn a_process_has_its_environment_and_answers_calls() {
    let base = TempDir::new().unwrap();
    let instance = start(base.path(), server()).await;
    assert_eq!(instance.condition().borrow().condition, Condition::Healthy);
    assert_eq!(say(&instance, "env PILOTHOUSE_WORKLOAD").await, "w");
    assert_eq!(say(&instance, "env PILOTHOUSE_EPOCH").await, "7");
    assert_eq!(say(&instance, "env PATH").await, std::env::var("PATH").unwrap());
    assert_eq!(say(&instance, "env HOME").await, "", "nothing else is inherited");
    assert_eq!(call(&instance, "status 418").await.unwrap().status, 418);
    assert_eq!(say(&instance, &"z".repeat(CALL_BYTES_MAX)).await.len(), CALL_BYTES_MAX);
    let long = instance.call(Call { body: vec![0; CALL_BYTES_MAX + 1], timeout: PATIENCE }).await;
    assert!(matches!(long, Err(DriverError::Failed(_))), "{long:?}");
    let long = call(&instance, "long").await;
    assert!(matches!(&long, Err(DriverError::Failed(text)) if text.contains("longer")), "{long:?}");
    let late = instance.call(Call { body: b"slow".to_vec(), timeout: Duration::from_millis(50) }).await;
    assert_eq!(late, Err(DriverError::TimedOut(Duration::from_millis(50))));
    instance.stop().await;
    assert_eq!(instance.condition().borrow().condition, Condition::Ended);
    assert_eq!(call(&instance, "echo").await, Err(DriverError::NotServing));
    instance.stop().await;
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let base = TempDir::new().unwrap();
    let driver = ProcessDriver::default();
    let missing = Program { command: vec!["no-such-program".into()], ..sh("") };
    let error = driver.start(launch(base.path(), missing)).await.unwrap_err();
    assert!(matches!(&error, DriverError::Unusable(text) if text.contains("no-such-program")), "{error}");
    let early = Program { health: health(Probe::Tcp), ..sh("echo no luck >&2; exit 3") };
    let error = driver.start(launch(base.path(), early)).await.unwrap_err();
    assert_eq!(error, DriverError::Failed("exit status 3 before it was well: no luck".into()));
}

#[tokio::test]
async fn a_process_that_ends_is_started_again_as_its_policy_says() {
    for (policy, script, again) in [
        (Restart::Always, "exit 0", true),
        (Restart::OnFailure, "exit 0", false),
        (Restart::OnFailure, "exit 4", true),
        (Restart::OnFailure, "kill -9 $$", true),
        (Restart::Never, "exit 4", false),
    ] {
        let base = TempDir::new().unwrap();
        let mut launch = launch(base.path(), sh(script));
        launch.spec.restart = policy;
        let instance = ProcessDriver::default().start(launch).await.unwrap();
        if again {
            becomes(&instance, |state| state.restarts >= 2).await;
            instance.stop().await;
        } else {
            let state = becomes(&instance, |state| state.condition == Condition::Ended).await;
            assert_eq!(state.restarts, 0);
            assert!(state.detail.starts_with("exit status "), "{state:?}");
        }
    }
}

#[tokio::test]
async fn a_call_whose_process_ends_fails_and_the_next_process_answers() {
    let base = TempDir::new().unwrap();
    let instance = start(base.path(), server()).await;
    let first = say(&instance, "pid").await;
    assert!(matches!(call(&instance, "exit 5").await, Err(DriverError::Failed(_))));
    let state = becomes(&instance, |state| state.condition == Condition::BackingOff).await;
    assert_eq!(state.detail, "exit status 5");
    assert_eq!(call(&instance, "pid").await, Err(DriverError::NotServing));
    becomes(&instance, |state| state.condition == Condition::Healthy && state.restarts == 1).await;
    assert_ne!(say(&instance, "pid").await, first);
    instance.stop().await;
}

#[tokio::test]
async fn a_check_that_fails_is_noticed_and_so_is_its_end() {
    for probe in [
        Probe::Http { path: "/health".into() },
        Probe::Command(["sh", "-c", "test ! -e sick"].map(str::to_owned).to_vec()),
    ] {
        let base = TempDir::new().unwrap();
        let instance = start(base.path(), Program { health: health(probe), ..server() }).await;
        std::fs::write(base.path().join("state/sick"), "").unwrap();
        becomes(&instance, |state| state.condition == Condition::Unhealthy).await;
        std::fs::remove_file(base.path().join("state/sick")).unwrap();
        becomes(&instance, |state| state.condition == Condition::Healthy).await;
        instance.stop().await;
    }
}

#[tokio::test]
async fn a_program_that_listens_late_gets_its_first_call_and_one_that_never_does_times_out() {
    let base = TempDir::new().unwrap();
    let instance = start(base.path(), Program { health: None, ..server() }).await;
    assert_eq!(say(&instance, "echo").await, "echo", "the call waited until it listened");
    instance.stop().await;
    let instance = start(base.path(), sh("sleep 1000")).await;
    let late = instance.call(Call { body: Vec::new(), timeout: Duration::from_millis(60) }).await;
    assert_eq!(late, Err(DriverError::TimedOut(Duration::from_millis(60))));
    instance.stop().await;
}

#[tokio::test]
async fn a_stop_ends_what_forked_what_left_the_group_and_what_ignores_it() {
    let base = TempDir::new().unwrap();
    let script = "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > inner; while :; do sleep 1; done' & \
                  setsid sh -c 'echo $$ > away; sleep 1000' & echo $$ > outer; while :; do sleep 1; done";
    let mut launch = launch(base.path(), sh(script));
    launch.spec.stop_grace_ms = 50;
    let instance = ProcessDriver::default().start(launch).await.unwrap();
    let state = base.path().join("state");
    let pids = [
        pid_in(state.join("outer")).await,
        pid_in(state.join("inner")).await,
        pid_in(state.join("away")).await,
    ];
    assert!(pids.iter().all(|pid| status_of(*pid).is_some()));
    instance.stop().await;
    for pid in pids {
        gone(pid).await;
    }
}

#[tokio::test]
async fn a_stop_is_gentle_first_and_what_obeys_has_its_grace() {
    let base = TempDir::new().unwrap();
    let instance = start(
        base.path(),
        sh("trap 'echo good > bye; exit 0' TERM; echo > ready; while :; do sleep 0.01; done"),
    )
    .await;
    shows(|| base.path().join("state/ready").exists().then_some(())).await;
    instance.pause().await.unwrap();
    instance.stop().await;
    assert_eq!(std::fs::read_to_string(base.path().join("state/bye")).unwrap(), "good\n", "paused ones, too");
}

#[tokio::test]
async fn nothing_outlives_a_handle_that_is_dropped() {
    let base = TempDir::new().unwrap();
    let instance =
        start(base.path(), sh("setsid sh -c 'echo $$ > away; sleep 1000' & echo $$ > outer; wait")).await;
    let state = base.path().join("state");
    let pids = [pid_in(state.join("outer")).await, pid_in(state.join("away")).await];
    drop(instance);
    for pid in pids {
        gone(pid).await;
    }
}

#[tokio::test]
async fn a_member_that_is_killed_takes_its_processes_along_or_its_next_run_does() {
    let base = TempDir::new().unwrap();
    let mut member = std::process::Command::new(std::env::current_exe().unwrap());
    member
        .args(["--exact", "process::tests::helper", "--nocapture"])
        .env(ROLE, "member")
        .env("BASE", base.path());
    let mut member = member.stdout(std::process::Stdio::null()).spawn().unwrap();
    let state = base.path().join("state");
    let [outer, inner, away] = [
        pid_in(state.join("outer")).await,
        pid_in(state.join("inner")).await,
        pid_in(state.join("away")).await,
    ];
    member.kill().unwrap();
    member.wait().unwrap();
    gone(outer).await;
    assert!(status_of(inner).is_some() && status_of(away).is_some(), "only a new run finds these");
    let work = base.path().join("work");
    assert!(kill_left_overs([work.as_path(), Path::new("/nowhere")]) >= 2);
    gone(inner).await;
    gone(away).await;
    // What they were about to start when they were killed is found by the next look.
    shows(|| (kill_left_overs([work.as_path()]) == 0).then_some(())).await;
}

#[tokio::test]
async fn a_paused_process_stands_still_with_what_it_forked_and_goes_on() {
    let base = TempDir::new().unwrap();
    let instance = start(base.path(), server()).await;
    let state = base.path().join("state");
    say(&instance, "run echo $$ > inner; while :; do date +%N > beat; done").await;
    say(&instance, "run setsid sh -c 'echo $$ > away; while :; do sleep 0.01; done'").await;
    let pids = [pid_in(state.join("inner")).await, pid_in(state.join("away")).await];
    instance.pause().await.unwrap();
    for pid in pids {
        assert_eq!(status_of(pid), Some('T'));
    }
    instance.pause().await.unwrap();
    assert_eq!(call(&instance, "echo").await, Err(DriverError::NotServing));
    let beat = std::fs::read(state.join("beat")).unwrap();
    // Not to settle: that nothing happens shows only over a while.
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(std::fs::read(state.join("beat")).unwrap(), beat);
    instance.resume().await.unwrap();
    assert_eq!(say(&instance, "echo").await, "echo");
    shows(|| (std::fs::read(state.join("beat")).ok()? != beat).then_some(())).await;
    instance.stop().await;
}

#[tokio::test]
async fn a_pause_waits_for_calls_that_are_under_way() {
    let base = TempDir::new().unwrap();
    let instance = start(base.path(), server()).await;
    let slow = tokio::spawn(instance.call(Call { body: b"slow".to_vec(), timeout: PATIENCE }));
    let state = base.path().join("state");
    shows(|| state.join("slow").exists().then_some(())).await;
    let pause = tokio::spawn(instance.pause());
    shows_async(|| async { (call(&instance, "echo").await == Err(DriverError::NotServing)).then_some(()) })
        .await;
    assert!(!pause.is_finished());
    std::fs::write(state.join("go"), "").unwrap();
    assert_eq!(slow.await.unwrap().unwrap().body, b"slow");
    pause.await.unwrap().unwrap();
    instance.stop().await;
}

async fn shows_async<F: Future<Output = Option<()>>>(mut look: impl FnMut() -> F) {
    let found = async { while look().await.is_none() {} };
    timeout(PATIENCE, found).await.expect("it shows in time");
}

#[tokio::test]
async fn a_process_is_told_to_write_its_state() {
    let told = |hook| Some(Checkpoint { hook, timeout_ms: 5_000 });
    for (hook, saved) in
        [(Hook::Signal("USR1".into()), "by signal"), (Hook::Http { path: "/checkpoint".into() }, "by http")]
    {
        let base = TempDir::new().unwrap();
        let instance = start(base.path(), Program { checkpoint: told(hook), ..server() }).await;
        for again in 0..3 {
            instance.checkpoint().await.unwrap();
            let file = base.path().join("state/saved");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), saved, "{again}");
            std::fs::remove_file(file).unwrap();
        }
        instance.pause().await.unwrap();
        assert!(base.path().join("state/saved").exists());
        instance.stop().await;
    }
}

#[tokio::test]
async fn a_pause_whose_checkpoint_fails_leaves_the_process_serving() {
    let base = TempDir::new().unwrap();
    let hook = Hook::Http { path: "/call".into() };
    let program = Program {
        checkpoint: Some(Checkpoint { hook, timeout_ms: 5_000 }),
        call_path: "/call".into(),
        ..server()
    };
    let instance = start(base.path(), program.clone()).await;
    instance.pause().await.unwrap();
    instance.resume().await.unwrap();
    instance.stop().await;

    let silent = Checkpoint { hook: Hook::Signal("HUP".into()), timeout_ms: 50 };
    let deaf = sh("trap '' HUP; echo > ready; while :; do sleep 0.01; done");
    let instance = start(base.path(), Program { checkpoint: Some(silent), ..deaf }).await;
    shows(|| base.path().join("state/ready").exists().then_some(())).await;
    assert_eq!(instance.pause().await, Err(DriverError::TimedOut(Duration::from_millis(50))));
    let late = instance.call(Call { body: Vec::new(), timeout: Duration::from_millis(20) }).await;
    assert!(matches!(late, Err(DriverError::TimedOut(_))), "it takes calls again: {late:?}");
    instance.stop().await;
}

#[tokio::test]
async fn whatever_is_written_is_bounded_and_kept_by_stream() {
    let base = TempDir::new().unwrap();
    let instance = start(
        base.path(),
        sh("echo out; echo bad >&2; printf 'a\\377\\033b\\n'; yes | head -c 3000000; echo end; sleep 1000"),
    )
    .await;
    let tail = shows(|| instance.logs(1).pop().filter(|line| line.text == "end")).await;
    assert_eq!((tail.stream, instance.logs(usize::MAX).len()), (Stream::Stdout, logs::LINES_MAX));
    let bytes: u64 = std::fs::read_dir(base.path().join("work"))
        .unwrap()
        .flatten()
        .map(|entry| entry.metadata().unwrap().len())
        .sum();
    assert!(bytes < 2 * logs::FILE_BYTES_MAX + 100, "{bytes}");
    instance.stop().await;
}

#[tokio::test]
async fn a_process_that_is_killed_while_paused_is_not_started_before_it_goes_on() {
    let base = TempDir::new().unwrap();
    let instance = start(base.path(), server()).await;
    let pid = Pid::from_raw(say(&instance, "pid").await.parse().unwrap()).unwrap();
    instance.pause().await.unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    let state = becomes(&instance, |state| state.condition == Condition::BackingOff).await;
    assert_eq!((state.detail.as_str(), state.restarts), ("ended by signal 9", 0));
    instance.resume().await.unwrap();
    becomes(&instance, |state| state.condition == Condition::Healthy && state.restarts == 1).await;
    assert_eq!(say(&instance, "echo").await, "echo");
    instance.stop().await;
}
