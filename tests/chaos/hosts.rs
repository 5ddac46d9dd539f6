//! The practice hosts of one ward as a schedule meets them: what is done to them, and what is really the case, asked with
//! docker and psql and without matron.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::schedule::{Fault, Part};

/// Nodes of the largest cluster.
const MOST: u8 = 3;

/// What was done to a host and not undone yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Plight {
    pub dead: bool,
    pub paused: bool,
    pub cut: bool,
    pub isolated: bool,
}

impl Plight {
    /// An operator who stands in front of it knows that matron cannot reach it.
    pub const fn is_out(self) -> bool {
        self.dead || self.paused || self.cut || self.isolated
    }
}

/// What a database really is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Is {
    /// Its host is dead or hangs.
    Out,
    /// It does not answer on its own host.
    Down,
    Primary {
        timeline: u32,
    },
    Standby {
        /// The address it streams from, when it does.
        from: Option<String>,
    },
}

/// A ward and what was done to it.
pub struct Hosts {
    ward: String,
    matron: PathBuf,
    folder: PathBuf,
    scratch: PathBuf,
    pub nodes: u8,
    /// Which host plays which part.
    parts: Vec<String>,
    plights: Vec<Plight>,
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
}

pub fn run(command: &mut Command) -> Ran {
    match command.stdin(Stdio::null()).output() {
        Ok(output) => Ran {
            code: output.status.code(),
            out: [output.stdout, output.stderr]
                .map(|s| String::from_utf8_lossy(&s).into_owned())
                .concat(),
        },
        Err(error) => Ran { code: None, out: error.to_string() },
    }
}

impl Ran {
    fn well(self, what: &str) -> Result<String, String> {
        if self.code == Some(0) { Ok(self.out) } else { Err(format!("{what}: {}", self.out)) }
    }
}

const ASK: &str = "select pg_is_in_recovery(), case when pg_is_in_recovery() then '0' else substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) end, \
     coalesce((select sender_host from pg_stat_wal_receiver where status = 'streaming'), '')";

impl Hosts {
    /// Names the ward that `matron`, a path to the program, will make.
    pub fn new(ward: &str, matron: &Path) -> Result<Self, String> {
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos").join(ward);
        std::fs::create_dir_all(&scratch)
            .map_err(|error| format!("{}: {error}", scratch.display()))?;
        Ok(Self {
            ward: ward.to_owned(),
            matron: matron.to_owned(),
            folder: PathBuf::from("/var/lib/matron-lab"),
            scratch,
            nodes: 0,
            parts: Vec::new(),
            plights: vec![Plight::default(); usize::from(MOST)],
        })
    }

    /// Makes the ward, with an inventory of this many nodes.
    pub fn up(&mut self, nodes: u8) -> Result<(), String> {
        self.nodes = nodes;
        self.parts = Vec::new();
        let words = ["up", "--yes", "--pg", "17", "--hosts", &nodes.to_string(), "--databases"];
        self.lab(&[&words[..], &[&nodes.to_string()]].concat())?;
        self.undo_all()
    }

    pub fn down(&self) -> Result<(), String> {
        self.lab(&["down"])
    }

    fn lab(&self, words: &[&str]) -> Result<(), String> {
        let folder = self.folder.to_string_lossy().into_owned();
        let inventory = self.inventory();
        let inventory = inventory.parent().unwrap_or(&inventory).to_string_lossy();
        let place = ["--ward", &self.ward, "--folder", &folder, "--inventory", &inventory];
        let words = [&["lab"], words, &place[..]].concat();
        run(&mut self.matron(&words)).well(&words.join(" ")).map(drop)
    }

    /// Returns matron with these words.
    pub fn matron(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.matron);
        command.args(words).current_dir(&self.scratch).stdin(Stdio::null());
        command.env("MATRON_STATE_DIR", self.scratch.join("state")).env("NO_COLOR", "1");
        command
    }

    pub fn inventory(&self) -> PathBuf {
        self.scratch.join(format!("of-{}", self.nodes)).join("hosts.yml")
    }

    /// Returns the names of the cluster's hosts.
    pub fn names(&self) -> Vec<String> {
        (1..=self.nodes).map(|at| format!("h{at}")).collect()
    }

    fn container(&self, host: &str) -> String {
        format!("matron-{}-{host}", self.ward)
    }

    /// Returns a host's address, which it keeps while its cable is pulled.
    pub fn address(&self, host: &str) -> Result<String, String> {
        let form = "{{ index .Config.Labels \"lab.address\" }}";
        let words = ["inspect", "-f", form, &self.container(host)];
        run(Command::new("docker").args(words))
            .well("docker inspect")
            .map(|out| out.trim().to_owned())
    }

    /// Runs a shell line on a host as root.
    pub fn on(&self, host: &str, line: &str) -> Ran {
        run(Command::new("timeout").args([
            "60",
            "docker",
            "exec",
            &self.container(host),
            "sh",
            "-c",
            line,
        ]))
    }

    /// Gives the parts out: whoever is the primary now is `P`.
    pub fn cast(&mut self, primary: &str) {
        let mut names = self.names();
        names.sort_by_key(|name| name != primary);
        self.parts = names;
    }

    pub fn host(&self, part: Part) -> Result<String, String> {
        let at = match part {
            Part::P => 0,
            Part::A => 1,
            Part::B => 2,
        };
        self.parts.get(at).cloned().ok_or_else(|| format!("there is no {part} in this cluster"))
    }

    pub fn plight(&self, host: &str) -> Plight {
        self.plights[Self::at(host)]
    }

    fn at(host: &str) -> usize {
        host.trim_start_matches('h').parse::<usize>().unwrap_or(1) - 1
    }

    fn mark(&mut self, host: &str, change: impl FnOnce(&mut Plight)) {
        change(&mut self.plights[Self::at(host)]);
    }

    /// Does something to the hosts. What cannot be done to a host in its state is left out.
    pub fn suffer(&mut self, fault: Fault) -> Result<(), String> {
        match fault {
            Fault::HealAll => {
                for host in self.names() {
                    self.heal(&host)?;
                }
                return Ok(());
            }
            Fault::Heal(part) => return self.heal(&self.host(part)?),
            Fault::Between(one, other) => {
                let (one, other) = (self.host(one)?, self.host(other)?);
                let peer = self.address(&other)?;
                if !self.plight(&one).dead && !self.plight(&one).paused {
                    self.on(&one, &drop_peer(&peer));
                }
                return Ok(());
            }
            Fault::Kill(_)
            | Fault::Pause(_)
            | Fault::Cut(_)
            | Fault::Isolate(_)
            | Fault::Reboot(_)
            | Fault::Engine(_)
            | Fault::Server(_) => {}
        }
        let (Fault::Kill(part)
        | Fault::Pause(part)
        | Fault::Cut(part)
        | Fault::Isolate(part)
        | Fault::Reboot(part)
        | Fault::Engine(part)
        | Fault::Server(part)) = fault
        else {
            return Ok(());
        };
        let host = self.host(part)?;
        let plight = self.plight(&host);
        if plight.dead || (plight.paused && !matches!(fault, Fault::Cut(_))) {
            return Ok(());
        }
        let container = self.container(&host);
        match fault {
            Fault::Kill(_) => {
                self.lab(&["kill", &host])?;
                self.mark(&host, |p| *p = Plight { dead: true, cut: true, ..Plight::default() });
            }
            Fault::Pause(_) => {
                self.lab(&["pause", &host])?;
                self.mark(&host, |p| p.paused = true);
            }
            Fault::Cut(_) => {
                self.lab(&["cut", &host])?;
                self.mark(&host, |p| p.cut = true);
            }
            Fault::Isolate(_) => {
                for peer in self.names().iter().filter(|peer| **peer != host) {
                    let peer = self.address(peer)?;
                    self.on(&host, &drop_peer(&peer));
                }
                self.on(&host, "iptables -t mangle -A PREROUTING -p tcp --dport 22 -j DROP");
                self.mark(&host, |p| p.isolated = true);
            }
            Fault::Reboot(_) => {
                run(Command::new("docker").args(["stop", "-t", "20", &container]))
                    .well("docker stop")?;
                run(Command::new("docker").args(["start", &container])).well("docker start")?;
                // Its rules are gone with it.
                self.mark(&host, |p| p.isolated = false);
            }
            Fault::Engine(_) => {
                self.on(&host, "kill -9 $(pidof dockerd)");
            }
            Fault::Server(_) => {
                self.on(&host, "docker kill -s KILL ward-db");
            }
            Fault::Between(..) | Fault::Heal(_) | Fault::HealAll => {}
        }
        Ok(())
    }

    fn heal(&mut self, host: &str) -> Result<(), String> {
        self.lab(&["heal", host])?;
        self.on(host, "iptables -t mangle -F PREROUTING; iptables -t mangle -F POSTROUTING");
        self.mark(host, |p| *p = Plight::default());
        Ok(())
    }

    /// Undoes everything and waits until the hosts have finished their start.
    pub fn undo_all(&mut self) -> Result<(), String> {
        for host in self.names() {
            self.heal(&host)?;
        }
        for host in self.names() {
            let line = "case $(systemctl is-system-running) in running|degraded) ;; *) exit 1;; esac; \
                        docker info >/dev/null 2>&1 || { systemctl reset-failed docker; systemctl start docker; exit 1; }";
            let end = Instant::now() + Duration::from_secs(120);
            while self.on(&host, line).code != Some(0) {
                if Instant::now() > end {
                    let state = self
                        .on(
                            &host,
                            "systemctl is-system-running; systemctl list-jobs; systemctl --failed",
                        )
                        .out;
                    return Err(format!("{host} did not finish its start within 120 s: {state}"));
                }
                std::thread::sleep(Duration::from_millis(300));
            }
        }
        Ok(())
    }

    /// Takes every database and everything matron put there away.
    pub fn empty(&mut self) -> Result<(), String> {
        self.undo_all()?;
        let line = "systemctl stop 'matron-*' 2>/dev/null; for c in $(docker ps -aq); do docker rm -fv $c; done; \
                    rm -rf /srv/* /etc/matron /var/lib/matron /etc/systemd/system/matron-* /var/log/matron-pg-guard.log \
                    /etc/systemd/system/multi-user.target.wants/matron-*; systemctl daemon-reload";
        for host in self.names() {
            self.on(&host, line).well(&format!("emptying {host}"))?;
        }
        Ok(())
    }

    /// Old data kept aside fills the disk over many schedules.
    pub fn forget_aside(&self) {
        for host in self.names() {
            self.on(&host, "rm -rf /srv/matron/ward/aside");
        }
    }

    /// Tells what each node really is.
    pub fn truth(&self) -> Vec<(String, Is)> {
        std::thread::scope(|scope| {
            let asked: Vec<_> = self
                .names()
                .into_iter()
                .map(|host| {
                    scope.spawn(move || {
                        let is = self.ask(&host);
                        (host, is)
                    })
                })
                .collect();
            asked.into_iter().filter_map(|asked| asked.join().ok()).collect()
        })
    }

    fn ask(&self, host: &str) -> Is {
        let plight = self.plight(host);
        if plight.dead || plight.paused {
            return Is::Out;
        }
        let line = format!(
            "timeout 10 docker exec -i ward-db psql -U pacs -d pacsdb -AtXq -F ' ' 2>/dev/null <<'SQL'\n{ASK}\nSQL"
        );
        let ran = self.on(host, &line);
        let words: Vec<&str> = ran.out.trim().split(' ').collect();
        match words.as_slice() {
            ["f", timeline, ..] => {
                Is::Primary { timeline: u32::from_str_radix(timeline, 16).unwrap_or_default() }
            }
            ["t", _, from @ ..] => Is::Standby {
                from: from.first().filter(|from| !from.is_empty()).map(|from| (*from).to_owned()),
            },
            _ => Is::Down,
        }
    }

    /// Collects what helps to understand a failure.
    pub fn relics(&self) -> String {
        let mut text = String::new();
        for host in self.names() {
            let line = "tail -n 30 /var/log/matron-pg-guard.log; docker ps -a; ls -l /etc/matron/pg/ward /etc/matron/pg/ward/debts /srv/matron/ward /srv/matron/ward/aside; \
                        docker logs --tail 60 ward-db; systemctl --failed --no-pager; journalctl -u matron-pg-ward --no-pager -n 20";
            let found = self.on(&host, &format!("( {line} ) 2>&1")).out;
            let plight = format!("{:?}", self.plight(&host));
            text.extend(["==== ", &host, " ", &plight, "\n", &found, "\n"]);
        }
        text
    }
}

/// Drops everything between a host, its containers among it, and a peer.
fn drop_peer(peer: &str) -> String {
    format!(
        "iptables -t mangle -A PREROUTING -s {peer} -j DROP; iptables -t mangle -A POSTROUTING -d {peer} -j DROP"
    )
}
