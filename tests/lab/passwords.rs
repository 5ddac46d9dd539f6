//! Passwords: where they must not be seen while a cluster is made and while they are rotated, and a rotation that is cut short.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;

use super::Test;
use super::ward::{Ran, Ward};

pub const TESTS: &[Test] = &[
    ("passwords::are_seen_nowhere_in_setup_and_rotation", nowhere),
    ("passwords::rotation_that_is_killed_is_ended_by_the_next", killed),
];

/// Reads the command lines of all processes, again and again, and tells every text it met when it is stopped.
const SAMPLER: &str = r#"my $stop = shift; my %seen;
until (-e $stop) {
  for my $file (glob('/proc/[0-9]*/cmdline')) {
    open(my $in, '<', $file) or next; local $/; my $text = <$in>; close $in;
    next unless defined $text; $seen{$text} = 1;
  }
  select(undef, undef, undef, 0.02);
}
print join("\n", map { tr/\0/\n/r } keys %seen), "\n";"#;

const STOP: &str = "/run/matron-sampler-stop";

struct Sampler {
    children: Vec<Child>,
    file: std::path::PathBuf,
}

impl Sampler {
    fn start(ward: &Ward) -> Result<Self, String> {
        let file = ward.write("sampler-stop", "");
        std::fs::remove_file(&file).map_err(|error| error.to_string())?;
        let mut children = Vec::new();
        let mut start = |command: &mut Command| {
            let child = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn();
            children.push(child.map_err(|error| error.to_string())?);
            Ok::<_, String>(())
        };
        start(Command::new("perl").args(["-e", SAMPLER]).arg(&file))?;
        for host in ["h1", "h2"] {
            ward.on_host(host, &format!("rm -f {STOP}"));
            let host = ward.container(host);
            start(Command::new("docker").args(["exec", &host, "perl", "-e", SAMPLER, STOP]))?;
        }
        Ok(Self { children, file })
    }

    fn stop(self, ward: &Ward) -> Result<String, String> {
        std::fs::write(&self.file, "").map_err(|error| error.to_string())?;
        for host in ["h1", "h2"] {
            ward.on_host(host, &format!("touch {STOP}"));
        }
        let mut all = String::new();
        for child in self.children {
            let output = child.wait_with_output().map_err(|error| error.to_string())?;
            all.push_str(&String::from_utf8_lossy(&output.stdout));
        }
        for host in ["h1", "h2"] {
            ward.on_host(host, &format!("rm -f {STOP}"));
        }
        Ok(all)
    }
}

fn pg(ward: &Ward, verb: &str, secrets: &str, more: &[&str]) -> Ran {
    let settings = r#"{"pg_settings": {"log_statement": "all", "log_min_duration_statement": 0}}"#;
    let words = ["-l", "h1,h2", "-e", "pg_image=matron-lab/postgres:17", "-e", settings, "--yes"];
    ward.with_inventory(&["pg", verb], &[&words[..], &["-e", secrets], more].concat())
}

fn fresh(ward: &Ward) -> Result<(), String> {
    for host in ["h1", "h2"] {
        ward.lab("heal", host)?;
        ward.empty(host)?;
    }
    Ok(())
}

/// Returns the replication password as a host keeps it.
fn kept(ward: &Ward, host: &str) -> String {
    ward.on_host(host, "cat /srv/matron/ward/secrets/replication").stdout.trim().to_owned()
}

fn streams(ward: &Ward) -> Result<(), String> {
    ward.wait("the standby streams", Duration::from_secs(60), || {
        let state = ward.sql("h1", "select state from pg_stat_replication");
        state.is_ok_and(|state| state == "streaming")
    })
}

fn nowhere(ward: &Ward) -> Result<(), String> {
    fresh(ward)?;
    let number = std::process::id();
    let (first, second) = (format!("first-Arch1ve-{number}"), format!("second-Arch1ve-{number}"));
    let file = |name: &str, password: &str| {
        let path = ward.write(name, &format!("postgres_password: {password}\n"));
        format!("@{}", path.to_string_lossy())
    };
    let loud = ["--output", "json", "-vvv", "--diff", "--show-scripts"];
    let sampler = Sampler::start(ward)?;
    let setup = pg(ward, "setup", &file("first.yml", &first), &loud).expect_code(0);
    let before = kept(ward, "h1");
    let rotation = pg(ward, "password", &file("second.yml", &second), &loud).expect_code(0);
    let after = kept(ward, "h1");
    let processes = sampler.stop(ward)?;
    let (setup, rotation) = (setup?, rotation?);

    if before.len() < 20 || after.len() < 20 || before == after || after != kept(ward, "h2") {
        return Err("the replication password was not rotated on all nodes".into());
    }
    streams(ward)?;
    let stored = "select count(*) from pg_authid where rolpassword like 'SCRAM-SHA-256$%' and rolname in ('pacs', 'replicator')";
    if ward.sql("h1", stored)? != "2" {
        return Err("a role has no SCRAM verifier".into());
    }
    // Each stands where its servers and clients read it, which shows that the search would find it.
    if !processes.contains("matron\npg\npassword") && !processes.contains("\npassword\n") {
        return Err("the sampler did not see matron itself".into());
    }
    let mut places = vec![
        ("a command line or an environment".to_owned(), processes),
        ("the output of setup".to_owned(), setup.all()),
        ("the output of the rotation".to_owned(), rotation.all()),
        ("a run record".to_owned(), ward.records()?),
    ];
    for host in ["h1", "h2"] {
        let look =
            |what: &str, line: &str| (format!("{what} of {host}"), ward.on_host(host, line).all());
        places.push(look("docker inspect", "docker inspect $(docker ps -aq)"));
        places.push(look("docker logs", "for c in $(docker ps -aq); do docker logs $c; done"));
        places.push(look("the journal", "journalctl --no-pager"));
        places.push(look("/var/log", "cat $(find /var/log -type f -not -path '*/journal/*')"));
    }
    let logs: String = places.iter().map(|(_, text)| text.as_str()).collect();
    if !logs.contains("statement: ") {
        return Err("the servers logged no statement: the test would prove nothing".into());
    }
    for (name, secret) in [
        ("first password of the archive's user", &first),
        ("second password of the archive's user", &second),
        ("first replication password", &before),
        ("second replication password", &after),
    ] {
        let coded = base64::engine::general_purpose::STANDARD.encode(secret);
        // Where it stands in a longer text, the last letters of its code are others.
        let coded = &coded[..coded.len() - 4];
        for (place, text) in &places {
            if text.contains(secret.as_str()) || text.contains(coded) {
                let line = text.lines().find(|line| line.contains(secret.as_str()));
                return Err(format!("the {name} is in {place}: {line:?}"));
            }
        }
    }
    // Verifiers are no passwords, and are in no log either.
    let verifier = places.iter().find(|(_, text)| text.contains("SCRAM-SHA-256$4096:"));
    verifier.map_or(Ok(()), |(place, _)| Err(format!("a verifier is in {place}")))
}

fn killed(ward: &Ward) -> Result<(), String> {
    let secrets = "postgres_password=ward-0nly-practice";
    fresh(ward)?;
    pg(ward, "setup", secrets, &[]).expect_code(0)?;
    let before = kept(ward, "h1");
    let inventory = ward.inventory_file();
    let inventory = inventory.to_string_lossy();
    let words = [
        "pg",
        "password",
        "--yes",
        "-i",
        &inventory,
        "-l",
        "h1,h2",
        "-e",
        "pg_image=matron-lab/postgres:17",
    ];
    let mut run = ward
        .command(&words)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let next = "cat /srv/matron/ward/secrets/replication.next";
    let begun = ward.wait("the rotation has begun", Duration::from_secs(60), || {
        ward.on_host("h1", next).code == 0
    });
    run.kill().map_err(|error| error.to_string())?;
    run.wait().map_err(|error| error.to_string())?;
    begun?;
    let wanted = ward.on_host("h1", next).stdout.trim().to_owned();
    // WAL goes on to stream: a connection that stands asks for no password.
    streams(ward)?;
    ward.wait("the lock has died with its holder", Duration::from_secs(60), || {
        ward.on_host("h1", "flock -n /run/lock/matron-pg-ward.lock true").code == 0
    })?;
    pg(ward, "password", secrets, &[]).expect_code(0)?;
    let after = (kept(ward, "h1"), kept(ward, "h2"));
    let left = ward.on_host("h1", next).code == 0;
    if before == wanted || after != (wanted.clone(), wanted) || left {
        return Err("the second run did not end what the first one began".into());
    }
    streams(ward)?;
    let words = ["-l", "h1,h2", "-e", "pg_image=matron-lab/postgres:17"];
    ward.with_inventory(&["pg", "status"], &words).expect_says("healthy").map(drop)
}
