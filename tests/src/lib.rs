//! Runs the real binary for tests: start, ask, kill, start again.
//!
//! Invariant: servers listen on port 0 of loopback and keep their data in a temporary folder; nothing waits for time, only
//! for conditions with a deadline.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tempfile::TempDir;

/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test: named by `PILOTHOUSE_BIN`, else built here, so that a plain `cargo test` tests the newest.
///
/// # Errors
/// If it does not build.
pub fn binary() -> anyhow::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| match std::env::var_os("PILOTHOUSE_BIN") {
        Some(path) => Ok(path.into()),
        None => build().map_err(|error| format!("{error:#}")),
    });
    built.clone().map_err(anyhow::Error::msg)
}

fn build() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo).args(["build", "--locked", "-p", "pilothouse-cli"]).status()?;
    ensure!(status.success(), "the binary does not build");
    let own = std::env::current_exe()?;
    own.ancestors().nth(2).map(|dir| dir.join("pilothouse")).context("no target folder")
}

/// A server process with its data.
#[derive(Debug)]
pub struct Server {
    child: Option<Child>,
    data: TempDir,
    policies: TempDir,
    /// `127.0.0.1:PORT`
    pub address: String,
}

impl Server {
    /// Starts a server on fresh data.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with("")
    }

    /// Starts a server on fresh data, with a configuration file.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start_with(config: &str) -> anyhow::Result<Self> {
        let mut server =
            Self { child: None, data: TempDir::new()?, policies: TempDir::new()?, address: String::new() };
        std::fs::write(server.data.path().join("config.toml"), config)?;
        server.restart()?;
        Ok(server)
    }

    /// Starts it again on the data it has, on another port.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.kill();
        let ready = self.data.path().join("ready");
        let _ = std::fs::remove_file(&ready);
        let log = std::fs::File::options().create(true).append(true).open(self.data.path().join("log"))?;
        let mut command = Command::new(binary()?);
        command.args(["serve", "--listen", "127.0.0.1:0", "--node-id", "node-1", "--config"]);
        command.arg(self.data.path().join("config.toml")).arg("--data-dir");
        command.arg(self.data.path().join("data")).arg("--policy-dir").arg(self.policies.path());
        command.arg("--ready-file").arg(&ready).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn()?);
        let log = self.data.path().join("log");
        let address = wait_for(|| {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok()).flatten();
            if let Some(status) = ended {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                return Some(Err(anyhow::anyhow!("the server ended with {status}:\n{said}")));
            }
            std::fs::read_to_string(&ready).ok().filter(|text| !text.is_empty()).map(Ok)
        });
        self.address = address.context("the server did not come up")??;
        Ok(())
    }

    /// Kills it with SIGKILL, as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to stop, as a service manager does.
    pub fn terminate(&self) {
        if let Some(child) = &self.child {
            let _ = Command::new("kill").arg(child.id().to_string()).status();
        }
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| matches!(child.try_wait(), Ok(Some(_))))
    }

    /// Memory of the process that is in RAM, KiB.
    ///
    /// # Errors
    /// If the process is gone.
    pub fn memory_kib(&self) -> anyhow::Result<u64> {
        let id = self.child.as_ref().context("the server is not running")?.id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// The watched policy folder.
    #[must_use]
    pub fn policy_dir(&self) -> &Path {
        self.policies.path()
    }

    /// Runs the command line against this server; gives stdout, or stderr as an error.
    ///
    /// # Errors
    /// What it printed to stderr.
    pub fn cli(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let server = format!("http://{}", self.address);
        let done = Command::new(binary()?).args(["--server", &server]).args(arguments).output()?;
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Ok(String::from_utf8(done.stdout)?)
    }

    /// Asks; gives status and JSON.
    ///
    /// # Errors
    /// If nobody answers.
    pub fn ask(&self, method: &str, path: &str, body: Option<&str>) -> anyhow::Result<(u16, Value)> {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
        let agent: ureq::Agent = config.into();
        let url = format!("http://{}{path}", self.address);
        let mut response = match (method, body) {
            ("GET", _) => agent.get(&url).call()?,
            ("DELETE", _) => agent.delete(&url).call()?,
            (_, body) => agent.post(&url).content_type("application/json").send(body.unwrap_or_default())?,
        };
        let text = response.body_mut().read_to_string()?;
        Ok((response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// Asks, and expects success.
    ///
    /// # Errors
    /// If nobody answers or the answer is an error.
    pub fn ok(&self, method: &str, path: &str, body: Option<&str>) -> anyhow::Result<Value> {
        let (status, value) = self.ask(method, path, body)?;
        ensure!(status == 200, "{method} {path} answered {status}: {value}");
        Ok(value)
    }

    /// Uploads a component.
    ///
    /// # Errors
    /// If nobody answers.
    pub fn upload(&self, query: &str, bytes: &[u8]) -> anyhow::Result<(u16, Value)> {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
        let agent: ureq::Agent = config.into();
        let url = format!("http://{}/api/v1/policies{query}", self.address);
        let mut response = agent.post(&url).content_type("application/wasm").send(bytes)?;
        let text = response.body_mut().read_to_string()?;
        Ok((response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks until there is an answer, at most a minute.
pub fn wait_for<T>(mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let started = now();
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if started.elapsed() > PATIENCE {
            return None;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the deadline of a waiting test")]
    Instant::now()
}

/// Whether the long variants are wanted (`make soak`).
#[must_use]
pub fn is_soak() -> bool {
    std::env::var_os("PILOTHOUSE_SOAK").is_some()
}
