//! The guard's script against a scripted Docker, in every shell a host may have: each state, and what comes of it.

#![expect(clippy::panic, reason = "a case that cannot be set up is a failed test")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::shell_host::ShellHost;

const SYSTEM: u64 = 7_711_119_790_488_621_087;

/// Answers from files in `$FAKE`: `state`, `policy`, `peer.ADDRESS` (what a peer's server says), `peer.ADDRESS.then` (what it says
/// from the second time on), `engine_down`. Every command that changes something is a line in `calls`.
const DOCKER: &str = r#"#!/bin/sh
case $1 in
  info | version) [ ! -e "$FAKE/engine_down" ] ;;
  inspect)
    [ -e "$FAKE/engine_down" ] && exit 1
    [ -e "$FAKE/state" ] || { echo; exit 1; }
    case $3 in *RestartPolicy*) cat "$FAKE/policy" ;; *) cat "$FAKE/state" ;; esac
    ;;
  update) echo no >"$FAKE/policy"; echo "$*" >>"$FAKE/calls" ;;
  start) echo running >"$FAKE/state"; echo "start" >>"$FAKE/calls" ;;
  kill) echo exited >"$FAKE/state"; echo "stop" >>"$FAKE/calls" ;;
  run)
    while [ $# -gt 3 ]; do shift; done
    [ -e "$FAKE/peer.$1" ] || exit 2
    cat "$FAKE/peer.$1"
    [ ! -e "$FAKE/peer.$1.then" ] || mv "$FAKE/peer.$1.then" "$FAKE/peer.$1"
    ;;
esac
"#;

/// What the guard has to make of a state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Comes {
    /// The container was started.
    Up,
    /// Fenced, and down.
    Fenced,
    /// Down, and asking on.
    Waits,
    /// Down, and done.
    Down,
}

/// A host before its guard starts, in the words of its files.
struct Host<'a> {
    shell: &'a ShellHost,
    root: PathBuf,
}

impl<'a> Host<'a> {
    fn new(shell: &'a ShellHost, peers: &str, more: &str) -> Self {
        let root = shell.folder.join("guard");
        drop(fs::remove_dir_all(&root));
        let host = Self { shell, root };
        host.write("fake/docker", DOCKER);
        let docker = host.root.join("fake/docker");
        fs::set_permissions(docker, fs::Permissions::from_mode(0o755))
            .unwrap_or_else(|error| panic!("{error}"));
        host.write("fake/state", "exited\n");
        host.write("fake/policy", "no\n");
        host.write("etc/ward/system_identifier", format!("{SYSTEM}\n"));
        let at = |name: &str| host.root.join(name).display().to_string();
        host.write(
            "etc/ward/guard.env",
            format!(
                "CLUSTER='ward'\nNODE='db1'\nCONTAINER='ward-db'\nIMAGE='image'\nROOT='{}'\nDATA='{}'\nSECRETS='/none'\nOWNER='0:0'\n\
                 REPLICATION_USER='replicator'\nSTANDBY_FILE='standby.signal'\nSTOP_TIMEOUT='3'\nGUARD_ASKS='all'\nPEERS='{peers}'\n{more}",
                at("srv"),
                at("srv/data")
            ),
        );
        host
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.root.join(name);
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&path, text))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Data of a control file: 1 is shut down, 6 in production.
    fn data(&self, state: u32, timeline: u32, checkpoint: u64) {
        let mut control = Vec::new();
        control.extend(SYSTEM.to_le_bytes());
        control.extend(1700_u32.to_le_bytes());
        control.extend(202_406_281_u32.to_le_bytes());
        control.extend(u64::from(state).to_le_bytes());
        control.extend(1_795_384_985_u64.to_le_bytes());
        control.extend(checkpoint.to_le_bytes());
        control.extend(checkpoint.to_le_bytes());
        control.extend(u64::from(timeline).to_le_bytes());
        self.write("srv/data/global/pg_control", control);
        self.write("srv/data/PG_VERSION", "17\n");
    }

    fn answers(&self, address: &str, recovery: char, timeline: u32, owed: &str) {
        let line = format!("{recovery}|{SYSTEM}|{timeline}|0/3000000|postgres|{owed}\n");
        self.write(&format!("fake/peer.{address}"), line);
    }

    /// Runs one round of the guard; returns what came of it and what it said.
    fn once(&self) -> (Comes, String) {
        let at = |name: &str| self.root.join(name).display().to_string();
        let script = include_str!("../../templates/pg-guard.sh.j2")
            .replace("{% raw %}", "")
            .replace("{% endraw %}", "")
            .replace("etc=/etc/matron/pg/", &format!("etc={}/", at("etc")))
            .replace("log=/var/log/matron-pg-guard.log", &format!("log={}", at("log")))
            .replace("PATH=/usr/local/sbin:", &format!("PATH={}:$PATH_OF_TEST:", at("fake")));
        self.write("guard", script);
        let (shell, path) = match self.shell.name {
            "busybox" => {
                let bin = self.shell.folder.join("bin");
                (bin.join("sh").display().to_string(), bin.display().to_string())
            }
            other => (format!("/bin/{other}"), "/usr/bin:/bin".to_owned()),
        };
        let ran = Command::new(shell)
            .args([at("guard").as_str(), "ward", "once"])
            .env_clear()
            .env("FAKE", at("fake"))
            .env("PATH", &path)
            .env("PATH_OF_TEST", &path)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{error}"));
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        let noise = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(noise, "", "{}: the guard complains", self.shell.name);
        let state = fs::read_to_string(self.root.join("fake/state")).unwrap_or_default();
        let comes = match (state.trim(), ran.status.code()) {
            ("running", Some(0)) => Comes::Up,
            (_, Some(75)) => Comes::Waits,
            _ if self.root.join("etc/ward/fenced").exists() => Comes::Fenced,
            _ => Comes::Down,
        };
        (comes, said)
    }
}

const PAIR: &str = "db2 10.0.0.2 5432 yes;";
const THREE: &str = "db2 10.0.0.2 5432 yes;db3 10.0.0.3 5432 yes;";

/// Claim, peers, further lines of guard.env, set up, what comes of it, what is said.
type Case = (&'static str, &'static str, &'static str, fn(&Host<'_>), Comes, &'static str);

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("a standby always starts", PAIR, "", |h| { h.data(2, 1, 9); h.write("srv/data/standby.signal", ""); }, Comes::Up, "a standby: started"),
    ("a lone primary stays down", PAIR, "", |h| h.data(6, 1, 9), Comes::Waits, "may not start alone: no answer as its standby from db2. If you know"),
    ("a primary starts when its standby answers", PAIR, "", |h| { h.data(6, 1, 9); h.answers("10.0.0.2", 't', 1, ""); }, Comes::Up, "the primary: db2 is a standby on timeline 1: started"),
    ("a standby that is behind vouches too", PAIR, "", |h| { h.data(6, 2, 9); h.answers("10.0.0.2", 't', 1, ""); }, Comes::Up, "db2 is a standby on timeline 1"),
    ("a peer that is the primary fences it", PAIR, "", |h| { h.data(6, 1, 9); h.answers("10.0.0.2", 'f', 2, ""); }, Comes::Fenced, "db2 is the primary (timeline 2, here 1): fenced"),
    ("a primary on its own timeline fences it", PAIR, "", |h| { h.data(6, 1, 9); h.answers("10.0.0.2", 'f', 1, ""); }, Comes::Fenced, "db2 is the primary (timeline 1): fenced"),
    ("a standby that is ahead fences it", PAIR, "", |h| { h.data(6, 1, 9); h.answers("10.0.0.2", 't', 2, ""); }, Comes::Fenced, "db2 is ahead (timeline 2, here 1): fenced"),
    ("an old primary that came back first does not fence the new one", PAIR, "", |h| { h.data(6, 2, 9); h.answers("10.0.0.2", 'f', 1, ""); }, Comes::Waits, "db2 takes writes on timeline 1 although this node was promoted after it"),
    ("a promotion that crashed is known by its history file", PAIR, "", |h| { h.data(6, 1, 9); h.write("srv/data/pg_wal/00000002.history", "1\t0/3000000\tx\n"); h.answers("10.0.0.2", 't', 2, ""); }, Comes::Up, "db2 is a standby on timeline 2"),
    ("one that a failover left out has no voucher", PAIR, "", |h| { h.data(6, 1, 9); h.answers("10.0.0.2", 't', 1, "db1 1"); }, Comes::Waits, "db2 was told of a failover away from this node"),
    ("an old mark means nothing on a later timeline", PAIR, "", |h| { h.data(6, 3, 9); h.answers("10.0.0.2", 't', 3, "db1 1"); }, Comes::Up, "db2 is a standby on timeline 3"),
    ("a mark about another node means nothing", PAIR, "", |h| { h.data(6, 1, 9); h.answers("10.0.0.2", 't', 1, "db11 7,db2 1"); }, Comes::Up, "started"),
    ("another cluster's server vouches for nothing", PAIR, "", |h| { h.data(6, 1, 9); h.write("fake/peer.10.0.0.2", "t|42|1|0/3000000|postgres|\n"); }, Comes::Waits, "db2 answers for another cluster (42"),
    ("all peers are asked", THREE, "", |h| { h.data(6, 1, 9); h.answers("10.0.0.2", 't', 1, ""); }, Comes::Waits, "no answer as its standby from db3"),
    ("all peers answer", THREE, "", |h| { h.data(6, 1, 9); h.answers("10.0.0.2", 't', 1, ""); h.answers("10.0.0.3", 't', 1, ""); }, Comes::Up, "db2 is a standby on timeline 1, db3 is a standby on timeline 1"),
    ("one that is ahead outweighs one that vouches", THREE, "", |h| { h.data(6, 1, 9); h.answers("10.0.0.2", 't', 1, ""); h.answers("10.0.0.3", 't', 2, ""); }, Comes::Fenced, "db3 is ahead"),
    ("a majority is enough where the site says so", THREE, "GUARD_ASKS='majority'", |h| { h.data(6, 1, 9); h.answers("10.0.0.2", 't', 1, ""); }, Comes::Up, "the primary: db2"),
    ("of a pair both are the majority", PAIR, "GUARD_ASKS='majority'", |h| h.data(6, 1, 9), Comes::Waits, "may not start alone"),
    ("one that may not be promoted need not answer", "db2 10.0.0.2 5432 yes;db3 10.0.0.3 5432 no;", "", |h| { h.data(6, 1, 9); h.answers("10.0.0.2", 't', 1, ""); }, Comes::Up, "the primary: db2"),
    ("but is no reason to start either", "db3 10.0.0.3 5432 no;", "", |h| h.data(6, 1, 9), Comes::Waits, "no peer answers as its standby"),
    ("the new primary does not wait for the one it replaced", PAIR, "", |h| { h.data(6, 2, 9); h.write("etc/ward/debts/db2.json", "{}"); h.write("etc/ward/debts/db2.timeline", "2\n"); }, Comes::Up, "every other node is owed a fence since this one was promoted"),
    ("a debt of a promotion that did not happen proves nothing", PAIR, "", |h| { h.data(6, 1, 9); h.write("etc/ward/debts/db2.json", "{}"); }, Comes::Waits, "may not start alone"),
    ("a debt of an earlier timeline proves nothing", PAIR, "", |h| { h.data(6, 3, 9); h.write("etc/ward/debts/db2.json", "{}"); h.write("etc/ward/debts/db2.timeline", "2\n"); }, Comes::Waits, "may not start alone"),
    ("with three, one owed and one vouching is all", THREE, "", |h| { h.data(6, 2, 9); h.write("etc/ward/debts/db2.json", "{}"); h.write("etc/ward/debts/db2.timeline", "2\n"); h.answers("10.0.0.3", 't', 2, ""); }, Comes::Up, "the primary: db3"),
    ("an owed node that takes writes is not ignored", PAIR, "", |h| { h.data(6, 2, 9); h.write("etc/ward/debts/db2.json", "{}"); h.write("etc/ward/debts/db2.timeline", "2\n"); h.answers("10.0.0.2", 'f', 1, ""); }, Comes::Waits, "db2 takes writes on timeline 1"),
    ("an older copy of the data is noticed", PAIR, "", |h| { h.data(1, 1, 0x100_0000); h.write("fake/peer.10.0.0.2", format!("t|{SYSTEM}|1|0/5000000|postgres|\n")); }, Comes::Waits, "WAL up to 0/5000000, which this node never wrote"),
    ("a crashed primary's last record is not known", PAIR, "", |h| { h.data(6, 1, 0x100_0000); h.write("fake/peer.10.0.0.2", format!("t|{SYSTEM}|1|0/5000000|postgres|\n")); }, Comes::Up, "started"),
    ("the only node starts", "", "", |h| h.data(6, 1, 9), Comes::Up, "the only node: started"),
    ("what is fenced stays down", PAIR, "", |h| { h.data(6, 1, 9); h.write("etc/ward/fenced", "failover to db2\n"); h.answers("10.0.0.2", 't', 1, ""); }, Comes::Fenced, "fenced (failover to db2): kept down"),
    ("an operator's word starts it", PAIR, "", |h| { h.data(6, 1, 9); h.write("etc/ward/allow-start", "the other one burned down\n"); }, Comes::Up, "by the operator's word (the other one burned down): started"),
    ("but not one that is fenced", PAIR, "", |h| { h.data(6, 1, 9); h.write("etc/ward/allow-start", ""); h.write("etc/ward/fenced", "x\n"); }, Comes::Fenced, "kept down"),
    ("a disk that is not mounted is waited for", PAIR, "", |_| {}, Comes::Waits, "is a disk not mounted?"),
    ("another cluster's disk is waited for", PAIR, "", |h| { h.data(6, 1, 9); h.write("etc/ward/system_identifier", "42\n"); }, Comes::Waits, "should hold 42: is the right disk mounted?"),
    ("a copy that did not end is not started", PAIR, "", |h| { h.data(6, 1, 9); h.write("srv/clone.begun", ""); h.write("srv/data/standby.signal", ""); }, Comes::Waits, "a copy or a rewind was begun and did not end"),
    ("no container is nothing to start", PAIR, "", |h| { h.data(6, 1, 9); drop(fs::remove_file(h.root.join("fake/state"))); }, Comes::Down, "there is no container ward-db"),
    ("an engine that does not answer is waited for", PAIR, "", |h| { h.data(6, 1, 9); h.write("fake/engine_down", ""); }, Comes::Waits, "the Docker engine does not answer"),
    ("what runs already is left alone", PAIR, "", |h| { h.data(6, 1, 9); h.write("fake/state", "running\n"); }, Comes::Up, "runs already"),
    ("what is paused is left to a person", PAIR, "", |h| { h.data(6, 1, 9); h.write("fake/state", "paused\n"); h.answers("10.0.0.2", 't', 1, ""); }, Comes::Waits, "is paused. To let it go on: docker unpause ward-db"),
    ("a promotion between the answer and the start takes it down again", PAIR, "", |h| { h.data(6, 1, 9); h.answers("10.0.0.2", 't', 1, ""); h.write("fake/peer.10.0.0.2.then", format!("f|{SYSTEM}|2|0/3000000|postgres|\n")); }, Comes::Fenced, "db2 is the primary (timeline 2, here 1): fenced"),
    ("an answer that is none is silence", PAIR, "", |h| { h.data(6, 1, 9); h.write("fake/peer.10.0.0.2", "nonsense\n"); }, Comes::Waits, "answers for another cluster"),
];

#[test]
fn guard_makes_of_every_state_what_it_must() {
    for shell in ShellHost::each() {
        for (claim, peers, more, set_up, comes, says) in CASES {
            let host = Host::new(&shell, peers, more);
            set_up(&host);
            let (came, said) = host.once();
            let name = shell.name;
            assert_eq!(came, *comes, "{name}: {claim}: {said}");
            assert!(said.contains(says), "{name}: {claim}: it said {said}");
            let log = fs::read_to_string(host.root.join("log")).unwrap_or_default();
            assert_eq!(log, said, "{name}: {claim}: the log is not what was said");
        }
    }
}

#[test]
fn fence_of_the_guard_holds_when_somebody_starts_the_container_by_hand() {
    for shell in ShellHost::each() {
        let host = Host::new(&shell, PAIR, "");
        host.data(6, 1, 9);
        host.answers("10.0.0.2", 'f', 2, "");
        assert_eq!(host.once().0, Comes::Fenced, "{}", shell.name);
        assert!(host.root.join("srv/data/standby.signal").exists(), "{}", shell.name);
        let why = fs::read_to_string(host.root.join("etc/ward/fenced")).unwrap_or_default();
        assert_eq!(why, "guard: db2 is the primary (timeline 2, here 1)\n");
    }
}

#[test]
fn restart_policy_of_somebody_elses_making_is_taken_away() {
    for shell in ShellHost::each() {
        let host = Host::new(&shell, PAIR, "");
        host.data(6, 1, 9);
        host.write("fake/policy", "always\n");
        let (came, said) = host.once();
        assert_eq!(came, Comes::Waits, "{}: {said}", shell.name);
        let policy = fs::read_to_string(host.root.join("fake/policy")).unwrap_or_default();
        assert_eq!(policy, "no\n", "{}", shell.name);
    }
}

#[test]
fn log_of_the_guard_is_turned_over() {
    for shell in ShellHost::each() {
        let host = Host::new(&shell, PAIR, "");
        host.data(6, 1, 9);
        host.write("log", "x".repeat(1_100_000));
        host.once();
        let size = fs::metadata(host.root.join("log")).map_or(0, |data| data.len());
        assert!((1..10_000).contains(&size), "{}: {size} bytes", shell.name);
        assert!(host.root.join("log.1").exists(), "{}", shell.name);
    }
}
