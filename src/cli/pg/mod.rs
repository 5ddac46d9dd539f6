//! `matron pg`: thin verbs over the bundled playbooks. Each says what it will run where, and asks, unless `--yes`.
//!
//! Lives here: the verbs and the flags they share. The verbs' work is in a file each; `act.rs` is what those have in common
//! that only find and run a playbook.

mod act;
mod clone;
mod plan;
mod rejoin;
mod start;
mod status;
mod switchover;

use clap::{Args, Subcommand};

use self::act::{act, act_told};
use self::clone::{Clone, clone};
use self::plan::{Plan, plan};
use self::rejoin::{Rejoin, rejoin};
use self::start::{Start, start};
use self::status::status;
use self::switchover::{Switchover, switchover};
use super::failure::Failure;
use super::flags::{BecomeFlags, ConnectFlags, HostFlags, RunFlags, TaskFlags};
use super::world::RunRequest;

/// Operate PostgreSQL clusters
#[derive(Debug, Args)]
pub(super) struct PgArgs {
    #[command(subcommand)]
    verb: PgVerb,
}

#[derive(Debug, Subcommand)]
enum PgVerb {
    /// Show each cluster as its nodes answer now
    Status(status::StatusArgs),
    /// Set up hosts, primary and standbys (site.yml)
    Setup(Acting),
    /// Copy standbys that are missing from the primary or another standby (standby.yml)
    Clone(Clone),
    /// Hand the primary's part to a standby while both are well (switchover.yml)
    Switchover(Switchover),
    /// Make the best standby the primary when the old one is lost (failover.yml)
    Failover(Acting),
    /// Take over a pair that was built by hand, in place (adopt.yml)
    Adopt(Acting),
    /// Bring a former primary back as a standby (rejoin.yml)
    Rejoin(Rejoin),
    /// Show what a verb would do, host by host and script by script, and do nothing
    Plan(Plan),
    /// Rotate the replication password, and give the archive's user the inventory's (password.yml)
    Password(Acting),
    /// Start what is stopped, where that cannot make a second primary (start.yml)
    Start(Start),
}

#[derive(Clone, Debug, Args)]
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
        PgVerb::Status(wanted) => Box::pin(status(wanted)).await,
        PgVerb::Setup(acting) => act(acting, "site", "set up").await,
        PgVerb::Clone(wanted) => clone(wanted).await,
        PgVerb::Switchover(wanted) => switchover(wanted).await,
        PgVerb::Failover(acting) => act(acting, "failover", "fail over").await,
        PgVerb::Adopt(acting) => act_told(acting, "adopt").await,
        PgVerb::Rejoin(wanted) => rejoin(wanted).await,
        PgVerb::Password(acting) => act(acting, "password", "give new passwords to").await,
        PgVerb::Plan(wanted) => plan(wanted).await,
        PgVerb::Start(wanted) => start(wanted).await,
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
