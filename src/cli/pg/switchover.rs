//! `matron pg switchover`: the checks, a question, and the run.

use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;

use super::act::act_with;
use super::{Acting, request};
use crate::cli::asker;
use crate::cli::failure::{Failure, Kind};
use crate::cli::files::bundled;
use crate::cli::flags::Output;
use crate::cli::world::{Form, Listener};
use crate::cli::{say, talk};
use crate::event::{Event, EventSink};
use crate::outcome::Status;

#[derive(Debug, Args)]
pub(super) struct Switchover {
    /// The standby that takes over; chosen when it is not given
    #[arg(long, value_name = "NODE")]
    to: Option<String>,
    /// Seconds within which the new primary must be proven to hold everything; the old one is the primary again after that
    #[arg(long, value_name = "SECONDS")]
    budget: Option<u32>,
    #[command(flatten)]
    pub(super) acting: Acting,
}

/// Keeps what was checked, and what failed.
#[derive(Debug, Default)]
struct Checked {
    lines: Mutex<Vec<String>>,
    failures: Mutex<Vec<String>>,
}

impl EventSink for Checked {
    fn take(&self, event: &Event) {
        let Event::HostDone { host, status, result, .. } = event else { return };
        let list = |key: &str| {
            let lines = result.get(key).and_then(|lines| lines.as_array());
            let lines = lines.into_iter().flatten().filter_map(|line| line.as_str());
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        if result.contains_key("check_lines") {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            *lines = [list("facts"), list("check_lines")].concat();
        }
        if *status == Status::Failed {
            let message = result.get("msg").and_then(|msg| msg.as_str()).unwrap_or("failed");
            let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            failures.push(format!("{host}: {message}"));
        }
    }
}

pub(super) async fn switchover(wanted: Switchover) -> Result<u8, Failure> {
    let Switchover { to, budget, mut acting } = wanted;
    let mut vars = Vec::new();
    if let Some(to) = to {
        vars.push(("pg_candidate".to_owned(), to.into()));
    }
    if let Some(budget) = budget {
        vars.push(("pg_switchover_budget".to_owned(), budget.into()));
    }
    if !acting.yes && !acting.common.run.check {
        if let Some(code) = ask(&acting, &vars).await? {
            return Ok(code);
        }
        acting.yes = true;
    }
    act_with(acting, "switchover", "switch over", vars).await
}

/// Shows what the run itself will check again, and asks. Returns the exit code when it refuses.
async fn ask(acting: &Acting, vars: &[(String, serde_json::Value)]) -> Result<Option<u8>, Failure> {
    let quiet = acting.common.run.output == Output::Json;
    let checked = Arc::new(Checked::default());
    let mut request = request(acting.common.clone());
    request.own_vars.extend(vars.iter().cloned());
    if !acting.accept.is_empty() {
        request.own_vars.push(("matron_accept".to_owned(), acting.accept.clone().into()));
    }
    request.look = Form::Silent;
    request.listeners.push(Listener(checked.clone()));
    let mut ready = request.prepare()?;
    let playbooks = ready.load(&[bundled("switchover-check")])?;
    let code = ready.run(playbooks).await?;
    if !quiet {
        for line in checked.lines.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            say(line);
        }
    }
    let failures = checked.failures.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for failure in &failures {
        talk(&format!("error: {failure}"));
    }
    if !failures.is_empty() {
        return Ok(Some(code));
    }
    if asker::confirm(
        "\nRun switchover.yml? Writes stop for a moment, and nothing is lost. [y/N] ",
    )? {
        Ok(None)
    } else {
        Err(Failure::new(Kind::Cancelled, "nothing was done"))
    }
}
