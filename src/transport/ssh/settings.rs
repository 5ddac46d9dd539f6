//! How one host is to be reached: variables, command line words and ssh_config brought together.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Person;
use super::args::{self, CommandLine};
use super::config::{self, Question, Tokens, home};
use super::options::{Options, ProxyOption};
use crate::names::HostName;
use crate::secret::Secret;
use crate::transport::{Address, HostKeys, TransportError, TransportErrorKind};

/// Jumps in a row; more is a loop.
const JUMPS: usize = 8;

/// Everything about one connection, nothing left to look up.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// For messages.
    pub(super) name: HostName,
    /// Where to connect.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    /// The name the key is known by.
    pub(super) key_name: String,
    pub(super) password: Option<Secret>,
    /// Key files somebody named, then those looked at by default.
    pub(super) keys: Vec<PathBuf>,
    pub(super) default_keys: Vec<PathBuf>,
    pub(super) certificates: Vec<PathBuf>,
    pub(super) agent: Option<PathBuf>,
    pub(super) identities_only: bool,
    pub(super) public_key: bool,
    pub(super) password_allowed: bool,
    pub(super) keyboard_allowed: bool,
    pub(super) known_hosts: Vec<PathBuf>,
    /// Where a new key is written.
    pub(super) learn_into: Option<PathBuf>,
    pub(super) host_keys: HostKeys,
    pub(super) timeout: Duration,
    pub(super) alive_interval: Duration,
    pub(super) alive_count: usize,
    pub(super) proxy: Proxy,
}

/// What lies between.
#[derive(Clone, Debug)]
pub(super) enum Proxy {
    /// Nothing.
    Direct,
    /// Another host.
    Jump(Box<Settings>),
    /// A local command.
    Command(String),
}

impl Settings {
    /// Returns what two connections must share to be one: user, place, and the way there.
    pub(super) fn way(&self) -> String {
        let here = format!("{}@{}:{}", self.user, self.host, self.port);
        match &self.proxy {
            Proxy::Direct => here,
            Proxy::Jump(jump) => format!("{here} via {}", jump.way()),
            Proxy::Command(command) => format!("{here} by {command}"),
        }
    }
}

/// Brings together what is known of a host.
pub(super) fn settings(address: &Address, person: &Person) -> Result<Settings, TransportError> {
    resolve(address, person).map_err(|error| {
        TransportError::new(
            &address.name,
            TransportErrorKind::Connect,
            format!("cannot tell how to connect to {}: {error}", address.name),
        )
    })
}

fn resolve(address: &Address, person: &Person) -> Result<Settings, String> {
    let mut given = Options {
        user: address.user.clone(),
        port: address.port,
        identity_files: address.private_key.iter().cloned().collect(),
        host_keys: match address.host_keys {
            HostKeys::Strict => None,
            HostKeys::AcceptNew | HostKeys::Off => Some(address.host_keys),
        },
        ..Options::default()
    };
    let line = args::parse(&address.ssh_args)?;
    merge(&mut given, line.options);
    let outer = Outer {
        name: &address.name,
        timeout: address.timeout,
        fallback: None,
        password: address.password.clone(),
    };
    one(&address.host, given, &outer, person, 0)
}

struct Outer<'a> {
    name: &'a HostName,
    timeout: Duration,
    /// Of the host behind a jump: its keys and files are used for the jump after the jump's own.
    fallback: Option<&'a Options>,
    password: Option<Secret>,
}

fn merge(first: &mut Options, second: Options) {
    macro_rules! fill {
        ($($field:ident),*) => { $( if first.$field.is_none() { first.$field = second.$field; } )* };
    }
    fill!(
        hostname,
        user,
        port,
        proxy,
        identities_only,
        identity_agent,
        host_key_alias,
        user_known_hosts,
        global_known_hosts,
        host_keys,
        connect_timeout,
        alive_interval,
        alive_count,
        public_key,
        password,
        keyboard,
        config_file
    );
    first.identity_files.extend(second.identity_files);
    first.certificate_files.extend(second.certificate_files);
}

fn one(
    host: &str,
    mut options: Options,
    outer: &Outer<'_>,
    person: &Person,
    depth: usize,
) -> Result<Settings, String> {
    if depth > JUMPS {
        return Err(format!("more than {JUMPS} jumps in a row; do they jump in a circle?"));
    }
    let given = options.clone();
    read_files(host, &mut options, person)?;
    if let Some(fallback) = outer.fallback {
        options.identity_files.extend(fallback.identity_files.iter().cloned());
        options.user_known_hosts = options.user_known_hosts.or(fallback.user_known_hosts.clone());
        options.host_keys = options.host_keys.or(fallback.host_keys);
        options.connect_timeout = options.connect_timeout.or(fallback.connect_timeout);
    }
    let user = options.user.clone().unwrap_or_else(|| person.user.clone());
    let port = options.port.unwrap_or(22);
    let hostname =
        options.hostname.as_ref().map_or(host.to_owned(), |name| name.replace("%h", host));
    let tokens = Tokens {
        host: &hostname,
        original: host,
        port,
        user: &user,
        local_user: &person.user,
        home: &person.home,
    };
    let path = |text: &String| PathBuf::from(tokens.expand(&home(text, &person.home)));
    let paths = |list: &[String]| -> Vec<PathBuf> {
        list.iter().filter(|text| *text != "none").map(path).collect()
    };
    let proxy = match &options.proxy {
        None | Some(ProxyOption::None) => Proxy::Direct,
        Some(ProxyOption::Jump(list)) => jumps(list, &given, outer, person, depth)?,
        Some(ProxyOption::Command(command)) => match args::as_jump(command) {
            Some(line) => Proxy::Jump(Box::new(jump_line(line, &given, outer, person, depth)?)),
            None => Proxy::Command(tokens.expand(command)),
        },
    };
    let ssh = person.home.join(".ssh");
    let user_files = match &options.user_known_hosts {
        Some(files) => paths(files),
        None => vec![ssh.join("known_hosts"), ssh.join("known_hosts2")],
    };
    let global_files = match &options.global_known_hosts {
        Some(files) => paths(files),
        None => vec!["/etc/ssh/ssh_known_hosts".into(), "/etc/ssh/ssh_known_hosts2".into()],
    };
    let default_keys = if options.identity_files.is_empty() {
        ["id_ed25519", "id_ecdsa", "id_rsa"].map(|name| ssh.join(name)).to_vec()
    } else {
        Vec::new()
    };
    Ok(Settings {
        name: outer.name.clone(),
        key_name: options.host_key_alias.clone().unwrap_or_else(|| hostname.clone()),
        keys: paths(&options.identity_files),
        default_keys,
        certificates: paths(&options.certificate_files),
        agent: agent(options.identity_agent.as_deref(), person, path),
        identities_only: options.identities_only.unwrap_or(false),
        public_key: options.public_key.unwrap_or(true),
        password_allowed: options.password.unwrap_or(true),
        keyboard_allowed: options.keyboard.unwrap_or(true),
        learn_into: user_files.first().cloned(),
        known_hosts: user_files.into_iter().chain(global_files).collect(),
        host_keys: options.host_keys.unwrap_or(HostKeys::Strict),
        timeout: given.connect_timeout.map_or(outer.timeout, Duration::from_secs),
        alive_interval: Duration::from_secs(
            options.alive_interval.filter(|seconds| *seconds > 0).unwrap_or(15),
        ),
        alive_count: options.alive_count.unwrap_or(3),
        password: outer.password.clone(),
        host: hostname,
        port,
        user,
        proxy,
    })
}

fn read_files(host: &str, options: &mut Options, person: &Person) -> Result<(), String> {
    let exec = |command: &str| (person.match_exec)(command);
    let question = Question { host, local_user: &person.user, home: &person.home, exec: &exec };
    let (user_file, system_file) = match options.config_file.clone() {
        Some(none) if none == "none" => return Ok(()),
        Some(file) => {
            let file = PathBuf::from(home(&file, &person.home));
            if !file.is_file() {
                return Err(format!("cannot read the ssh configuration {}", file.display()));
            }
            (Some(file), None)
        }
        None => (
            Some(person.home.join(".ssh/config")),
            Some(Path::new("/etc/ssh/ssh_config").to_owned()),
        ),
    };
    config::apply(&question, user_file.as_deref(), system_file.as_deref(), options)
}

fn agent(
    option: Option<&str>,
    person: &Person,
    path: impl Fn(&String) -> PathBuf,
) -> Option<PathBuf> {
    match option {
        Some("none") => None,
        None | Some("SSH_AUTH_SOCK") => person.agent.clone(),
        Some(other) => Some(path(&other.to_owned())),
    }
}

/// The last of the list is the nearest to the host; the first is reached as its own configuration says.
fn jumps(
    list: &str,
    given: &Options,
    outer: &Outer<'_>,
    person: &Person,
    depth: usize,
) -> Result<Proxy, String> {
    let (before, nearest) = match list.rsplit_once(',') {
        Some((before, nearest)) => (Some(before), nearest),
        None => (None, list),
    };
    let (host, mut options) = destination(nearest)?;
    options.proxy = before.map(|list| ProxyOption::Jump(list.to_owned()));
    options.config_file.clone_from(&given.config_file);
    let inner =
        Outer { name: outer.name, timeout: outer.timeout, fallback: Some(given), password: None };
    Ok(Proxy::Jump(Box::new(one(&host, options, &inner, person, depth + 1)?)))
}

fn jump_line(
    line: CommandLine,
    given: &Options,
    outer: &Outer<'_>,
    person: &Person,
    depth: usize,
) -> Result<Settings, String> {
    let operand = line.operands.first().cloned().unwrap_or_default();
    let (host, mut options) = destination(&operand)?;
    merge(&mut options, line.options);
    let inner =
        Outer { name: outer.name, timeout: outer.timeout, fallback: Some(given), password: None };
    one(&host, options, &inner, person, depth + 1)
}

/// Reads `[user@]host[:port]` and `ssh://[user@]host[:port]`.
fn destination(text: &str) -> Result<(String, Options), String> {
    let mut options = Options::default();
    let text = text.trim();
    let rest = text.strip_prefix("ssh://").unwrap_or(text).trim_end_matches('/');
    let rest = match rest.rsplit_once('@') {
        Some((user, rest)) => {
            options.user = Some(user.to_owned());
            rest
        }
        None => rest,
    };
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match rest.split_once(':') {
            // More than one colon: an IPv6 address without a port.
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            Some(_) | None => (rest, None),
        },
    };
    if host.is_empty() {
        return Err(format!("'{text}' names no jump host"));
    }
    if let Some(port) = port {
        options.port =
            Some(port.parse().map_err(|_| format!("'{port}' in '{text}' is not a port"))?);
    }
    Ok((host.to_owned(), options))
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
