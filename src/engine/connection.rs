//! From variables, keywords and flags to the address of a host and the user to become.

use std::time::Duration;

use crate::engine::Options;
use crate::engine::scene::Run;
use crate::engine::view::{KeywordError, View};
use crate::modules::as_bool;
use crate::names::HostName;
use crate::playbook::Common;
use crate::secret::Secret;
use crate::template::TemplateError;
use crate::transport::{
    Address, Become, BecomeMethod, ConnectionKind, HiddenWord, HostKeys, Identity,
};

/// The deadline of a connect when nothing else is said.
const CONNECT: Duration = Duration::from_secs(10);

/// Why a host cannot be addressed; the text is for the task's result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct AddressError(pub(crate) String);

impl From<KeywordError> for AddressError {
    fn from(error: KeywordError) -> Self {
        Self(error.0)
    }
}

impl From<TemplateError> for AddressError {
    fn from(error: TemplateError) -> Self {
        Self(error.message)
    }
}

/// Where a task goes, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// The host.
    pub(crate) address: Address,
    /// The user.
    pub(crate) identity: Identity,
    /// The user's name, for modules.
    pub(crate) user: String,
}

/// Works out the way to a host. `view` holds the variables of the host that is connected to (the delegate, when there is
/// one); `task` those of the task itself.
pub(crate) fn way(
    run: &Run,
    host: &HostName,
    view: &View,
    task: &View,
    keywords: &Common,
) -> Result<Way, AddressError> {
    let options = &run.world.options;
    let local_name = matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1");
    let defined = run.inventory().hosts().any(|known| known == host);
    let kind = match view.first_text(&["ansible_connection"])? {
        Some(word) => word,
        // A host that is delegated to by a local name and stands in no inventory is this machine.
        None if local_name && !defined => "local".to_owned(),
        None => task
            .keyword_text("connection", keywords.connection.as_ref())?
            .or_else(|| options.connection.clone())
            .unwrap_or_else(|| "ssh".to_owned()),
    };
    let kind = match kind.rsplit('.').next().unwrap_or_default() {
        "ssh" | "smart" | "paramiko" | "paramiko_ssh" => ConnectionKind::Ssh,
        "local" => ConnectionKind::Local,
        _ => {
            return Err(AddressError(format!(
                "the connection plugin '{kind}' was not found (ssh and local are there)"
            )));
        }
    };
    let user = view.first_text(&["ansible_user", "ansible_ssh_user"])?;
    let user = match user.filter(|user| !user.is_empty()) {
        Some(user) => Some(user),
        None => task
            .keyword_text("remote_user", keywords.remote_user.as_ref())?
            .or_else(|| options.remote_user.clone()),
    };
    let port = match view.first_text(&["ansible_port", "ansible_ssh_port"])? {
        Some(port) => Some(port),
        None => task.keyword_text("port", keywords.port.as_ref())?,
    };
    let port = port
        .map(|text| {
            text.trim().parse().map_err(|_| {
                AddressError(format!(
                    "the port (ansible_port) '{text}' is not a number from 1 to 65535"
                ))
            })
        })
        .transpose()?
        .or(options.defaults.remote_port);
    let password = view
        .first_text(&["ansible_password", "ansible_ssh_pass", "ansible_ssh_password"])?
        .map(Secret::new)
        .or_else(|| options.connection_password.clone());
    if let Some(password) = &password {
        run.world.redactor.add(password.reveal());
    }
    let address = Address {
        name: host.clone(),
        kind,
        host: view
            .first_text(&["ansible_host", "ansible_ssh_host"])?
            .unwrap_or_else(|| host.as_str().to_owned()),
        port,
        user,
        password,
        private_key: view
            .first_text(&["ansible_ssh_private_key_file", "ansible_private_key_file"])?
            .or_else(|| options.private_key.as_ref().map(|path| path.display().to_string())),
        ssh_args: ssh_args(options, view)?,
        timeout: timeout(options, view)?,
        host_keys: host_keys(options, view)?,
    };
    let identity = identity(run, view, task, keywords)?;
    let user = match &identity {
        Identity::Become(become_user) => become_user.user.clone(),
        Identity::Login => address.user.clone().unwrap_or_else(|| run.world.person.user.clone()),
    };
    Ok(Way { address, identity, user })
}

fn ssh_args(options: &Options, view: &View) -> Result<Vec<String>, AddressError> {
    let mut words = options.ssh_args.clone();
    for name in ["ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args"] {
        if let Some(text) = view.first_text(&[name])? {
            words.extend(split_words(&text).map_err(|error| {
                AddressError(format!("{name} cannot be split into words: {error}"))
            })?);
        }
    }
    Ok(words)
}

fn timeout(options: &Options, view: &View) -> Result<Duration, AddressError> {
    let given = match view.first_text(&["ansible_ssh_timeout", "ansible_timeout"])? {
        Some(text) => Some(
            text.trim()
                .parse::<u64>()
                .map_err(|_| AddressError(format!("'{text}' is not a timeout in seconds")))?,
        ),
        None => options.timeout,
    };
    Ok(given.map_or(CONNECT, Duration::from_secs))
}

fn host_keys(options: &Options, view: &View) -> Result<HostKeys, AddressError> {
    let default = options.host_keys.unwrap_or(HostKeys::Strict);
    for name in ["ansible_ssh_host_key_checking", "ansible_host_key_checking"] {
        if let Some(value) = view.variable(name)? {
            return Ok(match as_bool(&value) {
                Some(false) => HostKeys::Off,
                Some(true) => HostKeys::Strict,
                None => default,
            });
        }
    }
    Ok(default)
}

fn identity(
    run: &Run,
    view: &View,
    task: &View,
    keywords: &Common,
) -> Result<Identity, AddressError> {
    let options = &run.world.options;
    let wanted = match view.variable("ansible_become")? {
        Some(value) => as_bool(&value)
            .ok_or_else(|| AddressError(format!("ansible_become is not a boolean: {value}")))?,
        None => task.flag("become", keywords.r#become.as_ref(), options.r#become)?,
    };
    if !wanted {
        return Ok(Identity::Login);
    }
    let method = match view.first_text(&["ansible_become_method"])? {
        Some(method) => Some(method),
        None => task.keyword_text("become_method", keywords.become_method.as_ref())?,
    };
    let method = method.or_else(|| options.become_method.clone());
    let method = match method.as_deref().map(|word| word.rsplit('.').next().unwrap_or_default()) {
        None | Some("sudo") => BecomeMethod::Sudo,
        Some("su") => BecomeMethod::Su,
        Some(other) => {
            return Err(AddressError(format!(
                "the become method '{other}' was not found (sudo and su are there)"
            )));
        }
    };
    let user = match view.first_text(&["ansible_become_user", "ansible_sudo_user"])? {
        Some(user) => Some(user),
        None => task.keyword_text("become_user", keywords.become_user.as_ref())?,
    };
    let exe = match view.first_text(&["ansible_become_exe", "ansible_sudo_exe"])? {
        Some(exe) => Some(exe),
        None => task.keyword_text("become_exe", keywords.become_exe.as_ref())?,
    };
    let flags = match view.first_text(&["ansible_become_flags", "ansible_sudo_flags"])? {
        Some(flags) => Some(flags),
        None => task.keyword_text("become_flags", keywords.become_flags.as_ref())?,
    };
    let password = view
        .first_text(&[
            "ansible_become_password",
            "ansible_become_pass",
            "ansible_sudo_pass",
            "ansible_sudo_password",
            "ansible_su_pass",
        ])?
        .map(Secret::new)
        .or_else(|| options.become_password.clone());
    if let Some(password) = &password {
        run.world.redactor.add(password.reveal());
    }
    Ok(Identity::Become(Become {
        method,
        user: user.or_else(|| options.become_user.clone()).unwrap_or_else(|| "root".to_owned()),
        exe,
        flags: flags
            .map(|text| split_words(&text))
            .transpose()
            .map_err(|error| AddressError(format!("become_flags: {error}")))?,
        password: password.map(HiddenWord),
    }))
}

/// Splits a line into words as a shell does: quotes and backslashes, no expansion.
pub(crate) fn split_words(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some('"'), '\\') => {
                let next = chars.next().ok_or("it ends in a backslash")?;
                let word = word.get_or_insert_default();
                if !matches!(next, '"' | '\\' | '$' | '`') {
                    word.push('\\');
                }
                word.push(next);
            }
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '\\') => {
                let next = chars.next().ok_or("it ends in a backslash")?;
                word.get_or_insert_default().push(next);
            }
            (None, _) if c.is_whitespace() => words.extend(word.take()),
            (Some(_) | None, _) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_arguments_keep_a_quoted_command_in_one_word() {
        let line = r#"-o ProxyCommand="ssh -W %h:%p -q me@bastion" -o 'A=b c'"#;
        let words = split_words(line);
        let expected = ["-o", "ProxyCommand=ssh -W %h:%p -q me@bastion", "-o", "A=b c"];
        assert_eq!(words, Ok(expected.map(str::to_owned).to_vec()));
    }

    #[test]
    fn open_quote_is_refused() {
        assert_eq!(split_words("-o 'x"), Err("a quote is not closed"));
    }
}
