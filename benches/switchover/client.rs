//! The client: writes a row each 5 ms through a connection string that names both nodes, and keeps when each was acknowledged.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::{Config, NoTls};
use tokio_util::sync::CancellationToken;

/// Time between two rows, and between two attempts to connect.
pub const BEAT: Duration = Duration::from_millis(5);

/// How long a node may take to accept a connection.
const CONNECT: Duration = Duration::from_millis(250);

/// How long a node may take from there to its answer to the password.
const LET_IN: Duration = Duration::from_secs(1);

/// How long an answer may take before the connection is given up.
const ANSWER: Duration = Duration::from_secs(2);

/// The table it writes to.
pub const TABLE: &str = "drop table if exists bench; create table bench (n bigint primary key, at timestamptz not null default now())";

/// Two nodes and the account that writes.
#[derive(Clone, Debug)]
pub struct Pair {
    pub hosts: [String; 2],
    pub user: String,
    pub password: String,
    pub database: String,
    /// Each attempt that fails is told on stderr, with its time on this clock.
    pub trace: bool,
    pub clock: Instant,
}

impl Pair {
    /// Names the pair and its account; nothing is traced.
    pub fn new(hosts: [String; 2], user: &str, password: &str, database: &str) -> Self {
        let (user, password) = (user.to_owned(), password.to_owned());
        let (database, clock) = (database.to_owned(), Instant::now());
        Self { hosts, user, password, database, trace: false, clock }
    }
}

/// A row that was acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub number: i64,
    pub at: Instant,
}

impl Pair {
    fn config(&self, host: &str, attributes: TargetSessionAttrs) -> Config {
        let mut config = Config::new();
        config.user(&self.user).password(&self.password).dbname(&self.database);
        config.connect_timeout(CONNECT).application_name("bench").target_session_attrs(attributes);
        config.host(host).port(5432);
        config
    }

    /// Tries the nodes in their order, as libpq does, each with a limit of its own on the whole way in.
    async fn open(
        &self,
        hosts: &[String],
        attributes: TargetSessionAttrs,
    ) -> Result<tokio_postgres::Client, String> {
        let mut why = Vec::new();
        for host in hosts {
            let begun = Instant::now();
            let config = self.config(host, attributes);
            let failed = match tokio::time::timeout(LET_IN, config.connect(NoTls)).await {
                Ok(Ok((client, connection))) => {
                    tokio::spawn(connection);
                    return Ok(client);
                }
                Ok(Err(error)) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    format!("{host}: {error}: {}", cause.unwrap_or_default())
                }
                Err(_) => format!("{host}: no answer in time"),
            };
            if self.trace {
                let took = begun.elapsed().as_millis();
                eprintln!("  {:?} client: after {took} ms: {failed}", self.clock.elapsed());
            }
            why.push(failed);
        }
        Err(why.join("; "))
    }

    /// Returns the node that takes writes and has a standby that streams and has applied all that was sent.
    pub async fn settled(&self) -> Result<usize, String> {
        let mut writers = Vec::new();
        for (at, host) in self.hosts.iter().enumerate() {
            let alone = std::slice::from_ref(host);
            if let Ok(client) = self.open(alone, TargetSessionAttrs::ReadWrite).await {
                writers.push((at, client));
            }
        }
        match writers.as_slice() {
            [(at, client)] => {
                let query = "select count(*) from pg_stat_replication where state = 'streaming' \
                             and application_name <> 'pg_basebackup' \
                             and pg_wal_lsn_diff(sent_lsn, replay_lsn) < 1048576";
                let row = client.query_one(query, &[]).await.map_err(|error| error.to_string())?;
                match row.get::<_, i64>(0) {
                    1 => Ok(*at),
                    count => Err(format!("{} has {count} standbys", self.hosts[*at])),
                }
            }
            _ => Err(format!("{} nodes take writes", writers.len())),
        }
    }

    /// Runs SQL on the node that takes writes.
    pub async fn execute(&self, sql: &str) -> Result<(), String> {
        let client = self.open(&self.hosts, TargetSessionAttrs::ReadWrite).await?;
        client.batch_execute(sql).await.map_err(|error| error.to_string())
    }

    /// Returns how many of the acknowledged rows are not there.
    pub async fn lost(&self, rows: &[Row]) -> Result<usize, String> {
        let client = self.open(&self.hosts, TargetSessionAttrs::ReadWrite).await?;
        let found = client.query("select n from bench", &[]).await;
        let found = found.map_err(|error| error.to_string())?;
        let there: HashSet<i64> = found.iter().map(|row| row.get(0)).collect();
        Ok(rows.iter().filter(|row| !there.contains(&row.number)).count())
    }
}

/// A client that writes until it is stopped.
pub struct Writer {
    rows: Arc<Mutex<Vec<Row>>>,
    stop: CancellationToken,
    work: JoinHandle<()>,
}

impl Writer {
    /// Begins to write rows with numbers after `first`.
    pub fn start(runtime: &Runtime, pair: &Pair, first: i64) -> Self {
        let (rows, stop) = (Arc::new(Mutex::new(Vec::new())), CancellationToken::new());
        let work = runtime.spawn(write(pair.clone(), first, rows.clone(), stop.clone()));
        Self { rows, stop, work }
    }

    /// Returns all rows acknowledged so far, in their order.
    pub fn rows(&self) -> Vec<Row> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until this many rows were acknowledged after `since`.
    pub fn wait(&self, since: Instant, count: usize, within: Duration) -> Result<(), String> {
        let end = Instant::now() + within;
        while self.rows().iter().rev().take_while(|row| row.at > since).count() < count {
            if Instant::now() > end {
                return Err(format!("no {count} rows were acknowledged within {within:?}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Stops, and returns the rows.
    pub fn stop(self, runtime: &Runtime) -> Vec<Row> {
        self.stop.cancel();
        // A client that panicked has still kept its rows.
        let _joined = runtime.block_on(self.work);
        std::mem::take(&mut *self.rows.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Returns the longest time between two acknowledgements of which the later one came after `from`.
pub fn longest_gap(rows: &[Row], from: Instant) -> Duration {
    let first = rows.partition_point(|row| row.at <= from).saturating_sub(1);
    let pairs = rows[first..].windows(2);
    pairs.map(|pair| pair[1].at - pair[0].at).max().unwrap_or_default()
}

async fn write(pair: Pair, first: i64, rows: Arc<Mutex<Vec<Row>>>, stop: CancellationToken) {
    let mut number = first;
    while !stop.is_cancelled() {
        let Ok(client) = pair.open(&pair.hosts, TargetSessionAttrs::ReadWrite).await else {
            tokio::time::sleep(BEAT).await;
            continue;
        };
        let Ok(insert) = client.prepare("insert into bench (n) values ($1)").await else {
            continue;
        };
        let after = number + 1;
        while !stop.is_cancelled() {
            // A row that was not acknowledged may be there or not: its number is not used again.
            number += 1;
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&number];
            let done = tokio::time::timeout(ANSWER, client.execute(&insert, &values)).await;
            if !matches!(done, Ok(Ok(1))) {
                if pair.trace {
                    eprintln!("  {:?} client: row {number}: {done:?}", pair.clock.elapsed());
                }
                break;
            }
            if pair.trace && number == after {
                eprintln!("  {:?} client: writes again", pair.clock.elapsed());
            }
            let row = Row { number, at: Instant::now() };
            rows.lock().unwrap_or_else(PoisonError::into_inner).push(row);
            tokio::time::sleep(BEAT).await;
        }
    }
}
