//! matron, with a practice ward of its own.

use std::path::PathBuf;
use std::process::Command;

use super::client::Pair;
use super::system::{System, run};

/// The ward's name.
const WARD: &str = "gap";

/// matron and its ward.
pub struct Matron {
    major: u8,
    scratch: PathBuf,
}

impl Matron {
    /// Names the ward; it is not there yet.
    pub fn new(major: u8) -> Self {
        Self { major, scratch: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("switchover") }
    }

    fn matron(&self, words: &[&str]) -> Result<String, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_matron"));
        command
            .args(words)
            .current_dir(&self.scratch)
            .env("MATRON_STATE_DIR", self.scratch.join("state"))
            .env("NO_COLOR", "1");
        run(&mut command)
    }

    fn pg(&self, verb: &str) -> Result<String, String> {
        let inventory = self.scratch.join("inventory/hosts.yml");
        let image = format!("pg_image=matron-lab/postgres:{}", self.major);
        let inventory = inventory.to_string_lossy();
        let words = ["pg", verb, "-i", &inventory, "--yes", "-l", "h1,h2", "-e", &image];
        self.matron(&[&words[..], &["-e", "pg_synchronous=off"]].concat())
    }

    fn address(host: &str) -> Result<String, String> {
        let form = "{{ index .Config.Labels \"lab.address\" }}";
        super::system::docker(&["inspect", "-f", form, &format!("matron-{WARD}-{host}")])
    }
}

impl System for Matron {
    fn name(&self) -> &'static str {
        "matron"
    }

    fn version(&self) -> Result<String, String> {
        self.matron(&["--version"])
    }

    fn settings(&self) -> &'static str {
        "as `matron pg setup` makes a pair; run from this machine over SSH; the databases in containers inside the hosts"
    }

    fn up(&mut self) -> Result<Pair, String> {
        std::fs::create_dir_all(&self.scratch).map_err(|error| error.to_string())?;
        let (major, inventory) = (self.major.to_string(), self.scratch.join("inventory"));
        let inventory = inventory.to_string_lossy();
        let words = ["lab", "up", "--yes", "--ward", WARD, "--hosts", "2", "--pg", &major];
        self.matron(&[&words[..], &["--inventory", &inventory]].concat())?;
        // From nothing, whatever an earlier run left there.
        let empty = "systemctl stop 'matron-*' 2>/dev/null; for c in $(docker ps -aq); do docker rm -fv $c; done; \
                     rm -rf /srv/* /etc/matron /var/lib/matron /etc/systemd/system/matron-* \
                     /etc/systemd/system/multi-user.target.wants/matron-*; systemctl daemon-reload";
        for host in ["h1", "h2"] {
            super::system::docker(&["exec", &format!("matron-{WARD}-{host}"), "sh", "-c", empty])?;
        }
        self.pg("setup")?;
        Ok(Pair::new(
            [Self::address("h1")?, Self::address("h2")?],
            "pacs",
            "ward-0nly-practice",
            "pacsdb",
        ))
    }

    fn switch(&self, _from: usize, _to: usize) -> Result<(), String> {
        self.pg("switchover").map(drop)
    }

    fn down(&self) {
        if let Err(why) = self.matron(&["lab", "down", "--ward", WARD]) {
            eprintln!("the ward could not be taken away: {why}");
        }
    }
}
