//! Becoming another user: the command line that starts a shell as an identity, and what sudo and su say when they refuse.

use crate::shell;

use super::{Become, BecomeMethod, Identity};

/// What runs a shell as an identity.
#[derive(Debug)]
pub(super) struct Elevation {
    /// The whole command line, for the login shell of the far side.
    pub(super) command: String,
    /// A password may be asked for: wait for [`Elevation::hello`] or [`Elevation::prompt`] before anything is sent, so that
    /// nothing but the password is ever taken for one.
    pub(super) waits: bool,
    /// Text on stderr that asks for the password.
    pub(super) prompt: String,
    /// Text on stdout that says the shell runs.
    pub(super) hello: String,
}

/// Reads one line and evaluates it. No quote, no newline and no `!` in it: it must survive any login shell.
const FIRST_LINE: &str = "IFS= read -r l; eval \"$l\"";

/// Returns how to start a shell as `identity`; `nonce` is a word nobody can guess.
pub(super) fn elevation(identity: &Identity, nonce: &str) -> Elevation {
    let prompt = format!("[matron {nonce}] password: ");
    let hello = format!("{nonce} hello");
    let (command, waits) = match identity {
        Identity::Login => (format!("exec sh -c {}", shell::quote(FIRST_LINE)), false),
        Identity::Become(by) => become_command(by, &prompt, &hello),
    };
    Elevation { command, waits, prompt, hello }
}

fn become_command(by: &Become, prompt: &str, hello: &str) -> (String, bool) {
    let greeting = format!("echo {hello}; {FIRST_LINE}");
    let mut words: Vec<String> = ["exec", "env", "LC_ALL=C"].map(str::to_owned).to_vec();
    match by.method {
        BecomeMethod::Sudo => {
            words.push(by.exe.clone().unwrap_or_else(|| "sudo".to_owned()));
            let flags = by.flags.clone().unwrap_or_else(|| vec!["-H".to_owned(), "-S".to_owned()]);
            // A user's flags may say -n; with a password at hand that would refuse what could work.
            words.extend(flags.into_iter().filter(|flag| by.password.is_none() || flag != "-n"));
            if by.password.is_some() {
                words.extend(["-S", "-p", prompt].map(str::to_owned));
            } else {
                words.push("-n".to_owned());
            }
            words.extend(["-u", &by.user, "sh", "-c", &greeting].map(str::to_owned));
            (shell::join(words), by.password.is_some())
        }
        BecomeMethod::Su => {
            words.push(by.exe.clone().unwrap_or_else(|| "su".to_owned()));
            words.extend(by.flags.clone().unwrap_or_default());
            let inner = format!("exec sh -c {}", shell::quote(&greeting));
            words.extend([by.user.clone(), "-c".to_owned(), inner]);
            // su gives no choice of prompt, and root is not asked at all.
            (shell::join(words), true)
        }
    }
}

/// Tells whether the end of what came on stderr (or, for su, stdout) asks for a password.
pub(super) fn asks_password(by: &Become, said: &str, prompt: &str) -> bool {
    match by.method {
        BecomeMethod::Sudo => said.contains(prompt),
        BecomeMethod::Su => {
            let last = said.rsplit('\n').next().unwrap_or_default().trim_end();
            last.to_lowercase().ends_with("password:")
        }
    }
}

/// Why sudo or su gave no shell.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It wants a password and none was given.
    PasswordMissing,
    /// The password was not accepted.
    PasswordWrong,
    /// Anything else: its own last words.
    Other(String),
}

/// Reads what sudo or su said before it gave up (in the C locale).
pub(super) fn refusal(by: &Become, asked: u32, said: &str) -> Refusal {
    let wrong = ["Sorry, try again", "incorrect password attempt", "Authentication failure"];
    let missing = [
        "a password is required",
        "no tty present and no askpass",
        "a terminal is required",
        "interactive authentication is required",
    ];
    if by.password.is_some() && (asked > 1 || wrong.iter().any(|text| said.contains(text))) {
        return Refusal::PasswordWrong;
    }
    if by.password.is_none() && (asked > 0 || missing.iter().any(|text| said.contains(text))) {
        return Refusal::PasswordMissing;
    }
    // sudo says why in the line before its last ("unknown user x", then "error initializing audit plugin").
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Refusal::Other(
        lines.iter().skip(lines.len().saturating_sub(2)).copied().collect::<Vec<_>>().join("; "),
    )
}

#[cfg(test)]
mod tests {
    use super::super::HiddenWord;
    use super::*;
    use crate::secret::Secret;

    fn sudo(password: Option<&str>) -> Become {
        Become {
            method: BecomeMethod::Sudo,
            user: "root".to_owned(),
            exe: None,
            flags: None,
            password: password.map(|word| HiddenWord(Secret::new(word))),
        }
    }

    #[test]
    fn sudo_without_a_password_never_asks() {
        let made = elevation(&Identity::Become(sudo(None)), "n");
        assert_eq!(
            made.command,
            r#"exec env LC_ALL=C sudo -H -S -n -u root sh -c 'echo n hello; IFS= read -r l; eval "$l"'"#
        );
        assert!(!made.waits);
    }

    #[test]
    fn password_is_not_in_the_command() {
        let made = elevation(&Identity::Become(sudo(Some("hunter22"))), "n");
        assert!(made.waits && !made.command.contains("hunter22"), "{}", made.command);
    }

    #[test]
    fn refusals_of_sudo_1_9_13_are_told_apart() {
        let missing = "sudo: a password is required\n";
        assert_eq!(refusal(&sudo(None), 0, missing), Refusal::PasswordMissing);
        let wrong = "[matron n] password: Sorry, try again.\n[matron n] password: ";
        assert_eq!(refusal(&sudo(Some("x")), 2, wrong), Refusal::PasswordWrong);
        let other = "deploy is not in the sudoers file.\n";
        assert_eq!(
            refusal(&sudo(Some("x")), 1, other),
            Refusal::Other("deploy is not in the sudoers file.".to_owned())
        );
    }
}
