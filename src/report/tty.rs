//! A person's terminal: Ansible's words in colour above live progress (active hosts and one summary bar).
//!
//! indicatif drops bars that do not fit the screen, so only a few active hosts have one; the rest is in the summary.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use console::{Style, Term};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::text::{Colour, Look, Teller, TextLine};
use crate::event::{Event, EventSink};
use crate::names::HostName;

/// Hosts shown one by one.
const MOST_BARS: usize = 8;
/// Progress appears only after this time, so quick tasks do not flicker.
const QUIET: Duration = Duration::from_millis(250);

/// The progress of a terminal; moves out of the way of others who write there. Clones are one.
#[derive(Clone, Debug)]
pub struct Screen {
    bars: MultiProgress,
}

impl Default for Screen {
    fn default() -> Self {
        Self { bars: MultiProgress::with_draw_target(target()) }
    }
}

impl Screen {
    /// Takes the progress away while someone is asked. What happens meanwhile is still taken in and printed, so nobody has
    /// to wait for the answer.
    pub fn hide(&self) {
        // A terminal that went away has nothing to hide.
        self.bars.clear().ok();
        self.bars.set_draw_target(ProgressDrawTarget::hidden());
    }

    /// Brings it back.
    pub fn show(&self) {
        self.bars.set_draw_target(target());
    }

    /// Writes something with the progress out of its way.
    pub fn aside<R>(&self, write: impl FnOnce() -> R) -> R {
        self.bars.suspend(write)
    }
}

fn target() -> ProgressDrawTarget {
    ProgressDrawTarget::stderr_with_hz(10)
}

/// Writes to a terminal.
pub struct Tty {
    width: usize,
    teller: Mutex<Teller>,
    bars: MultiProgress,
    state: Mutex<State>,
    term: Term,
}

#[derive(Default)]
struct State {
    summary: Option<ProgressBar>,
    active: BTreeMap<HostName, Active>,
    task: String,
    done: u64,
    total: u64,
}

struct Active {
    since: Instant,
    bar: Option<ProgressBar>,
}

impl std::fmt::Debug for Tty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tty")
    }
}

impl Tty {
    /// Makes a reporter for this process's terminal.
    pub fn new(look: Look, screen: &Screen) -> Self {
        let bars = screen.bars.clone();
        Self {
            width: look.width,
            teller: Mutex::new(Teller::new(look)),
            bars,
            state: Mutex::new(State::default()),
            term: Term::stdout(),
        }
    }

    fn print(&self, lines: &[TextLine]) {
        if lines.is_empty() {
            return;
        }
        self.bars.suspend(|| {
            for line in lines {
                let text = paint(line.colour, &line.text);
                // A terminal that went away must not stop a run in the middle of an act.
                let _gone = if line.talk {
                    Term::stderr().write_line(&text)
                } else {
                    self.term.write_line(&text)
                };
            }
        });
    }
}

impl EventSink for Tty {
    fn take(&self, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match event {
            Event::PlayStarted { hosts, .. } => state.total = hosts.len() as u64,
            Event::TaskStarted { name, .. } => {
                state.task.clone_from(name);
                state.done = 0;
            }
            Event::HostStarted { host, .. } => {
                let active = Active { since: Instant::now(), bar: None };
                state.active.insert(host.clone(), active);
            }
            Event::Progress { host, done, total, .. } => {
                progress(&self.bars, &mut state, host, *done, *total);
            }
            Event::HostDone { host, .. } => {
                state.done += 1;
                if let Some(bar) = state.active.remove(host).and_then(|active| active.bar) {
                    bar.finish_and_clear();
                }
            }
            Event::RunEnded { .. } => {
                if let Some(summary) = state.summary.take() {
                    summary.finish_and_clear();
                }
            }
            Event::RunStarted { .. }
            | Event::NoHostsMatched {}
            | Event::NoHostsRemaining {}
            | Event::ItemDone { .. }
            | Event::Retrying { .. }
            | Event::Line { .. }
            | Event::Included { .. }
            | Event::Meta { .. }
            | Event::Note { .. }
            | Event::CustomStats { .. } => {}
        }
        summary(&self.bars, &mut state, self.width);
        drop(state);
        let mut teller = self.teller.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let lines = teller.lines(event);
        self.print(&lines);
    }
}

fn progress(bars: &MultiProgress, state: &mut State, host: &HostName, done: u64, total: u64) {
    let shown = state.active.values().filter(|active| active.bar.is_some()).count();
    let Some(active) = state.active.get_mut(host) else { return };
    if active.bar.is_none() && shown < MOST_BARS && active.since.elapsed() >= QUIET {
        let bar = bars.add(ProgressBar::new(total));
        bar.set_style(bytes_style(total > 0));
        bar.set_prefix(host.to_string());
        // The bytes that were done before it was shown are no rate.
        bar.set_position(done);
        bar.reset_eta();
        active.bar = Some(bar);
    }
    if let Some(bar) = &active.bar {
        if total > 0 && bar.length() != Some(total) {
            bar.set_length(total);
            bar.set_style(bytes_style(true));
        }
        bar.set_position(done);
    }
}

fn bytes_style(bounded: bool) -> ProgressStyle {
    let form = if bounded {
        "  {prefix:16!} [{bar:24}] {bytes:>10} of {total_bytes:>10}  {binary_bytes_per_sec:>12}  {eta} left"
    } else {
        "  {prefix:16!} {spinner} {bytes:>10}  {binary_bytes_per_sec:>12}"
    };
    let plain = ProgressStyle::default_bar();
    ProgressStyle::with_template(form).unwrap_or(plain).progress_chars("=> ")
}

fn summary(bars: &MultiProgress, state: &mut State, width: usize) {
    let slow = state.active.values().any(|active| active.since.elapsed() >= QUIET);
    if state.active.is_empty() || (!slow && state.summary.is_none()) {
        if let Some(summary) = state.summary.take() {
            summary.finish_and_clear();
        }
        // Nothing runs long enough to be worth a line yet: a first bar ticks by itself below.
        if state.active.is_empty() {
            return;
        }
    }
    let bar = state.summary.get_or_insert_with(|| {
        let bar = bars.add(ProgressBar::new(0));
        let style = ProgressStyle::with_template("  {spinner} {elapsed:>4} {msg}");
        bar.set_style(style.unwrap_or(ProgressStyle::default_spinner()));
        bar.enable_steady_tick(QUIET);
        bar
    });
    let mut names: Vec<&str> = state.active.keys().map(HostName::as_str).take(MOST_BARS).collect();
    if state.active.len() > MOST_BARS {
        names.push("…");
    }
    let message = format!(
        "{}: {} of {} hosts done; on {}",
        state.task,
        state.done,
        state.total,
        names.join(", ")
    );
    // A line that wraps cannot be wiped.
    let room = width.saturating_sub(16);
    bar.set_message(console::truncate_str(&message, room, "…").into_owned());
}

fn paint(colour: Colour, text: &str) -> String {
    let style = match colour {
        Colour::None => return text.to_owned(),
        Colour::Ok | Colour::DiffAdded => Style::new().green(),
        Colour::Changed => Style::new().yellow(),
        Colour::Skipped | Colour::DiffLines => Style::new().cyan(),
        Colour::Failed | Colour::DiffRemoved => Style::new().red(),
        Colour::Unreachable => Style::new().red().bright(),
        Colour::Warning => Style::new().magenta().bright(),
        Colour::Verbose => Style::new().blue(),
    };
    let painted: Vec<String> = text
        .split('\n')
        .map(|line| style.clone().force_styling(true).apply_to(line).to_string())
        .collect();
    painted.join("\n")
}
