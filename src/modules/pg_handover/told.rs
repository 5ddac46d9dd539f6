//! What the steps say: facts, and not failures, because the way back or forward depends on them.

use std::time::{Duration, SystemTime};

use crate::modules::action::{trouble, unexpected};
use crate::modules::{Action, Done, Mode, Reach, Step};
use crate::outcome::Outcome;
use crate::shell::{Reply, Script};

/// Returns when something happened that a reply tells of as so many milliseconds ago, by this machine's clock.
fn at(reply: &Reply, ago: &str) -> Option<u64> {
    let (_, answered) = reply.between?;
    let ago: u64 = reply.field(ago)?.trim().parse().ok()?;
    let since = answered.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()?.checked_sub(ago)
}

/// Returns a time as people read it.
pub(super) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// The old primary stops.
pub(super) struct Stop {
    pub(super) script: Option<Script>,
}

impl Action for Stop {
    fn begin(&mut self, mode: Mode) -> Step {
        if mode.check {
            return Step::Done(Outcome::changed_if(true).with("clean", false));
        }
        self.script.take().map_or_else(unexpected, Step::Send)
    }

    fn resume(&mut self, done: Done) -> Step {
        let not_clean = |why: String| Outcome::ok().with("clean", false).with("why", why);
        Step::Done(match done {
            Done::Lost(message) => not_clean(message),
            Done::Reply(reply) => {
                if let Some(outcome) = trouble(&reply) {
                    not_clean(outcome.message().unwrap_or_default().to_owned())
                } else {
                    stopped(&reply)
                }
            }
            _ => return unexpected(),
        })
    }

    fn reach(&self) -> Reach {
        Reach::Visible
    }

    fn bears_loss(&self) -> bool {
        true
    }
}

fn stopped(reply: &Reply) -> Outcome {
    let number = |key: &str| reply.field(key).and_then(|text| text.trim().parse::<u64>().ok());
    let state = reply.field("state").unwrap_or_default();
    let why = match state.as_str() {
        "shut down" => String::new(),
        "stopping" => "it was still stopping when the time was up".to_owned(),
        _ => "its control file does not say that it was shut down in order".to_owned(),
    };
    Outcome::changed_if(reply.fields.is_set("changed"))
        .with("clean", state == "shut down")
        .with("lsn", reply.field("lsn"))
        .with("timeline", number("timeline"))
        .with("spent_ms", number("since_ms"))
        .with("ordered_at_ms", at(reply, "since_ms"))
        .with("why", why)
}

/// The old primary starts as a standby. That it does not is told, and put right after the new primary serves.
pub(super) struct Start {
    pub(super) script: Option<Script>,
}

impl Action for Start {
    fn begin(&mut self, mode: Mode) -> Step {
        if mode.check {
            return Step::Done(Outcome::changed_if(true));
        }
        self.script.take().map_or_else(unexpected, Step::Send)
    }

    fn resume(&mut self, done: Done) -> Step {
        Step::Done(match done {
            Done::Lost(message) => Outcome::ok().with("why", message),
            Done::Reply(reply) => match trouble(&reply) {
                Some(outcome) => {
                    Outcome::ok().with("why", outcome.message().unwrap_or_default().to_owned())
                }
                None => Outcome::changed_if(reply.fields.is_set("changed")).with("why", ""),
            },
            _ => return unexpected(),
        })
    }

    fn reach(&self) -> Reach {
        Reach::Visible
    }

    fn bears_loss(&self) -> bool {
        true
    }
}

/// What is known of the node that takes over.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) proof: Option<String>,
    pub(super) why: String,
}

impl Taken {
    fn told(&self, promotion: &str, why: &str) -> Outcome {
        Outcome::changed_if(promotion == "done")
            .with("promotion", promotion)
            .with("proof", self.proof.clone())
            .with("why", why)
    }

    /// Nothing was ordered, so nothing can have happened.
    pub(super) fn none(&self, why: String) -> Outcome {
        self.told("none", &why)
    }

    /// It takes writes.
    pub(super) fn done(&self, reply: &Reply) -> Outcome {
        let confirmed = !reply.fields.is_set("unconfirmed");
        let timeline = reply.field("timeline").and_then(|text| text.trim().parse::<u32>().ok());
        self.told("done", "")
            .with("lsn", reply.field("lsn"))
            .with("timeline", timeline)
            .with("wrote_at_ms", at(reply, "wrote_ago_ms"))
            .with("confirmed_at_ms", at(reply, "confirmed_ago_ms").filter(|_| confirmed))
            .with("confirmed", confirmed)
    }

    /// It takes writes, and when it began to was not seen.
    pub(super) fn done_unseen(&self) -> Outcome {
        self.told("done", "").with("confirmed", false)
    }

    /// The order was given and its answer lost.
    pub(super) fn unknown(&self) -> Outcome {
        self.told("unknown", &self.why)
    }
}
