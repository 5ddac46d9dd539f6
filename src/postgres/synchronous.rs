//! Synchronous replication: what was asked for, what a primary really waits for, and what that means for loss now.

use serde::{Deserialize, Serialize};

use super::lsn::bytes_for_people;
use super::observation::{Observation, Role};
use super::view::View;

/// `pg_synchronous`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A commit waits for nobody.
    #[default]
    Off,
    /// A commit waits for every standby that follows the primary.
    On,
    /// A commit waits for any one of them.
    Quorum,
}

impl Mode {
    /// Reads the variable's value; `yes`, `no`, `true` and `false` are understood.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "off" | "no" | "false" => Some(Self::Off),
            "on" | "yes" | "true" => Some(Self::On),
            "quorum" => Some(Self::Quorum),
            _ => None,
        }
    }

    /// Returns the word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Quorum => "quorum",
        }
    }
}

/// `synchronous_standby_names`, read.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Wait {
    /// How many standbys a commit waits for.
    pub needed: usize,
    /// Any of the names count the same; otherwise the first ones that stream.
    pub any: bool,
    /// The names, `*` for all.
    pub names: Vec<String>,
}

impl Wait {
    /// Reads the setting in the form of any version; `None` when commits wait for nobody.
    pub fn parse(setting: &str) -> Option<Self> {
        let setting = setting.trim();
        let (head, list) = match setting.split_once('(') {
            Some((head, rest)) => (head.trim(), rest.trim_end().trim_end_matches(')')),
            None => ("", setting),
        };
        let names: Vec<String> = list
            .split(',')
            .map(|name| name.trim().trim_matches('"').replace("\"\"", "\""))
            .filter(|name| !name.is_empty())
            .collect();
        if names.is_empty() {
            return None;
        }
        let mut words = head.split_whitespace();
        let first = words.next().unwrap_or("1");
        let (any, number) = match first.to_ascii_uppercase().as_str() {
            "ANY" => (true, words.next().unwrap_or("1")),
            "FIRST" => (false, words.next().unwrap_or("1")),
            _ => (false, first),
        };
        Some(Self { needed: number.parse().unwrap_or(1), any, names })
    }

    fn people(&self) -> String {
        let list = and(&self.names);
        if self.names.len() <= self.needed {
            list
        } else if self.any {
            format!("{} of {list}", number(self.needed))
        } else {
            format!("the first {} of {list}", number(self.needed))
        }
    }
}

/// What synchronous replication means on a cluster as it was seen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Protection {
    /// What the inventory asks for.
    pub wanted: Mode,
    /// What the primary waits for; nothing when commits wait for nobody.
    pub waits_for: Option<Wait>,
    /// Standbys that confirm commits now.
    pub confirming: Vec<String>,
    /// There are not enough of them: every commit waits.
    pub writes_wait: bool,
    /// Clients that wait for a standby at this moment.
    pub waiting: u64,
    /// Whether losing one more standby stops writes.
    pub lost_standby_stops_writes: bool,
    /// What a failover now may lose.
    pub loss: PossibleLoss,
}

/// What a failover now may lose of what was acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "loss", rename_all = "snake_case")]
pub enum PossibleLoss {
    /// Nothing.
    Nothing,
    /// At most this much WAL.
    AtMost {
        /// Bytes.
        bytes: u64,
    },
    /// Everything since a standby last received something; how much is not known.
    Unbounded,
    /// No primary was seen: it cannot be told.
    Unknown,
}

impl Protection {
    /// Tells what synchronous replication means now.
    pub fn of(view: &View) -> Self {
        let wanted = view.synchronous;
        let Some((_, primary)) = view.sole_primary() else {
            return Self {
                wanted,
                waits_for: None,
                confirming: Vec::new(),
                writes_wait: false,
                waiting: 0,
                lost_standby_stops_writes: false,
                loss: PossibleLoss::Unknown,
            };
        };
        let waits_for =
            if waits_at_all(primary) { Wait::parse(&primary.synchronous) } else { None };
        let confirming: Vec<String> = primary
            .followers
            .iter()
            .filter(|row| row.confirms())
            .map(|row| row.name.clone())
            .collect();
        let able = primary
            .followers
            .iter()
            .filter(|row| row.state == "streaming" && row.sync_state != "async")
            .count();
        let needed = waits_for.as_ref().map_or(0, |wait| wait.needed);
        let writes_wait = needed > confirming.len();
        let loss = match &waits_for {
            // What waits was not acknowledged.
            Some(_) => PossibleLoss::Nothing,
            None => behind(view, primary),
        };
        Self {
            wanted,
            writes_wait,
            waiting: primary.load.waiting_for_standby,
            lost_standby_stops_writes: waits_for.is_some() && able <= needed,
            waits_for,
            confirming,
            loss,
        }
    }

    /// Says it as a sentence.
    pub fn sentence(&self) -> String {
        let loss = match self.loss {
            PossibleLoss::Unknown => {
                return "no primary was seen: what a failover would lose cannot be told from here"
                    .to_owned();
            }
            PossibleLoss::Unbounded => {
                "no standby streams: a failover now may lose everything since one last did"
                    .to_owned()
            }
            PossibleLoss::AtMost { bytes: 0 } => {
                "a failover now would lose nothing, one later what is committed until then"
                    .to_owned()
            }
            PossibleLoss::AtMost { bytes } => {
                format!("a failover now may lose at most {} of WAL", bytes_for_people(bytes))
            }
            PossibleLoss::Nothing => match &self.waits_for {
                Some(wait) if wait.needed < wait.names.len() => {
                    "a failover that sees all of them loses nothing acknowledged".to_owned()
                }
                Some(_) | None => "a failover now loses nothing acknowledged".to_owned(),
            },
        };
        let stops = if self.lost_standby_stops_writes { "yes" } else { "no" };
        match &self.waits_for {
            None => format!("commits wait for no standby: {loss}; a lost standby stops writes: no"),
            Some(wait) if self.writes_wait => {
                let streams = if self.confirming.is_empty() {
                    "none streams".to_owned()
                } else {
                    format!("only {} streams", and(&self.confirming))
                };
                format!(
                    "WRITES WAIT: every commit waits for {}, and {streams} ({} waiting now); {loss}",
                    wait.people(),
                    self.waiting
                )
            }
            Some(wait) => {
                format!(
                    "every commit waits for {}: {loss}; a lost standby stops writes: {stops}",
                    wait.people()
                )
            }
        }
    }
}

/// With `local` and `off` a commit does not wait for a standby, whatever is named.
fn waits_at_all(primary: &Observation) -> bool {
    !matches!(primary.synchronous_commit.as_str(), "off" | "local")
}

/// How far the best standby is behind, by the primary's own books where a standby is in them.
fn behind(view: &View, primary: &Observation) -> PossibleLoss {
    let end = primary.flushed.or(primary.lsn);
    let booked = primary
        .followers
        .iter()
        .filter(|row| row.state == "streaming")
        .filter_map(|row| row.flushed)
        .max();
    let told = || {
        view.in_role(Role::Standby)
            .filter(|(_, seen)| seen.timeline == primary.timeline)
            .filter_map(|(_, seen)| seen.lsn)
            .max()
    };
    match (end, booked.or_else(told)) {
        (Some(end), Some(have)) => PossibleLoss::AtMost { bytes: end.ahead_of(have) },
        _ => PossibleLoss::Unbounded,
    }
}

fn and(names: &[String]) -> String {
    match names {
        [] => "nobody".to_owned(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

fn number(count: usize) -> String {
    match count {
        1 => "one".to_owned(),
        2 => "two".to_owned(),
        more => more.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_is_read_in_the_form_of_each_version() {
        let read = |text: &str| {
            Wait::parse(text).map_or_else(
                || "nobody".to_owned(),
                |wait| {
                    format!(
                        "{}{} {}",
                        if wait.any { "any " } else { "" },
                        wait.needed,
                        wait.names.join("+")
                    )
                },
            )
        };
        for (setting, told) in [
            ("", "nobody"),
            ("  ", "nobody"),
            ("h2", "1 h2"),
            (r#""h2", "h3""#, "1 h2+h3"),
            (r#"1 ("h2", "h3")"#, "1 h2+h3"),
            ("FIRST 2 (h2, h3)", "2 h2+h3"),
            (r#"ANY 1 ("h-2", h3)"#, "any 1 h-2+h3"),
            ("any 2 (*)", "any 2 *"),
            (r#"2("a""b", c)"#, r#"2 a"b+c"#),
        ] {
            assert_eq!(read(setting), told, "{setting}");
        }
    }

    #[test]
    fn mode_is_read_as_yaml_and_people_write_it() {
        for (text, mode) in [
            ("on", Some(Mode::On)),
            ("true", Some(Mode::On)),
            ("Yes", Some(Mode::On)),
            ("off", Some(Mode::Off)),
            ("False", Some(Mode::Off)),
            ("no", Some(Mode::Off)),
            ("quorum", Some(Mode::Quorum)),
            ("any", None),
            ("1", None),
        ] {
            assert_eq!(Mode::parse(text), mode, "{text}");
        }
    }
}
