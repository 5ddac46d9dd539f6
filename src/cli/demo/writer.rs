//! Writes rows through whichever node is primary, without a pause, and keeps which ones were acknowledged.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::{Client, Config, NoTls};
use tokio_util::sync::CancellationToken;

use super::super::failure::{Failure, with_causes};

/// The pair, as a client reaches it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    hosts: Vec<String>,
}

/// Rows that were acknowledged: number, and milliseconds since the start.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) acknowledged: Vec<(i64, u64)>,
}

impl Ledger {
    /// Returns the longest time between two acknowledgements.
    pub(super) fn longest_gap_ms(&self) -> u64 {
        let pairs = self.acknowledged.windows(2);
        pairs.map(|pair| pair[1].1.saturating_sub(pair[0].1)).max().unwrap_or(0)
    }
}

/// A connection that has not answered within this time is given up.
const PATIENCE: Duration = Duration::from_secs(1);

impl Target {
    /// Names the nodes of the practice ward, with the account its inventory sets up.
    pub(super) fn of_ward(hosts: &[&str]) -> Self {
        Self { hosts: hosts.iter().map(|host| (*host).to_owned()).collect() }
    }

    async fn connect(
        &self,
        hosts: &[String],
        attributes: TargetSessionAttrs,
    ) -> Result<Client, Failure> {
        let mut config = Config::new();
        config
            .user("pacs")
            .password("ward-0nly-practice")
            .dbname("pacsdb")
            .connect_timeout(PATIENCE);
        config.target_session_attrs(attributes);
        for host in hosts {
            config.host(host).port(5432);
        }
        let opened = tokio::time::timeout(PATIENCE * 3, config.connect(NoTls)).await;
        let (client, connection) = opened
            .map_err(|_| Failure::general(format!("no answer from {} in time", hosts.join(", "))))?
            .map_err(|error| {
                Failure::general(format!(
                    "cannot connect to {}: {}",
                    hosts.join(", "),
                    with_causes(&error)
                ))
            })?;
        tokio::spawn(connection);
        Ok(client)
    }

    async fn primary(&self) -> Result<Client, Failure> {
        self.connect(&self.hosts, TargetSessionAttrs::ReadWrite).await
    }

    /// Counts nodes that take a write now.
    pub(super) async fn writable_primaries(&self) -> Result<usize, Failure> {
        let mut count = 0;
        for host in &self.hosts {
            let alone = std::slice::from_ref(host);
            if self.connect(alone, TargetSessionAttrs::ReadWrite).await.is_ok() {
                count += 1;
            }
        }
        Ok(count)
    }

    /// Waits until the primary has a standby that streams.
    pub(super) async fn wait_streaming(&self, within: Duration) -> Result<bool, Failure> {
        let end = Instant::now() + within;
        loop {
            let client = self.primary().await?;
            let query = "select count(*) from pg_stat_replication where state = 'streaming'";
            let row = client.query_one(query, &[]).await;
            let row = row.map_err(|error| Failure::general(with_causes(&error)))?;
            if row.get::<_, i64>(0) > 0 {
                return Ok(true);
            }
            if Instant::now() > end {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Counts the acknowledged rows that are there.
    pub(super) async fn count_found(&self, ledger: &Ledger) -> Result<usize, Failure> {
        let client = self.primary().await?;
        let rows = client.query("select n from matron_demo", &[]).await;
        let rows = rows.map_err(|error| Failure::general(with_causes(&error)))?;
        let there: HashSet<i64> = rows.iter().map(|row| row.get(0)).collect();
        Ok(ledger.acknowledged.iter().filter(|(number, _)| there.contains(number)).count())
    }
}

/// Writes until it is stopped.
pub(super) struct Writer {
    ledger: Arc<Mutex<Ledger>>,
    start: Instant,
    stop: CancellationToken,
    work: tokio::task::JoinHandle<()>,
}

impl Writer {
    /// Makes the table and starts writing.
    pub(super) async fn start(target: Target) -> Result<Self, Failure> {
        let client = target.primary().await?;
        let table = "create table if not exists matron_demo (n bigint primary key, at timestamptz not null default now()); truncate matron_demo";
        client.batch_execute(table).await.map_err(|error| Failure::general(with_causes(&error)))?;
        drop(client);
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let (start, stop) = (Instant::now(), CancellationToken::new());
        let work = tokio::spawn(write(target, ledger.clone(), start, stop.clone()));
        Ok(Self { ledger, start, stop, work })
    }

    fn rows(&self) -> Ledger {
        self.ledger.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Waits until this many rows are acknowledged.
    pub(super) async fn wait_for_rows(
        &self,
        count: usize,
        within: Duration,
    ) -> Result<(), Failure> {
        let end = Instant::now() + within;
        while self.rows().acknowledged.len() < count {
            if Instant::now() > end {
                return Err(Failure::general(format!(
                    "no {count} rows were written within {within:?}"
                )));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Waits for a row acknowledged later than `since`. When the old primary was gone by then, a new one took it.
    pub(super) async fn wait_after(&self, since: Instant, within: Duration) -> Result<(), Failure> {
        let mark = u64::try_from((since - self.start).as_millis()).unwrap_or(u64::MAX);
        let end = Instant::now() + within;
        while self.rows().acknowledged.last().is_none_or(|(_, at)| *at <= mark) {
            if Instant::now() > end {
                return Err(Failure::general(format!(
                    "no row was written within {within:?} after the failover"
                )));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Stops and returns the ledger.
    pub(super) async fn stop(self) -> Ledger {
        self.stop.cancel();
        // A writer that panicked has still kept its ledger.
        let _joined = self.work.await;
        self.ledger.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

async fn write(
    target: Target,
    ledger: Arc<Mutex<Ledger>>,
    start: Instant,
    stop: CancellationToken,
) {
    let mut number = 0_i64;
    while !stop.is_cancelled() {
        let Ok(client) = target.primary().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        while !stop.is_cancelled() {
            number += 1;
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&number];
            let insert = client.execute("insert into matron_demo (n) values ($1)", &values);
            // A commit that was not acknowledged may or may not be there: it is not counted.
            if !matches!(tokio::time::timeout(PATIENCE * 2, insert).await, Ok(Ok(1))) {
                break;
            }
            let at = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
            ledger
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .acknowledged
                .push((number, at));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_gap_is_between_neighbours() {
        let ledger = Ledger { acknowledged: vec![(1, 0), (2, 10), (3, 400), (4, 420)] };
        assert_eq!(ledger.longest_gap_ms(), 390);
    }
}
