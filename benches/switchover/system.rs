//! What is measured: a pair that somebody's tool keeps.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::client::Pair;

/// A tool with a pair of PostgreSQL 15 of its own.
pub trait System {
    /// Returns its name.
    fn name(&self) -> &'static str;

    /// Returns the version that runs.
    fn version(&self) -> Result<String, String>;

    /// Returns how it is set up, in so far as it bears on the gap.
    fn settings(&self) -> &'static str;

    /// Makes the pair from nothing.
    fn up(&mut self) -> Result<Pair, String>;

    /// Makes the other node the primary, as an operator would, and returns when the tool says that it is done.
    fn switch(&self, from: usize, to: usize) -> Result<(), String>;

    /// Takes the pair away.
    fn down(&self);
}

/// Runs a program; its output when it ended well.
pub fn run(command: &mut Command) -> Result<String, String> {
    let name = format!("{command:?}");
    let ran = command.stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))?;
    let out = String::from_utf8_lossy(&ran.stdout);
    if ran.status.success() {
        return Ok(out.trim().to_owned());
    }
    let err = String::from_utf8_lossy(&ran.stderr);
    Err(format!("{name} ended with {}\n{out}{err}", ran.status))
}

/// Runs docker.
pub fn docker(words: &[&str]) -> Result<String, String> {
    run(Command::new("docker").args(words))
}

/// Waits until work is done that may fail for a while.
pub fn patiently<T>(
    what: &str,
    within: Duration,
    mut work: impl FnMut() -> Result<T, String>,
) -> Result<T, String> {
    let end = Instant::now() + within;
    loop {
        match work() {
            Ok(done) => return Ok(done),
            Err(why) if Instant::now() > end => {
                return Err(format!("not within {within:?}: {what}: {why}"));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// A network and containers of the image with the peers' packages.
pub struct Containers {
    pub names: Vec<String>,
    network: String,
}

/// The image with the peers' packages.
const IMAGE: &str = "matron-bench/peers";

impl Containers {
    /// Names them; none is there yet.
    pub fn new(system: &str, count: usize) -> Self {
        let names = (1..=count).map(|at| format!("matron-bench-{system}-{at}")).collect();
        Self { names, network: format!("matron-bench-{system}") }
    }

    /// Makes the image, once, and the containers anew.
    pub fn up(&self) -> Result<Vec<String>, String> {
        image()?;
        self.down();
        docker(&["network", "create", &self.network])?;
        for name in &self.names {
            // The data on a volume, as the practice hosts have theirs: not on the container's overlay.
            let words = ["run", "-d", "--init", "--name", name, "--hostname", name];
            let place = ["--network", &self.network, "-v", "/var/lib/postgresql/15", IMAGE];
            docker(&[&words[..], &place[..]].concat())?;
        }
        let form = "{{ range .NetworkSettings.Networks }}{{ .IPAddress }}{{ end }}";
        self.names.iter().map(|name| docker(&["inspect", "-f", form, name])).collect()
    }

    /// Takes them away, in so far as they are there.
    pub fn down(&self) {
        for name in &self.names {
            docker(&["rm", "-fv", name]).ok();
        }
        docker(&["network", "rm", &self.network]).ok();
    }

    /// Runs a shell script in one of them.
    pub fn sh(&self, at: usize, user: &str, script: &str) -> Result<String, String> {
        docker(&["exec", "-u", user, &self.names[at], "sh", "-euc", script])
    }

    /// Writes a file in one of them.
    pub fn write(&self, at: usize, user: &str, path: &str, text: &str) -> Result<(), String> {
        let script = format!("umask 077; cat >{path} <<'END_OF_FILE'\n{text}\nEND_OF_FILE\n");
        self.sh(at, user, &script).map(drop)
    }

    /// Starts a program in one of them that stays.
    pub fn spawn(&self, at: usize, user: &str, script: &str) -> Result<(), String> {
        docker(&["exec", "-d", "-u", user, &self.names[at], "sh", "-euc", script]).map(drop)
    }
}

/// Builds the image when it is not there.
fn image() -> Result<(), String> {
    if docker(&["image", "inspect", IMAGE]).is_ok() {
        return Ok(());
    }
    eprintln!("building {IMAGE}: PostgreSQL 15, repmgr, Patroni and etcd from Debian 12, by apt");
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers");
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let file = folder.join("Dockerfile");
    std::fs::write(&file, include_str!("peers.Dockerfile")).map_err(|error| error.to_string())?;
    docker(&["build", "-q", "-t", IMAGE, &folder.to_string_lossy()]).map(drop)
}
