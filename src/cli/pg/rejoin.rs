//! `matron pg rejoin`: which node, and how.

use clap::{Args, ValueEnum};

use super::Acting;
use super::act::act_with;
use crate::cli::failure::Failure;

#[derive(Debug, Args)]
pub(super) struct Rejoin {
    /// How a node that went its own way is brought back
    #[arg(long, value_enum)]
    by: Option<By>,
    /// Only this node (default: every node that does not follow)
    #[arg(long, value_name = "HOST")]
    node: Option<String>,
    #[command(flatten)]
    pub(super) acting: Acting,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    /// Rewound where that can work, copied anew otherwise
    Auto,
    /// Rewound, or refused with the reason
    Rewind,
    /// Copied anew
    Clone,
}

pub(super) async fn rejoin(wanted: Rejoin) -> Result<u8, Failure> {
    let mut vars = Vec::new();
    if let Some(by) = wanted.by {
        let word = match by {
            By::Auto => "auto",
            By::Rewind => "rewind",
            By::Clone => "clone",
        };
        vars.push(("pg_rejoin_by".to_owned(), word.into()));
    }
    if let Some(node) = wanted.node {
        vars.push(("pg_rejoin_node".to_owned(), node.into()));
    }
    act_with(wanted.acting, "rejoin", "rejoin nodes of", vars).await
}
