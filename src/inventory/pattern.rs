//! Host patterns: `web:db`, `web,db`, `!off`, `&site`, globs, `~regex`, `web[0:2]`, `@file`.

use std::path::PathBuf;

use fancy_regex::Regex;
use indexmap::IndexSet;

use super::{Inventory, LOCALHOST, address};
use crate::names::{HostName, nearest};
use crate::source::Files;

/// Why a pattern could not be used.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// `@file` that cannot be read.
    #[error("unable to find limit file {path}")]
    LimitFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// `~regex` that is none.
    #[error("invalid host pattern '{pattern}': not a regular expression")]
    Regex {
        /// The pattern.
        pattern: String,
        /// Why.
        #[source]
        source: Box<fancy_regex::Error>,
    },
}

/// What a pattern matched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matched {
    /// The hosts, in the order in which the pattern names them.
    pub hosts: Vec<HostName>,
    /// Parts that match no host or group, each with the nearest name when one is near: worth a warning.
    pub missed: Vec<(String, Option<String>)>,
}

impl Inventory {
    /// Returns the hosts a pattern matches; parts that match nothing are passed over.
    pub fn matching(
        &self,
        pattern: &str,
        files: &dyn Files,
    ) -> Result<Vec<HostName>, PatternError> {
        self.matched(pattern, files).map(|matched| matched.hosts)
    }

    /// Returns the hosts a pattern matches, and its parts that match nothing. An empty pattern is all hosts.
    ///
    /// `localhost`, `127.0.0.1` and `::1` match without being in the inventory.
    pub fn matched(&self, pattern: &str, files: &dyn Files) -> Result<Matched, PatternError> {
        let mut terms = Vec::new();
        for term in split(pattern) {
            match term.strip_prefix('@') {
                None => terms.push(term),
                Some(path) => {
                    let path = PathBuf::from(path);
                    let text = files
                        .read_text(&path)
                        .map_err(|source| PatternError::LimitFile { path, source })?;
                    let lines = text.lines().map(str::trim);
                    let used = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
                    terms.extend(used.map(str::to_owned));
                }
            }
        }
        // Additions first, then what must also hold, then what must not: the order written does not matter.
        let is_sign = |term: &String, sign: char| term.starts_with(sign);
        let plain = terms.iter().filter(|t| !is_sign(t, '!') && !is_sign(t, '&'));
        let mut missed = Vec::new();
        let mut hosts: IndexSet<HostName> = IndexSet::new();
        let mut any = false;
        for term in plain {
            any = true;
            hosts.extend(self.term(term, &mut missed)?);
        }
        if !any {
            hosts = self.hosts().cloned().collect();
        }
        for term in terms.iter().filter_map(|term| term.strip_prefix('&')) {
            let kept = self.term(term, &mut missed)?;
            hosts.retain(|host| kept.contains(host));
        }
        for term in terms.iter().filter_map(|term| term.strip_prefix('!')) {
            let dropped = self.term(term, &mut missed)?;
            hosts.retain(|host| !dropped.contains(host));
        }
        Ok(Matched { hosts: hosts.into_iter().collect(), missed })
    }

    fn term(
        &self,
        term: &str,
        missed: &mut Vec<(String, Option<String>)>,
    ) -> Result<IndexSet<HostName>, PatternError> {
        let (name, subscript) = Subscript::split(term);
        let hosts = self.named(name)?;
        if hosts.is_empty() && name != "all" && name != "*" && !self.groups.contains_key(name) {
            let known = self
                .groups
                .keys()
                .map(String::as_str)
                .chain(self.hosts.keys().map(HostName::as_str));
            missed.push((name.to_owned(), nearest(name, known).map(str::to_owned)));
        }
        Ok(match subscript {
            None => hosts,
            Some(subscript) => subscript.of(&hosts),
        })
    }

    /// Groups that match, then hosts that match.
    fn named(&self, pattern: &str) -> Result<IndexSet<HostName>, PatternError> {
        let matcher = Matcher::new(pattern)?;
        let mut found: IndexSet<HostName> = IndexSet::new();
        for group in self.groups.keys().filter(|name| matcher.matches(name)) {
            found.extend(self.hosts_of(group).into_iter().cloned());
        }
        if found.is_empty() || pattern.starts_with('~') || pattern.contains(['.', '?', '*', '[']) {
            found.extend(self.hosts.keys().filter(|name| matcher.matches(name.as_str())).cloned());
        }
        if found.is_empty() && LOCALHOST.contains(&pattern) {
            // A host under another of this machine's names is meant when there is one.
            let known = self.hosts.keys().find(|name| LOCALHOST.contains(&name.as_str()));
            found.insert(known.cloned().unwrap_or_else(|| HostName::new(pattern)));
        }
        Ok(found)
    }
}

/// Parts a pattern into terms: at commas when there are any, else at colons, but not inside brackets or an address.
fn split(pattern: &str) -> Vec<String> {
    let pattern = pattern.trim();
    if pattern.contains(',') {
        return pattern
            .split(',')
            .map(str::trim)
            .filter(|term| !term.is_empty())
            .map(str::to_owned)
            .collect();
    }
    if pattern.is_empty() {
        return Vec::new();
    }
    if address::is_address(pattern) || pattern.starts_with('@') {
        return vec![pattern.to_owned()];
    }
    let mut terms = vec![String::new()];
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let close = if c == '[' { rest.find(']') } else { None };
        let length = match close {
            Some(close) => close + 1,
            None => c.len_utf8(),
        };
        let (piece, after) = rest.split_at(length);
        rest = after;
        if close.is_none() && (c == ':' || c.is_whitespace() || c == '[' || c == ']') {
            terms.push(String::new());
        } else if let Some(last) = terms.last_mut() {
            last.push_str(piece);
        }
    }
    terms.retain(|term| !term.is_empty());
    terms
}

/// `[2]`, `[-1]`, `[0:2]`, `[1:]` behind a name; both ends count.
enum Subscript {
    One(i64),
    Range(usize, Option<usize>),
}

impl Subscript {
    fn split(term: &str) -> (&str, Option<Self>) {
        let parts = || {
            if term.starts_with('~') {
                return None;
            }
            let (name, inner) = term.strip_suffix(']')?.rsplit_once('[')?;
            Some((name, Self::parse(inner)?)).filter(|(name, _)| !name.is_empty())
        };
        match parts() {
            Some((name, subscript)) => (name, Some(subscript)),
            None => (term, None),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().ok().map(Self::One);
        }
        let (from, to) = text.split_once(':').or_else(|| text.split_once('-'))?;
        let to = if to.is_empty() { None } else { Some(to.parse().ok()?) };
        Some(Self::Range(from.parse().ok()?, to))
    }

    fn of(&self, hosts: &IndexSet<HostName>) -> IndexSet<HostName> {
        match self {
            Self::One(at) => {
                let at = match usize::try_from(*at) {
                    Ok(at) => Some(at),
                    Err(_) => usize::try_from(at.unsigned_abs())
                        .ok()
                        .and_then(|back| hosts.len().checked_sub(back)),
                };
                at.and_then(|at| hosts.get_index(at)).cloned().into_iter().collect()
            }
            Self::Range(from, to) => {
                let until = to.map_or(hosts.len(), |to| to.saturating_add(1));
                hosts.iter().take(until).skip(*from).cloned().collect()
            }
        }
    }
}

enum Matcher {
    Exact(String),
    Glob(Vec<Part>),
    Regex(Box<Regex>),
}

/// One step of a glob.
enum Part {
    Any,
    One,
    Char(char),
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Matcher {
    fn new(pattern: &str) -> Result<Self, PatternError> {
        if let Some(regex) = pattern.strip_prefix('~') {
            return match Regex::new(&format!("^(?:{regex})")) {
                Ok(regex) => Ok(Self::Regex(Box::new(regex))),
                Err(source) => Err(PatternError::Regex {
                    pattern: pattern.to_owned(),
                    source: Box::new(source),
                }),
            };
        }
        Ok(match pattern {
            "all" => Self::Exact(pattern.to_owned()),
            _ if pattern.contains(['*', '?', '[']) => Self::Glob(glob(pattern)),
            _ => Self::Exact(pattern.to_owned()),
        })
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(text) => text == name,
            // A pattern that takes too many steps matches nothing.
            Self::Regex(regex) => regex.is_match(name).unwrap_or(false),
            Self::Glob(parts) => glob_matches(parts, &name.chars().collect::<Vec<_>>()),
        }
    }
}

fn glob(pattern: &str) -> Vec<Part> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(c) = chars.get(at).copied() {
        at += 1;
        match c {
            '*' => parts.push(Part::Any),
            '?' => parts.push(Part::One),
            '[' => match class(chars.get(at..).unwrap_or_default()) {
                Some((part, length)) => {
                    parts.push(part);
                    at += length;
                }
                None => parts.push(Part::Char('[')),
            },
            c => parts.push(Part::Char(c)),
        }
    }
    parts
}

/// Reads `abc-f]` or `!abc]` behind an opening bracket and says how long it was.
fn class(chars: &[char]) -> Option<(Part, usize)> {
    let negated = chars.first() == Some(&'!');
    let start = usize::from(negated);
    // A bracket that comes first is a member.
    let close = start + 1 + chars.get(start + 1..)?.iter().position(|c| *c == ']')?;
    let mut members = chars.get(start..close)?;
    let mut ranges = Vec::new();
    while let Some((first, rest)) = members.split_first() {
        if let [dash, last, after @ ..] = rest
            && *dash == '-'
        {
            ranges.push((*first, *last));
            members = after;
        } else {
            ranges.push((*first, *first));
            members = rest;
        }
    }
    Some((Part::Class { negated, ranges }, close + 1))
}

/// Matches with one place to come back to: the last star.
fn glob_matches(parts: &[Part], name: &[char]) -> bool {
    let (mut part, mut at) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        let fits = match (parts.get(part), name.get(at)) {
            (None, None) => return true,
            (Some(Part::Any), _) => {
                star = Some((part, at));
                part += 1;
                continue;
            }
            (Some(Part::One), Some(_)) => true,
            (Some(Part::Char(wanted)), Some(c)) => wanted == c,
            (Some(Part::Class { negated, ranges }), Some(c)) => {
                ranges.iter().any(|(low, high)| low <= c && c <= high) != *negated
            }
            (None, Some(_)) | (Some(_), None) => false,
        };
        if fits {
            part += 1;
            at += 1;
            continue;
        }
        match star {
            Some((back, from)) if from < name.len() => {
                star = Some((back, from + 1));
                part = back + 1;
                at = from + 1;
            }
            Some(_) | None => return false,
        }
    }
}
