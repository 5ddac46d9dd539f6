//! Patroni: a pair of Debian's PostgreSQL 15 under Debian's Patroni with etcd, switched by `patronictl switchover`.

use std::time::Duration;

use super::client::Pair;
use super::system::{Containers, System, patiently};

/// Patroni, its two nodes, and etcd in a third container.
pub struct Patroni {
    containers: Containers,
}

impl Patroni {
    /// Names the containers; none is there yet.
    pub fn new() -> Self {
        Self { containers: Containers::new("patroni", 3) }
    }

    fn start(&self, at: usize, hosts: &[String]) -> Result<(), String> {
        let boxes = &self.containers;
        let (number, address, etcd) = (at + 1, &hosts[at], &hosts[2]);
        let conf = format!(
            "scope: bench
name: node{number}
restapi:
  listen: 0.0.0.0:8008
  connect_address: {address}:8008
etcd3:
  host: {etcd}:2379
bootstrap:
  dcs:
    ttl: 30
    loop_wait: 10
    retry_timeout: 10
    maximum_lag_on_failover: 1048576
    postgresql:
      use_pg_rewind: true
      use_slots: true
      parameters:
        wal_log_hints: 'on'
        max_wal_senders: 10
        max_replication_slots: 10
  initdb:
    - encoding: UTF8
    - locale: C.UTF-8
    - data-checksums
postgresql:
  listen: 0.0.0.0:5432
  connect_address: {address}:5432
  data_dir: /var/lib/postgresql/15/main
  bin_dir: /usr/lib/postgresql/15/bin
  authentication:
    superuser: {{username: postgres, password: super-0nly}}
    replication: {{username: replicator, password: repl-0nly}}
    rewind: {{username: rewinder, password: rewind-0nly}}
  pg_hba:
    - local all all trust
    - host replication replicator samenet scram-sha-256
    - host all all all scram-sha-256
"
        );
        boxes.sh(at, "root", "chown postgres: /var/lib/postgresql/15")?;
        boxes.write(at, "postgres", "/var/lib/postgresql/patroni.yml", &conf)?;
        let run =
            "exec patroni /var/lib/postgresql/patroni.yml >/var/lib/postgresql/15/patroni.log 2>&1";
        boxes.spawn(at, "postgres", run)
    }

    fn list(&self) -> Result<String, String> {
        let list = "patronictl -c /var/lib/postgresql/patroni.yml list bench";
        self.containers.sh(0, "postgres", list)
    }
}

impl System for Patroni {
    fn name(&self) -> &'static str {
        "patroni"
    }

    fn version(&self) -> Result<String, String> {
        self.containers.sh(0, "postgres", "patroni --version")
    }

    fn settings(&self) -> &'static str {
        "ttl 30, loop_wait 10, retry_timeout 10 (its defaults; a switchover wakes its loop), slots, pg_rewind; etcd 3 on a node of its own; run on node 1"
    }

    fn up(&mut self) -> Result<Pair, String> {
        let boxes = &self.containers;
        let hosts = boxes.up()?;
        let etcd = format!(
            "exec etcd --data-dir /var/lib/postgresql/15/etcd --listen-client-urls http://0.0.0.0:2379 \
             --advertise-client-urls http://{}:2379 >/tmp/etcd.log 2>&1",
            hosts[2]
        );
        boxes.spawn(2, "root", &etcd)?;
        patiently("etcd answers", Duration::from_secs(60), || {
            boxes.sh(2, "root", "ETCDCTL_API=3 etcdctl endpoint health")
        })?;
        self.start(0, &hosts)?;
        let role = "psql -qc \"create role bench superuser login password 'bench-0nly'\"; createdb -O bench bench";
        patiently("node 1 is primary", Duration::from_secs(120), || {
            boxes.sh(0, "postgres", "psql -Atqc 'select 1 / (not pg_is_in_recovery())::int'")
        })?;
        boxes.sh(0, "postgres", role)?;
        self.start(1, &hosts)?;
        patiently("node 2 follows", Duration::from_secs(120), || {
            let query = "select 1 / count(*) from pg_stat_replication where state = 'streaming' and application_name = 'node2'";
            boxes.sh(0, "postgres", &format!("psql -Atqc \"{query}\""))
        })?;
        Ok(Pair::new([hosts[0].clone(), hosts[1].clone()], "bench", "bench-0nly", "bench"))
    }

    fn switch(&self, from: usize, to: usize) -> Result<(), String> {
        // It knows its members by what they last wrote to etcd: the former switchover may not be there yet.
        let (leader, candidate) = (format!("node{}", from + 1), format!("node{}", to + 1));
        patiently("patroni knows both nodes", Duration::from_secs(60), || {
            let list = self.list()?;
            let row = |name: &str, words: [&str; 2]| {
                list.lines()
                    .any(|line| line.contains(name) && words.iter().all(|w| line.contains(w)))
            };
            let known = row(&leader, ["Leader", "running"])
                && (row(&candidate, ["Replica", "running"])
                    || row(&candidate, ["Replica", "streaming"]));
            if known { Ok(()) } else { Err(list) }
        })?;
        let line = format!(
            "patronictl -c /var/lib/postgresql/patroni.yml switchover bench --master {leader} --candidate {candidate} --force"
        );
        self.containers.sh(0, "postgres", &line).map(drop)
    }

    fn down(&self) {
        self.containers.down();
    }
}
