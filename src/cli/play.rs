//! `matron play`: runs playbooks, as `ansible-playbook` does.

use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use super::flags::{BecomeFlags, ConnectFlags, HostFlags, RunFlags, TaskFlags};
use super::world::RunRequest;
use crate::engine;

/// Run playbooks
#[derive(Debug, Args)]
pub(super) struct PlayArgs {
    /// Playbook files
    #[arg(required = true, value_name = "PLAYBOOK")]
    playbooks: Vec<PathBuf>,
    /// List the hosts that would be acted on, and do nothing
    #[arg(long)]
    list_hosts: bool,
    /// List the tasks that would run, and do nothing
    #[arg(long)]
    list_tasks: bool,
    /// List all tags, and do nothing
    #[arg(long)]
    list_tags: bool,
    /// Check the playbooks, and do nothing
    #[arg(long)]
    syntax_check: bool,
    #[command(flatten)]
    hosts: HostFlags,
    #[command(flatten)]
    connect: ConnectFlags,
    #[command(flatten)]
    become_flags: BecomeFlags,
    #[command(flatten)]
    run: RunFlags,
    #[command(flatten)]
    tasks: TaskFlags,
}

pub(super) async fn run(args: PlayArgs) -> Result<u8, Failure> {
    let request = RunRequest {
        hosts: args.hosts,
        connect: args.connect,
        become_flags: args.become_flags,
        run: args.run,
        tasks: args.tasks,
        ..RunRequest::default()
    };
    let mut ready = request.prepare()?;
    let playbooks = ready.load(&args.playbooks)?;
    if args.syntax_check {
        for playbook in &playbooks {
            super::say(&format!("\nplaybook: {}", playbook.path.display()));
        }
        return Ok(0);
    }
    if args.list_hosts || args.list_tasks || args.list_tags {
        let what = engine::Listing {
            hosts: args.list_hosts,
            tasks: args.list_tasks,
            tags: args.list_tags,
        };
        let text = engine::list(&ready.world, &ready.inventory, &playbooks, what);
        super::say(&text.map_err(|found| ready.refusal(&found))?);
        return Ok(0);
    }
    ready.run(playbooks).await
}
