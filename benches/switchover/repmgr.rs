//! repmgr: a pair of Debian's PostgreSQL 15 with Debian's repmgr, switched by `repmgr standby switchover` on the standby.

use std::time::Duration;

use super::client::Pair;
use super::system::{Containers, System, patiently};

/// repmgr and its two containers.
pub struct Repmgr {
    containers: Containers,
}

/// Where the data is.
const DATA: &str = "/var/lib/postgresql/15/main";

impl Repmgr {
    /// Names the containers; none is there yet.
    pub fn new() -> Self {
        Self { containers: Containers::new("repmgr", 2) }
    }

    /// Everything one node needs before it has data: keys between the nodes, sshd, repmgr.conf.
    fn prepare(&self, at: usize, address: &str) -> Result<(), String> {
        let boxes = &self.containers;
        let ssh = "chown postgres: /var/lib/postgresql /var/lib/postgresql/15; mkdir -p /run/sshd; /usr/sbin/sshd";
        boxes.sh(at, "root", ssh)?;
        let key = "mkdir -p ~/.ssh; chmod 700 ~/.ssh; ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519";
        boxes.sh(at, "postgres", key)?;
        // Its page on switchovers asks for password-less SSH; a kept connection spares it the handshakes.
        let lasting = "StrictHostKeyChecking accept-new\nControlMaster auto\nControlPath ~/.ssh/%C\nControlPersist 600";
        boxes.write(at, "postgres", "/var/lib/postgresql/.ssh/config", lasting)?;
        let number = at + 1;
        let conf = format!(
            "node_id={number}\nnode_name='node{number}'\n\
             conninfo='host={address} user=repmgr dbname=repmgr connect_timeout=2'\n\
             data_directory='{DATA}'\npg_bindir='/usr/lib/postgresql/15/bin'\nuse_replication_slots=yes\n\
             promote_check_interval=1\nlog_level=NOTICE\n"
        );
        boxes.sh(at, "root", "touch /etc/repmgr.conf; chown postgres: /etc/repmgr.conf")?;
        boxes.write(at, "postgres", "/etc/repmgr.conf", &conf)
    }
}

impl System for Repmgr {
    fn name(&self) -> &'static str {
        "repmgr"
    }

    fn version(&self) -> Result<String, String> {
        self.containers.sh(0, "postgres", "repmgr --version")
    }

    fn settings(&self) -> &'static str {
        "promote_check_interval=1 (its smallest), slots, pg_ctl as the service command, SSH connections kept open by ControlPersist; run on the standby"
    }

    fn up(&mut self) -> Result<Pair, String> {
        let boxes = &self.containers;
        let hosts = boxes.up()?;
        for (at, address) in hosts.iter().enumerate() {
            self.prepare(at, address)?;
        }
        for (at, other) in [(0, 1), (1, 0)] {
            let public = boxes.sh(at, "postgres", "cat ~/.ssh/id_ed25519.pub")?;
            let home = "/var/lib/postgresql/.ssh/authorized_keys";
            boxes.write(other, "postgres", home, &public)?;
        }
        let make = format!(
            "initdb -D {DATA} -k --locale=C.UTF-8 >/dev/null
             cat >>{DATA}/postgresql.conf <<'CONF'
listen_addresses = '*'
shared_preload_libraries = 'repmgr'
wal_log_hints = on
hot_standby = on
max_wal_senders = 10
max_replication_slots = 10
CONF
             cat >>{DATA}/pg_hba.conf <<'HBA'
host all repmgr samenet trust
host replication repmgr samenet trust
host all bench all scram-sha-256
HBA
             pg_ctl -D {DATA} -w -l /var/lib/postgresql/15/log start >/dev/null
             createuser -s repmgr
             createdb -O repmgr repmgr
             psql -qc \"create role bench superuser login password 'bench-0nly'\"
             createdb -O bench bench
             repmgr primary register"
        );
        boxes.sh(0, "postgres", &make)?;
        let follow = format!(
            "repmgr -h {} -U repmgr -d repmgr standby clone --fast-checkpoint
             pg_ctl -D {DATA} -w -l /var/lib/postgresql/15/log start >/dev/null
             repmgr standby register",
            hosts[0]
        );
        boxes.sh(1, "postgres", &follow)?;
        let pair = Pair::new([hosts[0].clone(), hosts[1].clone()], "bench", "bench-0nly", "bench");
        for (at, other) in [(0, 1), (1, 0)] {
            let login = format!("ssh {} true", pair.hosts[other]);
            boxes.sh(at, "postgres", &login)?;
        }
        Ok(pair)
    }

    fn switch(&self, _from: usize, to: usize) -> Result<(), String> {
        // It refuses for a moment after a switchover, until its records are in order on both nodes.
        patiently("repmgr agrees", Duration::from_secs(30), || {
            self.containers.sh(to, "postgres", "repmgr standby switchover --dry-run")
        })?;
        self.containers.sh(to, "postgres", "repmgr standby switchover").map(drop)
    }

    fn down(&self) {
        self.containers.down();
    }
}
