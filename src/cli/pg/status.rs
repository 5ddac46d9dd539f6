//! `matron pg status`: each cluster as its nodes answer now, for people, scripts, Nagios and Prometheus.
//!
//! Lives here: the flags, the asking, once or again and again, and the exit code. Its forms are in a file each: `text.rs`,
//! `nagios.rs`, `prometheus.rs`. What is true of a cluster is decided in `postgres::status`.

mod limits;
mod nagios;
mod prometheus;
mod text;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use serde_json::json;

use self::limits::Limits;
use self::text::Page;
use crate::cli::failure::{Failure, Kind};
use crate::cli::files::bundled;
use crate::cli::flags::{BecomeFlags, ConnectFlags, HostFlags, RunFlags};
use crate::cli::keyring::VaultFlags;
use crate::cli::world::{Form, Listener, Ready, RunRequest, is_colourful};
use crate::cli::{say, talk};
use crate::event::{Event, EventSink};
use crate::outcome;
use crate::playbook::Playbook;
use crate::postgres::status::{ClusterStatus, SCHEMA};

/// More clusters than this are shown in one line each.
const MANY: usize = 4;
/// Seconds between two looks of `--watch`.
const EVERY: u64 = 5;

/// Flags of `matron pg status`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 every node was seen, whatever the state · 2 a host failed · 4 a node could not be asked. With --output nagios: 0 OK · 1 WARNING · 2 CRITICAL · 3 UNKNOWN, the worst of all clusters"
)]
pub(super) struct StatusArgs {
    /// Form of the output
    #[arg(long, value_enum, default_value_t = StatusForm::Text)]
    output: StatusForm,
    /// One line a cluster; so it is anyway with more than four
    #[arg(long)]
    brief: bool,
    /// Every cluster with its nodes, however many there are
    #[arg(long, conflicts_with = "brief")]
    full: bool,
    /// Look again every so many seconds until Ctrl-C
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "5", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    watch: Option<u64>,
    /// Nagios: warn when a standby is this far behind, in bytes or seconds
    #[arg(long, value_name = "64MB,60s", value_delimiter = ',', default_value = "64MB,60s")]
    warn_lag: Vec<String>,
    /// Nagios: critical when a standby is this far behind, in bytes or seconds
    #[arg(long, value_name = "1GB,600s", value_delimiter = ',', default_value = "1GB,600s")]
    critical_lag: Vec<String>,
    /// Prometheus: write to this file, as a whole, instead of stdout (for node_exporter's textfile collector)
    #[arg(long, value_name = "FILE")]
    textfile: Option<PathBuf>,
    /// Set a variable: NAME=VALUE, JSON, YAML or @FILE; may be given again
    #[arg(short, long, value_name = "VARS", action = ArgAction::Append)]
    extra_vars: Vec<String>,
    /// Ask this many hosts at once
    #[arg(short, long, value_name = "N", default_value_t = 50)]
    forks: usize,
    /// Show the tasks as well; up to -vvvv
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
    /// Does nothing: status changes nothing anyway
    #[arg(short = 'C', long, hide = true)]
    check: bool,
    /// Keep run records here [default: $XDG_STATE_HOME/matron or ~/.local/state/matron]
    #[arg(long, value_name = "FOLDER", env = "MATRON_STATE_DIR")]
    state_dir: Option<PathBuf>,
    // Behind the verb's own: a heading lasts until the next one.
    #[command(flatten)]
    hosts: HostFlags,
    #[command(flatten)]
    connect: ConnectFlags,
    #[command(flatten)]
    become_flags: BecomeFlags,
    #[command(flatten)]
    vault: VaultFlags,
}

/// Forms of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StatusForm {
    /// Tables for people
    Text,
    /// One JSON document on a line; with --watch one a round
    Json,
    /// One line and an exit code as Nagios, Icinga and Zabbix read them
    Nagios,
    /// Metrics in Prometheus' text format
    Prometheus,
}

/// What one look brought.
#[derive(Debug, Default)]
pub(super) struct Looked {
    clusters: Vec<ClusterStatus>,
    /// Failures of hosts that no cluster tells of.
    errors: Vec<String>,
}

impl Looked {
    fn code(&self) -> u8 {
        let unseen = |cluster: &ClusterStatus| cluster.nodes.iter().any(|node| node.why.is_some());
        if self.clusters.iter().any(unseen) {
            4
        } else if self.errors.is_empty() {
            0
        } else {
            2
        }
    }
}

/// Gathers what the nodes say of their clusters.
#[derive(Debug, Default)]
struct Gathering {
    clusters: Mutex<Vec<ClusterStatus>>,
    failures: Mutex<Vec<(String, String)>>,
}

impl Gathering {
    /// Takes what was gathered, in the order of the inventory's clusters as they answered.
    fn take(&self) -> Looked {
        let mut clusters =
            std::mem::take(&mut *self.clusters.lock().unwrap_or_else(PoisonError::into_inner));
        clusters.sort_by(|one, other| one.cluster.cmp(&other.cluster));
        let failures =
            std::mem::take(&mut *self.failures.lock().unwrap_or_else(PoisonError::into_inner));
        let told = |host: &str| {
            clusters.iter().any(|cluster| cluster.nodes.iter().any(|node| node.name == host))
        };
        let errors = failures.iter().filter(|(host, _)| !told(host));
        let errors = errors.map(|(host, message)| format!("{host}: {message}")).collect();
        Looked { clusters, errors }
    }
}

impl EventSink for Gathering {
    fn take(&self, event: &Event) {
        let Event::HostDone { host, status, result, .. } = event else { return };
        if *status == outcome::Status::Failed {
            let message = result.get("msg").and_then(|msg| msg.as_str()).unwrap_or("failed");
            let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            failures.push((host.to_string(), message.to_owned()));
        } else if let Some(status) = result.get("status").filter(|_| result.contains_key("verdict"))
            && let Ok(status) = serde_json::from_value::<ClusterStatus>(status.clone())
        {
            let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
            // Every node tells the whole cluster.
            if !clusters.iter().any(|known| known.cluster == status.cluster) {
                clusters.push(status);
            }
        }
    }
}

/// Looks once, or until Ctrl-C.
pub(super) async fn status(args: StatusArgs) -> Result<u8, Failure> {
    let nagios = args.output == StatusForm::Nagios;
    match look(args).await {
        // A check that could not be made is unknown, never what its exit code would mean to Nagios.
        Err(failure) if nagios => {
            say(&format!("MATRON UNKNOWN - {}", failure.line()));
            Ok(3)
        }
        done => done,
    }
}

async fn look(args: StatusArgs) -> Result<u8, Failure> {
    let limits = Limits::parse(&args.warn_lag, &args.critical_lag).map_err(Failure::usage)?;
    if args.output == StatusForm::Nagios && args.watch.is_some() {
        return Err(Failure::usage("--watch does not go with --output nagios")
            .hint("let Nagios run it as often as it is wanted"));
    }
    if args.textfile.is_some() && args.output != StatusForm::Prometheus {
        return Err(Failure::usage("--textfile goes with --output prometheus only"));
    }
    let gathering = Arc::new(Gathering::default());
    let plays = args.verbose > 0 && args.output == StatusForm::Text;
    let request = RunRequest {
        hosts: args.hosts.clone(),
        connect: args.connect.clone(),
        become_flags: args.become_flags.clone(),
        run: RunFlags {
            extra_vars: args.extra_vars.clone(),
            forks: Some(args.forks),
            verbose: args.verbose,
            state_dir: args.state_dir.clone(),
            vault: args.vault.clone(),
            ..RunFlags::default()
        },
        listeners: vec![Listener(gathering.clone())],
        look: if plays { Form::Plays } else { Form::Silent },
        ..RunRequest::default()
    };
    let mut ready = request.prepare()?;
    let playbooks = ready.load(&[bundled("status")])?;
    let Some(seconds) = args.watch else {
        ready.round(playbooks, true).await?;
        return show(&args, &limits, &gathering.take());
    };
    watch(&args, &limits, &gathering, ready, playbooks, Duration::from_secs(seconds)).await
}

/// Looks again and again over connections that stay open; only the first look is recorded.
async fn watch(
    args: &StatusArgs,
    limits: &Limits,
    gathering: &Gathering,
    mut ready: Ready,
    playbooks: Vec<Playbook>,
    every: Duration,
) -> Result<u8, Failure> {
    let mut first = true;
    loop {
        ready.keep_connections().await;
        let began = tokio::time::Instant::now();
        ready.round(playbooks.clone(), first).await?;
        if ready.is_cancelled() {
            ready.close().await;
            return Ok(0);
        }
        let looked = gathering.take();
        show(args, limits, &looked)?;
        // A connection that a host was lost on may only seem to be there.
        if looked.code() != 0 {
            ready.close().await;
        }
        first = false;
        tokio::select! {
            () = tokio::time::sleep_until(began + every) => {}
            _ = tokio::signal::ctrl_c() => {
                ready.close().await;
                return Ok(0);
            }
        }
    }
}

/// Says one look in the form that was asked for; returns the exit code.
fn show(args: &StatusArgs, limits: &Limits, looked: &Looked) -> Result<u8, Failure> {
    let now = jiff::Timestamp::now();
    let time = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    match args.output {
        StatusForm::Json => {
            let document = json!({
                "schema": SCHEMA,
                "time": time,
                "clusters": looked.clusters,
                "errors": looked.errors,
            });
            say(&document.to_string());
        }
        StatusForm::Nagios => {
            let (code, line) = nagios::line(looked, limits);
            say(&line);
            return Ok(code);
        }
        StatusForm::Prometheus => {
            let text = prometheus::page(looked, now.as_second());
            match &args.textfile {
                None => say(text.trim_end()),
                Some(path) => prometheus::write(path, &text)?,
            }
        }
        StatusForm::Text => show_text(args, looked, &time),
    }
    for error in &looked.errors {
        talk(&format!("error: {error}"));
    }
    Ok(looked.code())
}

fn show_text(args: &StatusArgs, looked: &Looked, time: &str) {
    let terminal = console::Term::stdout();
    let is_terminal = terminal.is_term();
    let page = Page {
        width: is_terminal.then(|| usize::from(terminal.size().1)),
        brief: args.brief || (looked.clusters.len() > MANY && !args.full),
        colour: is_colourful(is_terminal && std::io::stdout().is_terminal()),
    };
    if args.watch.is_none() {
        say(text::page(looked, page).trim_end());
    } else if is_terminal {
        let every = args.watch.unwrap_or(EVERY);
        let head = format!("{time}, every {every} s; Ctrl-C ends");
        // Home, the page, and whatever an earlier and longer one left.
        say(&format!("\u{1b}[2J\u{1b}[H{head}\n\n{}", text::page(looked, page).trim_end()));
    } else {
        let lines = text::page(looked, Page { brief: true, ..page });
        for line in lines.lines().skip(1) {
            say(&format!("{time} {line}"));
        }
    }
}

impl Failure {
    /// Returns it as one line.
    fn line(&self) -> String {
        self.text().lines().next().unwrap_or_default().replace('|', "/")
    }
}

/// Returns the failure of a file that cannot be written.
fn cannot_write(path: &std::path::Path, error: &std::io::Error) -> Failure {
    Failure::new(Kind::General, format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
