//! Independent observers: clients that write all the time, straight to each node and through all of them, and keep what was
//! acknowledged. They know nothing of matron.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls};
use tokio_util::sync::CancellationToken;

/// A row that was acknowledged.
#[derive(Clone, Debug)]
pub struct Row {
    pub id: i64,
    /// The node it was written to, where the client knows.
    pub node: Option<String>,
    pub timeline: u32,
    /// The server waited for a standby.
    pub sync: bool,
    pub began: Instant,
    pub acknowledged: Instant,
}

/// The clients, writing.
pub struct Witness {
    rows: Arc<Mutex<Vec<Row>>>,
    stop: CancellationToken,
    runtime: Option<tokio::runtime::Runtime>,
    hosts: Vec<(String, String)>,
    first: i64,
}

const TABLE: &str = "create table if not exists chaos (id bigint primary key, at timestamptz default clock_timestamp())";

const INSERT: &str = "insert into chaos (id) values ($1) returning substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8), \
     current_setting('synchronous_standby_names') <> ''";

/// Rows this near to a change between waiting and not waiting may be of either kind.
const FUZZ: Duration = Duration::from_secs(2);

fn config(hosts: &[String]) -> Config {
    let mut config = Config::new();
    config.user("pacs").password("ward-0nly-practice").dbname("pacsdb");
    config.connect_timeout(Duration::from_secs(1)).tcp_user_timeout(Duration::from_secs(4));
    config.keepalives_idle(Duration::from_secs(1)).keepalives_interval(Duration::from_secs(1));
    config.keepalives_retries(3);
    for host in hosts {
        config.host(host).port(5432);
    }
    config
}

/// Connects; a node that hangs after it took the connection is given up.
async fn connect(config: &Config) -> Option<Client> {
    let opened = tokio::time::timeout(Duration::from_secs(4), config.connect(NoTls)).await;
    let (client, connection) = opened.ok()?.ok()?;
    tokio::spawn(connection);
    Some(client)
}

impl Witness {
    /// Starts a client for each host (name and address) and one for all of them.
    pub fn start(hosts: Vec<(String, String)>) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_micros());
        let first = i64::try_from(micros).unwrap_or_default();
        let (rows, stop) = (Arc::new(Mutex::new(Vec::new())), CancellationToken::new());
        let next = Arc::new(AtomicI64::new(first));
        let mut clients = Vec::new();
        for (name, address) in &hosts {
            clients.push((Some(name.clone()), config(std::slice::from_ref(address))));
        }
        let all: Vec<String> = hosts.iter().map(|(_, address)| address.clone()).collect();
        let mut through_all = config(&all);
        through_all.target_session_attrs(TargetSessionAttrs::ReadWrite);
        clients.push((None, through_all));
        for (node, config) in clients {
            runtime.spawn(write(node, config, next.clone(), rows.clone(), stop.clone()));
        }
        Ok(Self { rows, stop, runtime: Some(runtime), hosts, first })
    }

    pub fn rows(&self) -> Vec<Row> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a row that is acknowledged after now by a server that waits for its standby.
    pub fn wait_sync(&self, within: Duration) -> Result<(), String> {
        let (now, end) = (Instant::now(), Instant::now() + within);
        loop {
            let rows = self.rows();
            if rows.iter().any(|row| row.began > now && row.sync) {
                return Ok(());
            }
            if Instant::now() > end {
                let some = rows.iter().any(|row| row.began > now);
                return Err(if some {
                    "it takes writes, and does not wait for a standby".to_owned()
                } else {
                    format!("no client got a write acknowledged within {within:?}")
                });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops writing and returns what was acknowledged.
    pub fn stop(&mut self) -> Vec<Row> {
        self.stop.cancel();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
        self.rows()
    }

    /// Returns the rows that a node holds.
    pub fn held(&self, name: &str) -> Result<HashSet<i64>, String> {
        let (_, address) =
            self.hosts.iter().find(|(host, _)| host == name).ok_or_else(|| name.to_owned())?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let config = config(std::slice::from_ref(address));
        runtime.block_on(async {
            let client = connect(&config).await.ok_or_else(|| format!("{name} does not answer"))?;
            let values: [&(dyn ToSql + Sync); 1] = [&self.first];
            let rows = client
                .query("select id from chaos where id >= $1", &values)
                .await
                .map_err(|error| format!("{name}: {error}"))?;
            Ok(rows.iter().map(|row| row.get(0)).collect())
        })
    }
}

async fn write(
    node: Option<String>,
    config: Config,
    next: Arc<AtomicI64>,
    rows: Arc<Mutex<Vec<Row>>>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        if let Some(client) = connect(&config).await {
            session(node.as_deref(), &client, &next, &rows, &stop).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Writes until the connection ends. A statement that waits for a standby is waited for: giving it up would leave its server
/// process behind, waiting, until there are no connections left.
async fn session(
    node: Option<&str>,
    client: &Client,
    next: &AtomicI64,
    rows: &Mutex<Vec<Row>>,
    stop: &CancellationToken,
) {
    while !stop.is_cancelled() {
        let id = next.fetch_add(1, Ordering::Relaxed);
        let values: [&(dyn ToSql + Sync); 1] = [&id];
        let began = Instant::now();
        let answer = tokio::select! {
            answer = client.query_one(INSERT, &values) => answer,
            () = stop.cancelled() => return,
        };
        match answer {
            Ok(row) => {
                let timeline = u32::from_str_radix(row.get::<_, &str>(0), 16).unwrap_or_default();
                let row = Row {
                    id,
                    node: node.map(str::to_owned),
                    timeline,
                    sync: row.get(1),
                    began,
                    acknowledged: Instant::now(),
                };
                rows.lock().unwrap_or_else(PoisonError::into_inner).push(row);
            }
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {
                // On a standby that has not got it yet this fails, and is tried again.
                let _made = client.batch_execute(TABLE).await;
            }
            Err(_) if client.is_closed() => return,
            // A standby, most often.
            Err(_) if node.is_none() => return,
            Err(_) => tokio::time::sleep(Duration::from_millis(150)).await,
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// Tells whether writes were acknowledged in two places at once, in words, one line a finding.
pub fn two_places(rows: &[Row]) -> Vec<String> {
    let mut found = Vec::new();
    let mut nodes: BTreeMap<u32, HashSet<&str>> = BTreeMap::new();
    let mut spans: BTreeMap<u32, (Instant, Instant)> = BTreeMap::new();
    for row in rows {
        if let Some(node) = &row.node {
            nodes.entry(row.timeline).or_default().insert(node);
        }
        let span = spans.entry(row.timeline).or_insert((row.acknowledged, row.began));
        span.0 = span.0.min(row.acknowledged);
        span.1 = span.1.max(row.began);
    }
    for (timeline, nodes) in &nodes {
        if nodes.len() > 1 {
            found.push(format!("timeline {timeline} took writes on {nodes:?}"));
        }
    }
    for (older, (_, last_began)) in &spans {
        for (newer, (first, _)) in spans.range(older + 1..) {
            if last_began > first {
                let late = *last_began - *first;
                found.push(format!(
                    "a write that began {late:?} after timeline {newer} acknowledged one was acknowledged on timeline {older}"
                ));
            }
        }
    }
    found
}

/// Returns the acknowledged rows that are not held: those whose server surely waited for a standby, and the others.
pub fn lost<'a>(rows: &'a [Row], held: &HashSet<i64>) -> (Vec<&'a Row>, Vec<&'a Row>) {
    let near_async = |row: &Row| {
        rows.iter().any(|other| {
            !other.sync
                && other.timeline == row.timeline
                && other.acknowledged + FUZZ > row.began
                && row.acknowledged + FUZZ > other.began
        })
    };
    let missing = rows.iter().filter(|row| !held.contains(&row.id));
    missing.partition(|row| row.sync && !near_async(row))
}

/// What the judgement promises; run as tests of their own.
pub const CLAIMS: &[super::Claim] = &[
    ("witness::overlapping_timelines_are_two_places", overlap_is_found),
    ("witness::rows_in_doubt_are_not_counted_as_synchronous", doubt),
];

fn row(id: i64, node: &str, timeline: u32, sync: bool, at: u64) -> Row {
    thread_local!(static START: Instant = Instant::now());
    let began = START.with(|start| *start) + Duration::from_secs(at);
    let acknowledged = began + Duration::from_millis(5);
    Row { id, node: Some(node.to_owned()), timeline, sync, began, acknowledged }
}

fn overlap_is_found() -> Result<(), String> {
    let good = [row(1, "h1", 1, true, 0), row(2, "h2", 2, true, 5), row(3, "h2", 2, true, 9)];
    let late = [row(1, "h1", 1, true, 0), row(2, "h2", 2, true, 5), row(3, "h1", 1, true, 9)];
    let same = [row(1, "h1", 2, true, 0), row(2, "h2", 2, true, 5)];
    let found = (two_places(&good).len(), two_places(&late).len(), two_places(&same).len());
    if found == (0, 1, 1) { Ok(()) } else { Err(format!("{found:?}")) }
}

fn doubt() -> Result<(), String> {
    let rows = [row(1, "h1", 1, true, 0), row(2, "h1", 1, true, 9), row(3, "h1", 1, false, 10)];
    let (sync, other) = lost(&rows, &HashSet::new());
    let found = (sync.len(), other.len());
    if found == (1, 2) { Ok(()) } else { Err(format!("{found:?}")) }
}
