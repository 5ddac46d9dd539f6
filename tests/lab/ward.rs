//! The ward as the tests use it: matron as a user calls it, and a look past it with docker and psql.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// What a ward is made of.
#[derive(Clone, Debug)]
pub struct Size {
    /// PostgreSQL majors to have images of; the first is the ward's default.
    pub majors: Vec<u8>,
    /// How many hosts: the pair h1/h2 for databases, the rest for whatever needs hosts of its own.
    pub hosts: u8,
}

/// A practice ward that is up.
#[derive(Debug)]
pub struct Ward {
    name: String,
    size: Size,
    folder: PathBuf,
    inventory: PathBuf,
    scratch: PathBuf,
}

/// What a matron command did.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Returns both streams, for messages and searches.
    pub fn all(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    /// Fails with everything said unless the exit code is as wanted.
    pub fn expect_code(self, want: i32) -> Result<Self, String> {
        if self.code == want {
            return Ok(self);
        }
        Err(format!("exit {} instead of {want}\n{}", self.code, self.all()))
    }

    /// Fails unless something was said.
    pub fn expect_says(self, words: &str) -> Result<Self, String> {
        if self.all().contains(words) {
            return Ok(self);
        }
        Err(format!("'{words}' was not said:\n{}", self.all()))
    }

    /// Returns the recap's count of a host, such as `changed`.
    pub fn tally(&self, host: &str, what: &str) -> Result<u32, String> {
        let line = self
            .stdout
            .lines()
            .find(|line| {
                line.split(':').next().is_some_and(|name| name.trim() == host)
                    && line.contains("ok=")
            })
            .ok_or_else(|| format!("no recap line of {host}:\n{}", self.all()))?;
        let count = line.split_whitespace().find_map(|part| part.strip_prefix(&format!("{what}=")));
        count.and_then(|n| n.parse().ok()).ok_or_else(|| format!("no {what}= in: {line}"))
    }
}

fn run(command: &mut Command) -> Ran {
    command.stdin(Stdio::null()).output().expect("the command starts").into()
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ward {
    /// Makes the ward, saying what it installs.
    pub fn up(lane: &str, size: Size) -> Result<Self, String> {
        // Another name makes the lane a ward of its own, beside one that is in use.
        let name = std::env::var("MATRON_LAB_WARD").unwrap_or_else(|_| lane.to_owned());
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
        std::fs::create_dir_all(&scratch)
            .map_err(|error| format!("{}: {error}", scratch.display()))?;
        let ward = Self {
            name,
            size,
            folder: PathBuf::from("/var/lib/matron-lab"),
            inventory: scratch.join("inventory"),
            scratch,
        };
        // Records of an earlier lane would be taken for this one's.
        std::fs::remove_dir_all(ward.state()).ok();
        eprintln!(
            "making a practice ward: {} hosts, PostgreSQL {} (`matron lab up` says what it installs)",
            ward.size.hosts,
            ward.majors()
        );
        let made = ward.lab_up();
        eprint!("{}", made.stderr);
        made.expect_code(0)?;
        Ok(ward)
    }

    /// Runs `matron lab up` as the lane wants the ward.
    pub fn lab_up(&self) -> Ran {
        self.matron(&[
            "lab",
            "up",
            "--yes",
            "--ward",
            &self.name,
            "--hosts",
            &self.size.hosts.to_string(),
            "--pg",
            &self.majors(),
            "--folder",
            &self.folder.to_string_lossy(),
            "--inventory",
            &self.inventory.to_string_lossy(),
        ])
    }

    /// Returns the majors as a flag's value.
    fn majors(&self) -> String {
        self.size.majors.iter().map(u8::to_string).collect::<Vec<_>>().join(",")
    }

    /// Takes the ward away; images stay for the next run.
    pub fn down(&self) {
        let gone = self.matron(&[
            "lab",
            "down",
            "--ward",
            &self.name,
            "--folder",
            &self.folder.to_string_lossy(),
        ]);
        if gone.code != 0 {
            eprintln!("the ward could not be taken away:\n{}", gone.all());
        }
    }

    /// Runs matron with these words.
    pub fn matron(&self, words: &[&str]) -> Ran {
        run(&mut self.command(words))
    }

    /// Returns matron with these words, to be started by the test itself.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_matron"));
        command
            .args(words)
            .current_dir(&self.scratch)
            .stdin(Stdio::null())
            .env("MATRON_STATE_DIR", self.state());
        command.env_remove("ANSIBLE_FORKS").env("NO_COLOR", "1");
        command
    }

    /// Returns the folder of run records.
    pub fn state(&self) -> PathBuf {
        self.scratch.join("state")
    }

    /// Runs `matron lab VERB HOST`.
    pub fn lab(&self, verb: &str, host: &str) -> Result<(), String> {
        let folder = self.folder.to_string_lossy().into_owned();
        let inventory = self.inventory.to_string_lossy().into_owned();
        let place = ["--ward", &self.name, "--folder", &folder, "--inventory", &inventory];
        self.matron(&[&["lab", verb, host], &place[..]].concat()).expect_code(0).map(drop)
    }

    /// Runs a `matron` verb with the ward's inventory.
    pub fn with_inventory(&self, verb: &[&str], more: &[&str]) -> Ran {
        let file = self.inventory_file();
        let mut words = verb.to_vec();
        let file = file.to_string_lossy();
        words.extend(["-i", &file]);
        words.extend(more);
        self.matron(&words)
    }

    /// Returns the ward's inventory file.
    pub fn inventory_file(&self) -> PathBuf {
        self.inventory.join("hosts.yml")
    }

    /// Returns the ward's known_hosts.
    pub fn known_hosts(&self) -> PathBuf {
        self.inventory.join("known_hosts")
    }

    /// Returns the ward's private key.
    pub fn key(&self) -> PathBuf {
        self.folder.join("id")
    }

    /// Writes a file into the lane's scratch folder.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.scratch.join(name);
        std::fs::create_dir_all(path.parent().expect("has a folder")).expect("folder can be made");
        std::fs::write(&path, text).expect("file can be written");
        path
    }

    /// Runs a shell line on a host as root, past matron.
    pub fn on_host(&self, host: &str, line: &str) -> Ran {
        run(Command::new("docker").args(["exec", &self.container(host), "sh", "-c", line]))
    }

    /// Returns the container that is a host of the ward.
    pub fn container(&self, host: &str) -> String {
        format!("matron-{}-{host}", self.name)
    }

    /// Returns a host's address.
    pub fn address(&self, host: &str) -> String {
        let form = "{{ index .Config.Labels \"lab.address\" }}";
        let found =
            run(Command::new("docker").args(["inspect", "-f", form, &self.container(host)]));
        found.stdout.trim().to_owned()
    }

    /// Tells whether a host has power.
    pub fn is_running(&self, host: &str) -> bool {
        let form = "{{ .State.Running }}";
        let found =
            run(Command::new("docker").args(["inspect", "-f", form, &self.container(host)]));
        found.stdout.trim() == "true"
    }

    /// Runs SQL in a host's database container over its local socket, past matron.
    pub fn sql(&self, host: &str, sql: &str) -> Result<String, String> {
        let line = format!(
            "docker exec -i \"$(docker ps -q --filter label=org.matron.digest | head -n 1)\" psql -U pacs -d pacsdb -AtXqv ON_ERROR_STOP=1 <<'SQL'\n{sql}\nSQL"
        );
        let ran = self.on_host(host, &line);
        if ran.code == 0 {
            Ok(ran.stdout.trim().to_owned())
        } else {
            Err(format!("{sql}: {}", ran.all()))
        }
    }

    /// Empties a host of databases and of everything matron put there.
    pub fn empty(&self, host: &str) -> Result<(), String> {
        let line = "systemctl stop 'matron-*' 2>/dev/null; for c in $(docker ps -aq); do docker rm -fv $c; done; \
                    rm -rf /srv/* /etc/matron /var/lib/matron /etc/systemd/system/matron-* \
                    /etc/systemd/system/multi-user.target.wants/matron-*; systemctl daemon-reload";
        let ran = self.on_host(host, line);
        if ran.code == 0 { Ok(()) } else { Err(ran.all()) }
    }

    /// Runs the demo on this ward.
    pub fn demo(&self) -> Ran {
        self.matron(&[
            "lab",
            "demo",
            "--yes",
            "--ward",
            &self.name,
            "--output",
            "json",
            "--hosts",
            &self.size.hosts.to_string(),
            "--pg",
            &self.majors(),
            "--folder",
            &self.folder.to_string_lossy(),
            "--inventory",
            &self.inventory.to_string_lossy(),
        ])
    }

    /// Returns every line of every run record kept so far.
    pub fn records(&self) -> Result<String, String> {
        let mut all = String::new();
        let runs = self.scratch.join("state/runs");
        for run in
            std::fs::read_dir(&runs).map_err(|error| format!("{}: {error}", runs.display()))?
        {
            let path = run.map_err(|error| error.to_string())?.path().join("events.jsonl");
            all.push_str(
                &std::fs::read_to_string(&path)
                    .map_err(|error| format!("{}: {error}", path.display()))?,
            );
        }
        Ok(all)
    }

    /// Waits until a check holds.
    #[expect(
        clippy::unused_self,
        reason = "there is something to wait for only while a ward is up"
    )]
    pub fn wait(
        &self,
        what: &str,
        within: Duration,
        check: impl Fn() -> bool,
    ) -> Result<(), String> {
        let end = Instant::now() + within;
        while !check() {
            if Instant::now() > end {
                return Err(format!("not within {within:?}: {what}"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

/// Returns the value of the last JSON line.
pub fn last_json(text: &str) -> Result<Value, String> {
    let line = text.lines().rfind(|line| line.starts_with('{')).ok_or("no JSON line")?;
    serde_json::from_str(line).map_err(|error| error.to_string())
}
