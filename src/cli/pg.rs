//! `matron pg`: thin verbs over the bundled playbooks. Each says what it will run where, and asks, unless `--yes`.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use clap::{Args, Subcommand};

use super::asker;
use super::failure::{Failure, Kind};
use super::files::bundled;
use super::flags::{BecomeFlags, ConnectFlags, HostFlags, Output, RunFlags, TaskFlags};
use super::world::{Form, Listener, RunRequest};
use crate::engine;
use crate::event::{Event, EventSink};
use crate::outcome::Status;

/// Operate PostgreSQL clusters
#[derive(Debug, Args)]
pub(super) struct PgArgs {
    #[command(subcommand)]
    verb: PgVerb,
}

#[derive(Debug, Subcommand)]
enum PgVerb {
    /// Show each cluster as its nodes answer now
    Status(Common),
    /// Set up hosts, primary and standbys (site.yml)
    Setup(Acting),
    /// Clone missing standbys from the primary (standby.yml)
    Clone(Acting),
    /// Make the best standby the primary when the old one is lost (failover.yml)
    Failover(Acting),
    /// Bring a former primary back as a standby (rejoin.yml)
    Rejoin(Acting),
}

#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    hosts: HostFlags,
    #[command(flatten)]
    connect: ConnectFlags,
    #[command(flatten)]
    become_flags: BecomeFlags,
    #[command(flatten)]
    run: RunFlags,
}

#[derive(Debug, Args)]
struct Acting {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Accept this fact by name, such as old-primary-unreachable; may be given again
    #[arg(long, value_name = "FACT", value_delimiter = ',')]
    accept: Vec<String>,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(args: PgArgs) -> Result<u8, Failure> {
    match args.verb {
        PgVerb::Status(common) => status(common).await,
        PgVerb::Setup(acting) => act(acting, "site", "set up").await,
        PgVerb::Clone(acting) => act(acting, "standby", "clone standbys on").await,
        PgVerb::Failover(acting) => act(acting, "failover", "fail over").await,
        PgVerb::Rejoin(acting) => act(acting, "rejoin", "rejoin nodes of").await,
    }
}

fn request(common: Common) -> RunRequest {
    RunRequest {
        hosts: common.hosts,
        connect: common.connect,
        become_flags: common.become_flags,
        run: common.run,
        tasks: TaskFlags::default(),
        ..RunRequest::default()
    }
}

/// Gathers what the nodes say of their clusters, and what went wrong on the way.
#[derive(Debug, Default)]
struct Findings {
    /// Reports of clusters, each once.
    reports: Mutex<Vec<Vec<String>>>,
    /// Failures of hosts other than that they cannot be reached, which the report says itself.
    failures: Mutex<Vec<String>>,
}

impl EventSink for Findings {
    fn take(&self, event: &Event) {
        let Event::HostDone { host, status, result, .. } = event else { return };
        let lines = |key: &str| -> Option<Vec<String>> {
            let list = result.get(key)?.as_array()?;
            Some(list.iter().filter_map(|line| line.as_str().map(str::to_owned)).collect())
        };
        if *status == Status::Failed {
            let message = result.get("msg").and_then(|msg| msg.as_str()).unwrap_or("failed");
            let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            failures.push(format!("{host}: {message}"));
        } else if let (Some(report), true) = (lines("report"), result.contains_key("verdict")) {
            let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
            // Every node tells the whole cluster.
            if !reports.contains(&report) {
                reports.push(report);
            }
        }
    }
}

async fn status(common: Common) -> Result<u8, Failure> {
    let plain = common.run.verbose == 0 && common.run.output == Output::Text;
    let findings = Arc::new(Findings::default());
    let mut request = request(common);
    if plain {
        request.look = Form::Silent;
        request.listeners.push(Listener(findings.clone()));
    }
    let mut ready = request.prepare()?;
    let playbooks = ready.load(&[bundled("status")])?;
    let code = ready.run(playbooks).await?;
    for report in findings.reports.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        for (at, line) in report.iter().enumerate() {
            super::say(&if at == 0 { line.clone() } else { format!("  {line}") });
        }
    }
    for failure in findings.failures.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        super::talk(&format!("error: {failure}"));
    }
    Ok(code)
}

async fn act(acting: Acting, playbook: &str, what: &str) -> Result<u8, Failure> {
    let quiet = acting.common.run.output == Output::Json;
    let check = acting.common.run.check;
    let mut request = request(acting.common);
    if !acting.accept.is_empty() {
        request.own_vars.push(("matron_accept".to_owned(), acting.accept.into()));
    }
    let mut ready = request.prepare()?;
    let path = bundled(playbook);
    let playbooks = ready.load(std::slice::from_ref(&path))?;
    if !acting.yes && !check {
        if !quiet {
            let what = engine::Listing { hosts: true, tasks: true, tags: false };
            let plan = engine::list(&ready.world, &ready.inventory, &playbooks, what)
                .map_err(|found| ready.refusal(&found))?;
            super::talk(plan.trim_end());
        }
        let name = path.file_name().map_or(path.as_path(), Path::new).display();
        if !asker::confirm(&format!("\nRun {name} to {what} these hosts? [y/N] "))? {
            return Err(Failure::new(Kind::Cancelled, "nothing was done"));
        }
    }
    ready.run(playbooks).await
}
