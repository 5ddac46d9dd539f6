//! `matron vault`: makes and opens sealed files and values, as `ansible-vault` does.

use std::fs;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::asker;
use super::config::Config;
use super::failure::Failure;
use super::keyring::{self, Asking, VaultFlags};
use super::world::env;
use crate::vault::{self, DEFAULT_ID, Key, Keyring};

/// Seal and open files and values with Ansible Vault
#[derive(Debug, Args)]
pub(super) struct VaultArgs {
    #[command(subcommand)]
    verb: VaultVerb,
}

#[derive(Debug, Subcommand)]
enum VaultVerb {
    /// Write a new sealed file in an editor
    Create {
        /// The file; it must not be there
        file: PathBuf,
        /// Start the editor without a terminal as well
        #[arg(long)]
        skip_tty_check: bool,
        #[command(flatten)]
        sealing: Sealing,
    },
    /// Show what a sealed file holds
    View {
        /// Files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        vault: VaultFlags,
    },
    /// Change a sealed file in an editor
    Edit {
        /// Files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        sealing: Sealing,
    },
    /// Seal files in place, or stdin to stdout
    Encrypt {
        /// Files; stdin when there is none, or -
        files: Vec<PathBuf>,
        /// Write it here instead; - is stdout
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        sealing: Sealing,
    },
    /// Open files in place, or stdin to stdout
    Decrypt {
        /// Files; stdin when there is none, or -
        files: Vec<PathBuf>,
        /// Write it here instead; - is stdout
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        vault: VaultFlags,
    },
    /// Seal files under another password
    Rekey {
        /// Files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The new password: ID@FILE, ID@PROGRAM or ID@prompt
        #[arg(long, value_name = "ID@SOURCE", conflicts_with = "new_vault_password_file")]
        new_vault_id: Option<String>,
        /// Read the new password from this file
        #[arg(long, visible_alias = "new-vault-pass-file", value_name = "FILE")]
        new_vault_password_file: Option<String>,
        #[command(flatten)]
        sealing: Sealing,
    },
    /// Seal a value, to be pasted into a YAML file
    #[command(name = "encrypt_string", visible_alias = "encrypt-string")]
    EncryptString {
        /// Values; stdin when it is -, a question with --prompt
        values: Vec<String>,
        /// Name of the variable; may be given again, in the order of the values
        #[arg(short, long, value_name = "NAME")]
        name: Vec<String>,
        /// Read a value from stdin and give it this name
        #[arg(long, value_name = "NAME")]
        stdin_name: Option<String>,
        /// Ask for the value
        #[arg(short, long)]
        prompt: bool,
        /// Show what is typed at the question
        #[arg(long)]
        show_input: bool,
        /// Write it here instead; - is stdout
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        sealing: Sealing,
    },
}

/// Passwords, and which of them seals.
#[derive(Clone, Debug, Args)]
struct Sealing {
    /// Seal under this id; needed when more than one is given
    #[arg(long, value_name = "ID")]
    encrypt_vault_id: Option<String>,
    #[command(flatten)]
    vault: VaultFlags,
}

pub(super) fn run(args: VaultArgs) -> Result<u8, Failure> {
    match args.verb {
        VaultVerb::Create { file, skip_tty_check, sealing } => {
            create(&file, skip_tty_check, &sealing)?;
        }
        VaultVerb::View { files, vault } => {
            let keyring = opening(&vault)?;
            for file in &files {
                show(&open(&keyring, &read(file)?, &file.display().to_string())?)?;
            }
        }
        VaultVerb::Edit { files, sealing } => {
            let keyring = opening(&sealing.vault)?;
            for file in &files {
                edit(file, &keyring, &sealing)?;
            }
        }
        VaultVerb::Encrypt { files, output, sealing } => {
            let key = sealing.key()?;
            each(&files, output.as_deref(), "Encryption successful", |bytes, _| {
                if vault::is_sealed(bytes) {
                    return Err(Failure::general("input is already encrypted"));
                }
                Ok(Zeroizing::new(seal(bytes, &key).into_bytes()))
            })?;
        }
        VaultVerb::Decrypt { files, output, vault } => {
            let keyring = opening(&vault)?;
            each(&files, output.as_deref(), "Decryption successful", |bytes, name| {
                open(&keyring, bytes, name)
            })?;
        }
        VaultVerb::Rekey { files, new_vault_id, new_vault_password_file, sealing } => {
            let keyring = opening(&sealing.vault)?;
            let new = match new_vault_id.or(new_vault_password_file) {
                Some(given) => keyring::key(&given, Asking::New)?,
                None => {
                    Key { id: DEFAULT_ID.into(), secret: keyring::ask(DEFAULT_ID, Asking::New)? }
                }
            };
            for file in &files {
                let bytes = read(file)?;
                let plain = open(&keyring, &bytes, &file.display().to_string())?;
                replace(file, seal(&plain, &new).as_bytes())?;
            }
            told("Rekey successful");
        }
        VaultVerb::EncryptString {
            values,
            name,
            stdin_name,
            prompt,
            show_input,
            output,
            sealing,
        } => {
            let asked = Strings { values, names: name, stdin_name, prompt, show_input };
            encrypt_strings(asked, output.as_deref(), &sealing)?;
        }
    }
    Ok(0)
}

impl Sealing {
    /// Returns the one password that seals.
    fn key(&self) -> Result<Key, Failure> {
        let config = config()?;
        let mut keys = self.vault.keys(Asking::New, &config)?;
        let wanted = self.encrypt_vault_id.clone();
        let wanted = wanted.or_else(|| config.set_text("DEFAULT_VAULT_ENCRYPT_IDENTITY"));
        if let Some(id) = wanted.filter(|id| !id.is_empty()) {
            let ids: Vec<_> = keys.iter().map(|key| key.id.clone()).collect();
            return keys.into_iter().find(|key| key.id == id).ok_or_else(|| {
                Failure::general(format!(
                    "Did not find a match for --encrypt-vault-id={id} in the known vault-ids {ids:?}"
                ))
            });
        }
        match keys.len() {
            0 => Ok(Key { id: DEFAULT_ID.into(), secret: keyring::ask(DEFAULT_ID, Asking::New)? }),
            1 => Ok(keys.remove(0)),
            _ => {
                let ids: Vec<_> = keys.iter().map(|key| key.id.as_str()).collect();
                Err(Failure::usage(format!(
                    "The vault-ids {} are available to encrypt. Specify the vault-id to encrypt with --encrypt-vault-id",
                    ids.join(",")
                )))
            }
        }
    }
}

fn config() -> Result<Config, Failure> {
    let folder = std::env::current_dir()
        .map_err(|error| Failure::general(format!("cannot tell the working folder: {error}")))?;
    Config::load(&folder)
}

/// Returns the passwords that open; asks when none is given.
fn opening(flags: &VaultFlags) -> Result<Keyring, Failure> {
    let keyring = flags.keyring(&config()?)?;
    if !keyring.keys().is_empty() {
        return Ok(keyring);
    }
    let secret = keyring::ask(DEFAULT_ID, Asking::Known)?;
    Ok(Keyring::new(vec![Key { id: DEFAULT_ID.into(), secret }], false))
}

fn seal(plain: &[u8], key: &Key) -> String {
    use rand::Rng as _;
    let mut salt = [0_u8; 32];
    rand::rng().fill_bytes(&mut salt);
    vault::seal(plain, Some(&key.id), &key.secret, &salt)
}

fn open(keyring: &Keyring, bytes: &[u8], name: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    keyring.open(bytes).map_err(|error| Failure::general(format!("{error} for {name}")))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| {
        Failure::general(format!("Unable to read source file ({}): {error}", path.display()))
    })
}

/// Says what was done, to a person.
fn told(text: &str) {
    if std::io::stdout().is_terminal() {
        super::talk(text);
    }
}

/// Turns each file, or stdin, into what is written in its place, or to `output`.
fn each(
    files: &[PathBuf],
    output: Option<&Path>,
    done: &str,
    turn: impl Fn(&[u8], &str) -> Result<Zeroizing<Vec<u8>>, Failure>,
) -> Result<(), Failure> {
    if output.is_some() && files.len() > 1 {
        return Err(Failure::usage("At most one input file may be used with the --output option"));
    }
    let stdin = [PathBuf::from("-")];
    let files = if files.is_empty() { &stdin } else { files };
    for file in files {
        let from_stdin = file == Path::new("-");
        let bytes = if from_stdin { from_stdin_whole()? } else { Zeroizing::new(read(file)?) };
        let name = if from_stdin { "stdin".to_owned() } else { file.display().to_string() };
        let turned = turn(&bytes, &name)?;
        match output {
            Some(path) if path != Path::new("-") => replace(path, &turned)?,
            None if !from_stdin => replace(file, &turned)?,
            Some(_) | None => to_stdout(&turned)?,
        }
    }
    told(done);
    Ok(())
}

fn from_stdin_whole() -> Result<Zeroizing<Vec<u8>>, Failure> {
    if std::io::stdin().is_terminal() {
        super::talk("Reading from stdin; Ctrl-D ends it.");
    }
    let mut bytes = Zeroizing::new(Vec::new());
    std::io::stdin()
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::general(format!("cannot read stdin: {error}")))?;
    Ok(bytes)
}

fn to_stdout(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).or_else(|error| match error.kind() {
        // A reader that went away is no error of ours.
        std::io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(Failure::general(format!("cannot write to stdout: {error}"))),
    })
}

/// Shows text, in a pager when a person reads it.
fn show(bytes: &[u8]) -> Result<(), Failure> {
    if !std::io::stdout().is_terminal() {
        return to_stdout(bytes);
    }
    let pager = env("PAGER").filter(|pager| !pager.is_empty()).unwrap_or_else(|| "less".into());
    let started = Command::new("sh").args(["-c", &pager]).stdin(Stdio::piped()).spawn();
    let Ok(mut child) = started else { return to_stdout(bytes) };
    if let Some(mut input) = child.stdin.take() {
        // Who leaves the pager early does not want the rest.
        let _gone = input.write_all(bytes);
    }
    match child.wait() {
        Ok(status) if status.code() == Some(127) => to_stdout(bytes),
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::general(format!("cannot run {pager}: {error}"))),
    }
}

/// Writes a file whole or not at all; an old one keeps its owner and mode, a new one is its owner's alone.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let wrong = |error: std::io::Error| {
        Failure::general(format!("cannot write {}: {error}", path.display()))
    };
    // What a link points to is meant, not the link.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let old = fs::metadata(&target).ok();
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut beside = Beside::make(folder.unwrap_or(Path::new(".")), "vault").map_err(wrong)?;
    beside.file.write_all(bytes).and_then(|()| beside.file.sync_all()).map_err(wrong)?;
    if let Some(old) = old {
        fs::set_permissions(&beside.path, old.permissions()).map_err(wrong)?;
        // Only root can give a file away; whoever else may write here keeps it.
        let _kept = std::os::unix::fs::chown(&beside.path, Some(old.uid()), Some(old.gid()));
    }
    fs::rename(&beside.path, &target).map_err(wrong)?;
    beside.moved = true;
    Ok(())
}

/// A file of the owner's alone that goes away unless it was moved.
struct Beside {
    path: PathBuf,
    file: fs::File,
    moved: bool,
}

impl Beside {
    fn make(folder: &Path, ending: &str) -> std::io::Result<Self> {
        let name = format!(".matron-{}.{ending}", uuid::Uuid::new_v4().simple());
        let path = folder.join(name);
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { path, file, moved: false })
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.moved {
            // Plain text must not stay behind, nor may a failure to remove it hide what went wrong before.
            let _gone = self.file.set_len(0).and_then(|()| fs::remove_file(&self.path));
        }
    }
}

fn create(file: &Path, skip_tty_check: bool, sealing: &Sealing) -> Result<(), Failure> {
    if file.exists() {
        return Err(Failure::general(format!(
            "{} exists, please use 'edit' instead",
            file.display()
        )));
    }
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty())
        && !folder.is_dir()
    {
        return Err(Failure::general(format!("{} is no folder", folder.display())));
    }
    if !skip_tty_check && !std::io::stdout().is_terminal() {
        return Err(Failure::usage("not a tty, editor cannot be opened")
            .hint("matron vault encrypt --output FILE seals what it reads from stdin"));
    }
    let key = sealing.key()?;
    let text = edited(&[], file)?;
    replace(file, seal(&text, &key).as_bytes())
}

fn edit(file: &Path, keyring: &Keyring, sealing: &Sealing) -> Result<(), Failure> {
    let bytes = read(file)?;
    let (plain, key) = keyring
        .open_with(&bytes)
        .map_err(|error| Failure::general(format!("{error} for {}", file.display())))?;
    let text = edited(&plain, file)?;
    if *text == *plain && sealing.encrypt_vault_id.is_none() {
        return Ok(());
    }
    let key = if sealing.encrypt_vault_id.is_some() {
        sealing.key()?
    } else {
        // Under the password it was opened with, and the id it had.
        let id = vault::id_of(&bytes).unwrap_or_else(|| DEFAULT_ID.to_owned());
        Key { id, secret: key.secret.clone() }
    };
    replace(file, seal(&text, &key).as_bytes())
}

/// Lets a person edit text in a file of their own, and returns it. The file's ending stays, for the editor's sake.
fn edited(plain: &[u8], shown: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let wrong =
        |error: std::io::Error| Failure::general(format!("cannot make a file to edit: {error}"));
    let ending = shown.extension().map_or_else(|| "txt".into(), |end| end.to_string_lossy());
    let mut draft = Beside::make(&std::env::temp_dir(), &ending).map_err(wrong)?;
    draft.file.write_all(plain).map_err(wrong)?;
    let set = |name: &str| env(name).filter(|editor| !editor.trim().is_empty());
    let editor = set("EDITOR").or_else(|| set("VISUAL")).unwrap_or_else(|| "vi".into());
    let line = format!("{editor} \"$1\"");
    let status = Command::new("sh").args(["-c", &line, "sh"]).arg(&draft.path).status().map_err(
        |error| Failure::general(format!("Unable to execute the command ({editor}): {error}")),
    )?;
    if !status.success() {
        return Err(Failure::general(format!(
            "the editor ({editor}) ended with {status}; nothing was changed"
        )));
    }
    fs::read(&draft.path).map(Zeroizing::new).map_err(wrong)
}

/// Values to seal, as asked for.
struct Strings {
    values: Vec<String>,
    names: Vec<String>,
    stdin_name: Option<String>,
    prompt: bool,
    show_input: bool,
}

/// A value to seal: its name, itself, and where it came from.
type Value = (Option<String>, Zeroizing<Vec<u8>>, &'static str);

fn encrypt_strings(
    asked: Strings,
    output: Option<&Path>,
    sealing: &Sealing,
) -> Result<(), Failure> {
    let key = sealing.key()?;
    let mut found: Vec<Value> = Vec::new();
    let reads = asked.values.iter().any(|value| value == "-") || asked.stdin_name.is_some();
    let none = asked.values.is_empty() && !asked.prompt && asked.stdin_name.is_none();
    if asked.prompt {
        let name = asked.names.first().cloned();
        let value = asker::value("String to encrypt: ", asked.show_input)?;
        found.push((name, Zeroizing::new(value.into_bytes()), "from the interactive input"));
    }
    if reads || none {
        found.push((asked.stdin_name.clone(), from_stdin_whole()?, "from stdin"));
    }
    let values = asked.values.into_iter().filter(|value| value != "-");
    let mut names = asked.names.into_iter().skip(usize::from(asked.prompt));
    for value in values {
        found.push((
            names.next(),
            Zeroizing::new(value.into_bytes()),
            "from the command line args",
        ));
    }
    let many = found.len() > 1;
    let mut out = String::new();
    for (at, (name, value, origin)) in found.iter().enumerate() {
        if value.is_empty() {
            return Err(Failure::usage(format!(
                "The plaintext provided {origin} was empty, not encrypting"
            )));
        }
        if many {
            let number = at + 1;
            let what = name.as_ref().map_or_else(
                || format!("# The encrypted version of the string #{number} {origin}.)\n"),
                |name| {
                    format!("# The encrypted version of variable (\"{name}\", the string #{number} {origin}).\n")
                },
            );
            out.push_str(&what);
        }
        if let Some(name) = name {
            out.push_str(name);
            out.push_str(": ");
        }
        out.push_str("!vault |\n");
        for line in seal(value, &key).lines() {
            out.push_str("          ");
            out.push_str(line);
            out.push('\n');
        }
    }
    match output {
        Some(path) if path != Path::new("-") => replace(path, out.as_bytes())?,
        Some(_) | None => to_stdout(out.as_bytes())?,
    }
    told("Encryption successful");
    Ok(())
}
