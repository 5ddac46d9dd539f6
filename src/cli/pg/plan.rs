//! `matron pg plan VERB`: what a verb would do, host by host and in order, and nothing done.

use clap::{Args, Subcommand};

use super::clone::{Clone, clone};
use super::rejoin::{Rejoin, rejoin};
use super::start::{Start, start};
use super::switchover::{Switchover, switchover};
use super::{Acting, act, act_told};
use crate::cli::failure::Failure;

#[derive(Debug, Args)]
pub(super) struct Plan {
    #[command(subcommand)]
    verb: Planned,
}

#[derive(Debug, Subcommand)]
enum Planned {
    /// What `matron pg setup` would do
    Setup(Acting),
    /// What `matron pg clone` would do
    Clone(Clone),
    /// What `matron pg switchover` would do
    Switchover(Switchover),
    /// What `matron pg failover` would do
    Failover(Acting),
    /// What `matron pg adopt` would do
    Adopt(Acting),
    /// What `matron pg rejoin` would do
    Rejoin(Rejoin),
    /// What `matron pg password` would do
    Password(Acting),
    /// What `matron pg start` would do
    Start(Start),
}

/// Makes a run that is only rehearsed: there is nothing to be asked for.
fn rehearsed(acting: &mut Acting) {
    acting.yes = true;
    acting.common.run.plan = true;
}

pub(super) async fn plan(plan: Plan) -> Result<u8, Failure> {
    match plan.verb {
        Planned::Setup(mut acting) => {
            rehearsed(&mut acting);
            act(acting, "site", "").await
        }
        Planned::Clone(mut wanted) => {
            rehearsed(&mut wanted.acting);
            clone(wanted).await
        }
        Planned::Switchover(mut wanted) => {
            rehearsed(&mut wanted.acting);
            switchover(wanted).await
        }
        Planned::Failover(mut acting) => {
            rehearsed(&mut acting);
            act(acting, "failover", "").await
        }
        Planned::Adopt(mut acting) => {
            rehearsed(&mut acting);
            act_told(acting, "adopt").await
        }
        Planned::Rejoin(mut wanted) => {
            rehearsed(&mut wanted.acting);
            rejoin(wanted).await
        }
        Planned::Password(mut acting) => {
            rehearsed(&mut acting);
            act(acting, "password", "").await
        }
        Planned::Start(mut wanted) => {
            rehearsed(&mut wanted.acting);
            start(wanted).await
        }
    }
}
