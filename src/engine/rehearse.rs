//! Rehearsal (`matron pg plan`): what only looks is done, everything else is shown and not done.
//!
//! A task that was not done has no result. Whatever depends on one is said to do so, and is shown all the same.

use crate::engine::connection::Way;
use crate::engine::result::Finished;
use crate::engine::scene::Run;
use crate::event::{Event, NoteLevel};
use crate::modules::{Action, Args, Mode, Module, Reach, Step};
use crate::names::HostName;
use crate::outcome::{Outcome, Status};
use crate::shell::Script;

/// Tells whether a module is really run in a rehearsal: it reads a host, or works on the controller alone.
pub(crate) fn is_done(module: &dyn Module, args: &Args) -> bool {
    let doc = module.doc();
    // A question is an act of the person who is asked.
    module.observes(args) || (doc.reach == Reach::Controller && doc.name != "pause")
}

/// Shows an act instead of doing it.
pub(crate) fn show(
    run: &Run,
    host: &HostName,
    way: &Way,
    name: &str,
    mut action: Box<dyn Action>,
    mode: Mode,
) -> Finished {
    let head = format!("{host}: {name}, as {}", way.user);
    let said = match action.begin(Mode { check: false, ..mode }) {
        Step::Send(script) => scripted(&head, &script, "in the open connection"),
        Step::SendLong(script) => scripted(&head, &script, "on a channel of its own"),
        Step::Upload(upload) => format!("{head}: brings a file to {}", upload.beside),
        Step::Download(download) => format!("{head}: fetches {}", download.path),
        Step::Lock { name } => format!("{head}: takes the lock {name}, until the run ends"),
        Step::Ask(question) => format!("{head}: asks \"{}\"", question.prompt.trim()),
        Step::Wait(time) => format!("{head}: waits {} s", time.as_secs()),
        Step::Done(outcome) if outcome.status == Status::Failed => {
            let why = outcome.message().unwrap_or_default();
            format!("{head}: would end here: {why}")
        }
        Step::Done(_) => format!("{head}: on this machine"),
    };
    note(run, &said);
    undone()
}

fn scripted(head: &str, script: &Script, how: &str) -> String {
    let lines: Vec<String> = script.shown().lines().map(|line| format!("  | {line}")).collect();
    format!("{head}, {how}:\n{}", lines.join("\n"))
}

/// Says something about the rehearsal.
pub(crate) fn note(run: &Run, text: &str) {
    let text = run.world.redactor.redact(text);
    run.emit(Event::Note { level: NoteLevel::Note, text });
}

/// Says that something is known only when it is done, and makes its result.
pub(crate) fn unknown(run: &Run, host: &HostName, what: &str, why: &str) -> Finished {
    note(run, &format!("{host}: {what} depends on what an earlier act gives ({why})"));
    undone()
}

/// Makes the result of an act that was shown: it would change something, and nothing else is known of it.
fn undone() -> Finished {
    let mut finished = Finished::of(Outcome::changed_if(true));
    finished.data.insert("planned".to_owned(), true.into());
    finished
}

/// Tells whether a result is one of an act that was only shown.
pub(crate) fn is_undone(finished: &Finished) -> bool {
    finished.data.contains_key("planned")
}

/// A check that fails after acts that were not done says nothing of what it will find then; a decision that was refused does.
pub(crate) fn soften(
    run: &Run,
    host: &HostName,
    module: &dyn Module,
    finished: Finished,
) -> Finished {
    let refused = matches!(module.doc().name, "pg_decide" | "pg_require");
    if finished.status != Status::Failed || refused {
        return finished;
    }
    let why = finished.data.get("msg").and_then(|msg| msg.as_str()).unwrap_or("it fails");
    let name = module.doc().name;
    note(run, &format!("{host}: {name} does not hold now, before the acts above are done: {why}"));
    undone()
}
