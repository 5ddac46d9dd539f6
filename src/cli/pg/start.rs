//! `matron pg start`: starts what is stopped, by the word of whoever runs it.

use clap::Args;

use super::Acting;
use super::act::act_with;
use crate::cli::failure::Failure;
use crate::cli::world;

#[derive(Debug, Args)]
pub(super) struct Start {
    /// Start only this node
    #[arg(long, value_name = "HOST")]
    node: Option<String>,
    #[command(flatten)]
    pub(super) acting: Acting,
}

/// Runs the playbook with who wants it and why, which the guards' logs on the hosts keep.
pub(super) async fn start(start: Start) -> Result<u8, Failure> {
    let mut vars = vec![("matron_who".to_owned(), world::who().into())];
    vars.extend(start.node.map(|node| ("pg_start_node".to_owned(), node.into())));
    let reason = start.acting.common.run.reason.clone();
    vars.extend(reason.map(|reason| ("matron_reason".to_owned(), reason.into())));
    act_with(start.acting, "start", "start nodes of", vars).await
}
