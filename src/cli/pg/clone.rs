//! `matron pg clone`: standbys that are missing, and where their data comes from.

use clap::Args;

use super::Acting;
use super::act::act_with;
use crate::cli::failure::Failure;

#[derive(Debug, Args)]
pub(super) struct Clone {
    /// Copy from the primary, from a standby that streams, or from this node [default: the node it shall follow while that streams, else the primary]
    #[arg(long, value_name = "primary|standby|HOST")]
    from: Option<String>,
    /// Copy at most this much a second, such as 512k or 20M; 32k to 1024M
    #[arg(long, value_name = "RATE")]
    rate: Option<String>,
    /// Do not hold the copy against its manifest afterwards
    #[arg(long)]
    no_verify: bool,
    #[command(flatten)]
    pub(super) acting: Acting,
}

/// Runs the playbook with what was asked for as variables.
pub(super) async fn clone(wanted: Clone) -> Result<u8, Failure> {
    let mut vars: Vec<(String, serde_json::Value)> = Vec::new();
    vars.extend(wanted.from.map(|from| ("pg_clone_from".to_owned(), from.into())));
    vars.extend(wanted.rate.map(|rate| ("pg_clone_rate".to_owned(), rate.into())));
    if wanted.no_verify {
        vars.push(("pg_clone_verify".to_owned(), false.into()));
    }
    act_with(wanted.acting, "standby", "copy standbys to", vars).await
}
