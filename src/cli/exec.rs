//! `matron exec`: runs one module on hosts, as `ansible` does.

use clap::Args;

use super::failure::Failure;
use super::flags::{BecomeFlags, ConnectFlags, HostFlags, RunFlags, TaskFlags};
use super::world::{Form, RunRequest};
use crate::engine;

/// Run one module on hosts
#[derive(Debug, Args)]
pub(super) struct ExecArgs {
    /// Pattern of the hosts
    pattern: String,
    /// The module
    #[arg(short, long, value_name = "NAME", default_value = "command")]
    module_name: String,
    /// Its arguments: free-form, NAME=VALUE pairs, or a JSON mapping
    #[arg(short, long, value_name = "ARGS", default_value = "", allow_hyphen_values = true)]
    args: String,
    #[command(flatten)]
    hosts: HostFlags,
    #[command(flatten)]
    connect: ConnectFlags,
    #[command(flatten)]
    become_flags: BecomeFlags,
    #[command(flatten)]
    run: RunFlags,
}

pub(super) async fn run(args: ExecArgs) -> Result<u8, Failure> {
    let request = RunRequest {
        hosts: args.hosts,
        connect: args.connect,
        become_flags: args.become_flags,
        run: args.run,
        tasks: TaskFlags::default(),
        look: Form::Minimal,
        ..RunRequest::default()
    };
    let ready = request.prepare()?;
    let playbook = engine::ad_hoc(&ready.world, &args.pattern, &args.module_name, &args.args)
        .map_err(|found| ready.refusal(&found))?;
    let playbooks = vec![playbook];
    ready.check_words(&playbooks)?;
    ready.run(playbooks).await
}
