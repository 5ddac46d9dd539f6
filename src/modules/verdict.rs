//! What a script's reply says before a module reads its fields: refusals, deadlines and scripts that broke off.

use crate::outcome::Outcome;
use crate::shell::Reply;

/// Returns the failure a reply holds, if it holds one: a deadline, a `msg` field, or no `end` field.
///
/// Scripts answer `end` as their last act, so a script that was cut short is never taken for one that had nothing to say.
pub(super) fn failure(reply: &Reply) -> Option<Outcome> {
    if reply.timed_out {
        let seconds = reply.took.as_secs();
        return Some(Outcome::failed(format!("Timed out after {seconds} second(s)")));
    }
    if let Some(message) = reply.field("msg") {
        return Some(Outcome::failed(message));
    }
    if !reply.fields.is_set("end") {
        let told = reply.stderr_text();
        let last = told.lines().last().unwrap_or("it said nothing");
        let message = format!("the script ended early with status {}: {last}", reply.status);
        return Some(Outcome::failed(message).with("module_stderr", told));
    }
    None
}
