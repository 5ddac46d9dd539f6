//! Asks the person at the terminal; says no to everything when there is none.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use crate::engine::Ask;
use crate::modules::Question;
use crate::report::Screen;

/// Asks on this process's terminal, with the progress out of the way.
#[derive(Debug)]
pub(super) struct Terminal {
    pub(super) screen: Screen,
}

#[async_trait::async_trait]
impl Ask for Terminal {
    async fn ask(&self, question: &Question) -> Option<String> {
        let prompt = question.prompt.clone();
        let echo = question.echo;
        self.screen.hide();
        // Shown again also when the question is given up.
        let _shown = Shown(&self.screen);
        let answer = tokio::task::spawn_blocking(move || read(&prompt, echo));
        match question.seconds {
            Some(seconds) => {
                tokio::time::timeout(Duration::from_secs(seconds), answer).await.ok()?.ok()?
            }
            None => answer.await.ok()?,
        }
    }
}

struct Shown<'a>(&'a Screen);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.0.show();
    }
}

/// Reads one line after a prompt; `None` without a terminal or at its end.
fn read(prompt: &str, echo: bool) -> Option<String> {
    if !std::io::stdin().is_terminal() {
        return None;
    }
    if !echo {
        return rpassword::prompt_password(prompt).ok();
    }
    let mut talk = std::io::stderr();
    write!(talk, "{prompt}").and_then(|()| talk.flush()).ok()?;
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line).ok()?;
    if read == 0 {
        return None;
    }
    Some(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Asks for a password; an error in words when nobody can be asked.
pub(super) fn password(prompt: &str) -> Result<String, super::Failure> {
    read(prompt, false).ok_or_else(|| {
        super::Failure::usage(format!("cannot ask for \"{}\": there is no terminal", prompt.trim()))
            .hint("give the password in a file: --connection-password-file, --become-password-file")
    })
}

/// Asks for a value, seen or unseen.
pub(super) fn value(prompt: &str, echo: bool) -> Result<String, super::Failure> {
    read(prompt, echo).ok_or_else(|| {
        super::Failure::usage(format!("cannot ask for \"{}\": there is no terminal", prompt.trim()))
    })
}

/// Refuses what will have to ask when there is nobody to be asked.
pub(super) fn must_be_askable() -> Result<(), super::Failure> {
    if std::io::stdin().is_terminal() { Ok(()) } else { Err(nobody()) }
}

fn nobody() -> super::Failure {
    super::Failure::usage("cannot ask whether to go on: there is no terminal")
        .hint("give --yes when a machine runs this")
}

/// Asks a yes/no question; only `yes` or `y` is yes. An error in words when nobody can be asked.
pub(super) fn confirm(prompt: &str) -> Result<bool, super::Failure> {
    let answer = read(prompt, true).ok_or_else(nobody)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
