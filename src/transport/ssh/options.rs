//! ssh_config options we know, as first value wins.

use crate::transport::HostKeys;

/// What a host's connection is to be, as far as the command line and the configuration files said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) hostname: Option<String>,
    pub(super) user: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) proxy: Option<ProxyOption>,
    pub(super) identity_files: Vec<String>,
    pub(super) certificate_files: Vec<String>,
    pub(super) identities_only: Option<bool>,
    pub(super) identity_agent: Option<String>,
    pub(super) host_key_alias: Option<String>,
    pub(super) user_known_hosts: Option<Vec<String>>,
    pub(super) global_known_hosts: Option<Vec<String>>,
    pub(super) host_keys: Option<HostKeys>,
    pub(super) connect_timeout: Option<u64>,
    pub(super) alive_interval: Option<u64>,
    pub(super) alive_count: Option<usize>,
    pub(super) public_key: Option<bool>,
    pub(super) password: Option<bool>,
    pub(super) keyboard: Option<bool>,
    pub(super) config_file: Option<String>,
}

/// ProxyJump and ProxyCommand share one place: whichever is seen first wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ProxyOption {
    /// Connect directly.
    None,
    /// `[user@]host[:port]`, several with commas.
    Jump(String),
    /// A local command that speaks with the host.
    Command(String),
}

impl Options {
    /// Sets one option unless it is set; options we have no use for are passed over.
    ///
    /// `rest` is the text behind the keyword, `words` the same cut into words.
    pub(super) fn set(
        &mut self,
        keyword: &str,
        words: &[String],
        rest: &str,
    ) -> Result<(), String> {
        let first = words.first().map(String::as_str);
        let one = || first.ok_or_else(|| format!("{keyword} needs a value"));
        match keyword.to_ascii_lowercase().as_str() {
            "hostname" => fill(&mut self.hostname, one()?.to_owned()),
            "user" => fill(&mut self.user, one()?.to_owned()),
            "port" => fill(&mut self.port, number(keyword, one()?)?),
            "proxyjump" => fill(
                &mut self.proxy,
                match one()? {
                    "none" => ProxyOption::None,
                    jump => ProxyOption::Jump(jump.to_owned()),
                },
            ),
            "proxycommand" => fill(
                &mut self.proxy,
                match rest.trim() {
                    "" => return Err(format!("{keyword} needs a value")),
                    "none" => ProxyOption::None,
                    command => ProxyOption::Command(command.to_owned()),
                },
            ),
            "identityfile" => add(&mut self.identity_files, one()?),
            "certificatefile" => add(&mut self.certificate_files, one()?),
            "identitiesonly" => fill(&mut self.identities_only, yes(keyword, one()?)?),
            "identityagent" => fill(&mut self.identity_agent, one()?.to_owned()),
            "hostkeyalias" => fill(&mut self.host_key_alias, one()?.to_owned()),
            "userknownhostsfile" => fill(&mut self.user_known_hosts, words.to_vec()),
            "globalknownhostsfile" => fill(&mut self.global_known_hosts, words.to_vec()),
            "stricthostkeychecking" => fill(
                &mut self.host_keys,
                match one()?.to_ascii_lowercase().as_str() {
                    "yes" | "true" | "ask" => HostKeys::Strict,
                    "accept-new" => HostKeys::AcceptNew,
                    "no" | "false" | "off" => HostKeys::Off,
                    other => return Err(format!("{keyword} cannot be '{other}'")),
                },
            ),
            "connecttimeout" => match one()? {
                "none" => {}
                text => fill(&mut self.connect_timeout, seconds(keyword, text)?),
            },
            "serveraliveinterval" => fill(&mut self.alive_interval, seconds(keyword, one()?)?),
            "serveralivecountmax" => fill(&mut self.alive_count, number(keyword, one()?)?),
            "pubkeyauthentication" => fill(&mut self.public_key, one()? != "no"),
            "passwordauthentication" => fill(&mut self.password, yes(keyword, one()?)?),
            "kbdinteractiveauthentication" | "challengeresponseauthentication" => {
                fill(&mut self.keyboard, yes(keyword, one()?)?);
            }
            "preferredauthentications" => {
                let methods: Vec<&str> = one()?.split(',').collect();
                fill(&mut self.public_key, methods.contains(&"publickey"));
                fill(&mut self.password, methods.contains(&"password"));
                fill(&mut self.keyboard, methods.contains(&"keyboard-interactive"));
            }
            _ => {}
        }
        Ok(())
    }
}

fn fill<T>(place: &mut Option<T>, value: T) {
    place.get_or_insert(value);
}

fn add(list: &mut Vec<String>, value: &str) {
    if !list.iter().any(|known| known == value) {
        list.push(value.to_owned());
    }
}

fn number<T: std::str::FromStr>(keyword: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{keyword} cannot be '{text}'"))
}

fn yes(keyword: &str, text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        other => Err(format!("{keyword} is yes or no, not '{other}'")),
    }
}

/// Reads seconds, or OpenSSH's `1h30m`.
fn seconds(keyword: &str, text: &str) -> Result<u64, String> {
    let bad = || format!("{keyword} cannot be '{text}'");
    let (mut total, mut digits) = (0u64, String::new());
    for c in text.chars() {
        let unit = match c.to_ascii_lowercase() {
            '0'..='9' => {
                digits.push(c);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86400,
            'w' => 604_800,
            _ => return Err(bad()),
        };
        let count: u64 = std::mem::take(&mut digits).parse().map_err(|_| bad())?;
        total = count.checked_mul(unit).and_then(|s| total.checked_add(s)).ok_or_else(bad)?;
    }
    if !digits.is_empty() {
        let count: u64 = digits.parse().map_err(|_| bad())?;
        total = total.checked_add(count).ok_or_else(bad)?;
    } else if text.is_empty() {
        return Err(bad());
    }
    Ok(total)
}

/// Cuts the text behind a keyword into words; double quotes keep blanks, `#` begins a comment.
pub(super) fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        match chars.peek() {
            None | Some('#') => return Ok(words),
            Some(_) => {}
        }
        let (mut word, mut quote) = (String::new(), None);
        while let Some(c) = chars.next() {
            match (c, quote) {
                ('\\', _) if chars.peek().is_some_and(|next| matches!(next, '"' | '\'' | '\\')) => {
                    word.extend(chars.next());
                }
                ('"' | '\'', None) => quote = Some(c),
                (c, Some(open)) if c == open => quote = None,
                (c, None) if c.is_whitespace() => break,
                (c, _) => word.push(c),
            }
        }
        if quote.is_some() {
            return Err(format!("a quote is not closed in: {}", text.trim()));
        }
        words.push(word);
    }
}

/// Cuts `Keyword value`, `Keyword=value` and `Keyword = value`.
pub(super) fn keyword(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let rest = rest.trim_start();
    Some((keyword, rest.strip_prefix('=').unwrap_or(rest).trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_value_wins_and_identity_files_add_up() {
        let mut options = Options::default();
        for line in [
            "User a",
            "User=b",
            "IdentityFile x",
            "identityfile = y",
            "ProxyJump j",
            "ProxyCommand c",
        ] {
            let (name, rest) = keyword(line).expect("line");
            options.set(name, &words(rest).expect("words"), rest).expect("option");
        }
        assert_eq!(options.user.as_deref(), Some("a"));
        assert_eq!(options.identity_files, ["x", "y"]);
        assert_eq!(options.proxy, Some(ProxyOption::Jump("j".to_owned())));
    }

    #[test]
    fn times_have_units() {
        assert_eq!(seconds("t", "1h30m5"), Ok(5405));
        assert!(seconds("t", "x").is_err() && seconds("t", "").is_err());
    }

    #[test]
    fn quoted_words_keep_their_blanks() {
        assert_eq!(words(r#"a "b c" d\"e # f"#), Ok(vec!["a".into(), "b c".into(), "d\"e".into()]));
    }
}
