//! `matron pg status`: each cluster as its nodes answer now.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Common, request};
use crate::cli::failure::Failure;
use crate::cli::files::bundled;
use crate::cli::flags::Output;
use crate::cli::world::{Form, Listener};
use crate::cli::{say, talk};
use crate::event::{Event, EventSink};
use crate::outcome::Status;

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

pub(super) async fn status(common: Common) -> Result<u8, Failure> {
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
            say(&if at == 0 { line.clone() } else { format!("  {line}") });
        }
    }
    for failure in findings.failures.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        talk(&format!("error: {failure}"));
    }
    Ok(code)
}
