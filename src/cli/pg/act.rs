//! The verbs that change something: what they will run where, a question, and the run.

use std::path::Path;

use super::{Acting, request};
use crate::cli::asker;
use crate::cli::failure::{Failure, Kind};
use crate::cli::files::bundled;
use crate::cli::flags::Output;
use crate::cli::talk;
use crate::engine;

/// Runs a bundled playbook after saying what it will do where.
pub(super) async fn act(acting: Acting, playbook: &str, what: &str) -> Result<u8, Failure> {
    act_with(acting, playbook, what, Vec::new()).await
}

/// Runs a bundled playbook with variables of the verb's own.
pub(super) async fn act_with(
    acting: Acting,
    playbook: &str,
    what: &str,
    vars: Vec<(String, serde_json::Value)>,
) -> Result<u8, Failure> {
    let quiet = acting.common.run.output == Output::Json;
    let check = acting.common.run.check;
    let mut request = request(acting.common);
    request.own_vars.extend(vars);
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
            talk(plan.trim_end());
        }
        let name = path.file_name().map_or(path.as_path(), Path::new).display();
        if !asker::confirm(&format!("\nRun {name} to {what} these hosts? [y/N] "))? {
            return Err(Failure::new(Kind::Cancelled, "nothing was done"));
        }
    }
    ready.run(playbooks).await
}

/// Runs a bundled playbook that tells what it will do and asks by itself (`matron_ask`), after it has looked.
pub(super) async fn act_told(acting: Acting, playbook: &str) -> Result<u8, Failure> {
    let asks = !acting.yes && !acting.common.run.check;
    if asks {
        asker::must_be_askable()?;
    }
    let mut request = request(acting.common);
    request.own_vars.push(("matron_ask".to_owned(), asks.into()));
    if !acting.accept.is_empty() {
        request.own_vars.push(("matron_accept".to_owned(), acting.accept.into()));
    }
    let mut ready = request.prepare()?;
    let playbooks = ready.load(&[bundled(playbook)])?;
    ready.run(playbooks).await
}
