//! Passwords of Ansible Vault: where they come from, by which id. Named as `ansible-playbook` names them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::{ArgAction, Args};

use super::asker;
use super::config::Config;
use super::failure::Failure;
use super::world::env;
use crate::secret::Secret;
use crate::vault::{DEFAULT_ID, Key, Keyring};

/// Where vault passwords come from.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Vault")]
pub(super) struct VaultFlags {
    /// Open what is sealed under this id: ID@FILE, ID@PROGRAM, ID@prompt, or without ID@; may be given again
    #[arg(long, value_name = "ID@SOURCE", action = ArgAction::Append)]
    pub(super) vault_id: Vec<String>,
    /// Ask for the vault password
    #[arg(short = 'J', long, visible_alias = "ask-vault-password")]
    pub(super) ask_vault_pass: bool,
    /// Read the vault password from this file, or from what it prints when it may be executed
    #[arg(long, visible_alias = "vault-pass-file", value_name = "FILE", action = ArgAction::Append)]
    pub(super) vault_password_file: Vec<String>,
}

/// What asking for a password says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    /// For one that there is.
    Known,
    /// For a new one: twice.
    New,
}

impl VaultFlags {
    /// Gathers the passwords of flags and environment, in Ansible's order.
    pub(super) fn keyring(&self, config: &Config) -> Result<Keyring, Failure> {
        Ok(Keyring::new(self.keys(Asking::Known, config)?, config.flag("DEFAULT_VAULT_ID_MATCH")))
    }

    /// Returns the keys themselves.
    pub(super) fn keys(&self, asking: Asking, config: &Config) -> Result<Vec<Key>, Failure> {
        let listed = config.list("DEFAULT_VAULT_IDENTITY_LIST");
        let mut sources: Vec<String> = listed.into_iter().chain(self.vault_id.clone()).collect();
        let file = config.set_text("DEFAULT_VAULT_PASSWORD_FILE");
        let files = file.into_iter().filter(|_| self.vault_password_file.is_empty());
        sources.extend(files.chain(self.vault_password_file.iter().cloned()));
        let asked =
            self.ask_vault_pass || (sources.is_empty() && config.flag("DEFAULT_ASK_VAULT_PASS"));
        if asked {
            sources.push("prompt".to_owned());
        }
        sources.iter().map(|source| key(source, asking)).collect()
    }
}

/// Reads one `ID@SOURCE`.
pub(super) fn key(given: &str, asking: Asking) -> Result<Key, Failure> {
    // A path may hold an @ itself: the id is what stands before the first one.
    let (id, source) = match given.split_once('@') {
        Some((id, source)) if !id.is_empty() => (id, source),
        Some((_, source)) => (DEFAULT_ID, source),
        None => (DEFAULT_ID, given),
    };
    let secret = if matches!(source, "prompt" | "prompt_ask_vault_pass") {
        ask(id, asking)?
    } else {
        from_file(id, Path::new(source))?
    };
    Ok(Key { id: id.to_owned(), secret })
}

/// Asks at the terminal; a new password twice.
pub(super) fn ask(id: &str, asking: Asking) -> Result<Secret, Failure> {
    let of = if id == DEFAULT_ID { String::new() } else { format!(" ({id})") };
    let read = |prompt: String| {
        asker::password(&prompt).map_err(|_| {
            Failure::usage("cannot ask for the vault password: there is no terminal")
                .hint("give it in a file: --vault-password-file, --vault-id ID@FILE")
        })
    };
    let prompt = match asking {
        Asking::Known => return Ok(Secret::new(read(format!("Vault password{of}: "))?)),
        Asking::New => format!("New vault password{of}: "),
    };
    let first = Secret::new(read(prompt)?);
    let second = Secret::new(read(format!("Confirm new vault password{of}: "))?);
    if first != second {
        return Err(Failure::general("Passwords do not match"));
    }
    if first.reveal().is_empty() {
        return Err(Failure::general("the new vault password is empty"));
    }
    Ok(first)
}

fn from_file(id: &str, given: &Path) -> Result<Secret, Failure> {
    let path = expanded(given);
    let shown = path.display();
    let about = std::fs::metadata(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Failure::general(format!("The vault password file {shown} was not found"))
        }
        _ => Failure::general(format!("Could not read vault password file {shown}: {error}")),
    })?;
    let is_program = about.is_file() && about.permissions().mode() & 0o111 != 0;
    let text = if is_program { from_program(id, &path)? } else { read(&path)? };
    if text.reveal().is_empty() {
        return Err(Failure::general(format!(
            "Invalid vault password was provided from file ({shown})"
        )));
    }
    Ok(text)
}

fn read(path: &Path) -> Result<Secret, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::general(format!("Could not read vault password file {}: {error}", path.display()))
    })?;
    Ok(Secret::new(text.trim()))
}

/// Runs a program that prints the password; one named `…-client` is told the id.
fn from_program(id: &str, path: &Path) -> Result<Secret, Failure> {
    let mut command = Command::new(path);
    if path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("-client")) {
        command.args(["--vault-id", id]);
    }
    let shown = path.display();
    let output =
        command.stdin(Stdio::inherit()).stderr(Stdio::inherit()).output().map_err(|error| {
            Failure::general(format!("Problem running vault password script {shown} ({error})"))
                .hint("if this is not a script, remove the executable bit from the file")
        })?;
    if !output.status.success() {
        let code =
            output.status.code().map_or_else(|| "killed".to_owned(), |code| code.to_string());
        return Err(Failure::general(format!(
            "Vault password script {shown} returned non-zero ({code})"
        )));
    }
    let text = String::from_utf8(output.stdout).map_err(|_| {
        Failure::general(format!("Vault password script {shown} printed what is not UTF-8"))
    })?;
    Ok(Secret::new(text.trim_matches(['\r', '\n'])))
}

/// Returns the path from the root, with `~/` opened.
fn expanded(path: &Path) -> PathBuf {
    let home = env("HOME").map(PathBuf::from);
    let path = match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    };
    std::path::absolute(&path).unwrap_or(path)
}
