//! Whether `pg_rewind` can bring a node back: where its history left the primary's, and everything that stands in the way.
//!
//! Source: the manual's page of `pg_rewind` (prerequisites, notes), and what the practice ward showed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::postgres::dialect::Dialect;
use crate::postgres::lsn::Lsn;
use crate::postgres::observation::Observation;
use crate::postgres::timeline::{History, TimelineId};
use crate::postgres::version::{Major, ServerVersion};

/// How a node that went its own way shall be brought back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Rewound where that can work, copied anew otherwise.
    #[default]
    Auto,
    /// Rewound, or refused.
    Rewind,
    /// Copied anew.
    Clone,
}

/// A part of a node's WAL: one timeline, from a position to another or to its end.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stretch {
    /// Timeline.
    pub timeline: TimelineId,
    /// First position.
    pub from: Lsn,
    /// Where the node left that timeline; nothing on its own.
    pub to: Option<Lsn>,
}

/// Where a node's history leaves the primary's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fork {
    /// The last timeline that both have.
    pub timeline: TimelineId,
    /// Up to here they have the same.
    pub lsn: Lsn,
    /// What only the node has, in order.
    pub stretches: Vec<Stretch>,
}

/// Something that stands in the way of a rewind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Obstacle {
    NotInMajor(Major),
    OtherMajor { own: String, primary: Major },
    NoProgram,
    ImageNotAsked,
    NoHints,
    HintsUnknown,
    FullPageWritesOff,
    NoFork,
    WalGone { from: Lsn, fork: Lsn },
    WalUnknown,
    Interrupted,
    Damaged,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInMajor(major) => write!(f, "PostgreSQL {major} comes without pg_rewind"),
            Self::OtherMajor { own, primary } => {
                write!(f, "its data is of PostgreSQL {own}, the primary's of {primary}")
            }
            Self::NoProgram => f.write_str("its image has no pg_rewind"),
            Self::ImageNotAsked => f.write_str("whether its image has pg_rewind is not known"),
            Self::NoHints => f.write_str("neither wal_log_hints nor data checksums are on"),
            Self::HintsUnknown => {
                f.write_str("whether wal_log_hints or data checksums are on is not known")
            }
            Self::FullPageWritesOff => f.write_str("full_page_writes is off on the primary"),
            Self::NoFork => f.write_str("where it left the primary's history is not known"),
            Self::WalGone { from, fork } => write!(
                f,
                "its WAL back to where it left the primary's history ({fork}) is gone: the oldest is from {from}"
            ),
            Self::WalUnknown => f.write_str("which WAL it still has is not known"),
            Self::Interrupted => {
                f.write_str("a rewind of it was begun and did not end, and cannot be begun again")
            }
            Self::Damaged => f.write_str("its control file is damaged"),
        }
    }
}

/// Returns everything that stands in the way of rewinding a node to what the primary holds.
pub(super) fn obstacles(
    seen: &Observation,
    primary: &Observation,
    fork: Option<&Fork>,
) -> Vec<Obstacle> {
    let mut out = Vec::new();
    let facts = &seen.rewind;
    if let Some(major) = primary.version_num.map(|number| ServerVersion(number).major()) {
        if Dialect::of(major).is_ok_and(|dialect| !dialect.rewind) {
            out.push(Obstacle::NotInMajor(major));
        }
        if let Some(own) = seen.major.as_deref().map(str::trim)
            && own != major.to_string()
        {
            out.push(Obstacle::OtherMajor { own: own.to_owned(), primary: major });
        }
    }
    match &facts.programs {
        Some(programs) if programs.iter().any(|program| program == "pg_rewind") => {}
        Some(_) => out.push(Obstacle::NoProgram),
        None => out.push(Obstacle::ImageNotAsked),
    }
    match (facts.wal_log_hints, facts.checksums) {
        (Some(true), _) | (_, Some(true)) => {}
        (Some(false), Some(false)) => out.push(Obstacle::NoHints),
        (None, _) | (_, None) => out.push(Obstacle::HintsUnknown),
    }
    if primary.rewind.full_page_writes == Some(false) {
        out.push(Obstacle::FullPageWritesOff);
    }
    match (fork, facts.wal_from) {
        (None, _) => out.push(Obstacle::NoFork),
        (Some(fork), Some(from)) if from > fork.lsn => {
            out.push(Obstacle::WalGone { from, fork: fork.lsn });
        }
        (Some(_), Some(_)) => {}
        (Some(_), None) => out.push(Obstacle::WalUnknown),
    }
    if facts.interrupted {
        out.push(Obstacle::Interrupted);
    }
    if facts.damaged {
        out.push(Obstacle::Damaged);
    }
    out
}

/// Returns where a node's history leaves the primary's; nothing when that is not known, or when it does not leave it.
pub(super) fn fork(seen: &Observation, primary: &Observation) -> Option<Fork> {
    let (own, current) = (seen.timeline?, primary.timeline?);
    let theirs = History::parse(primary.history.as_deref().unwrap_or_default()).ok()?;
    if let Some(lsn) = theirs.left_at(own) {
        // What it has of timelines before this one, the primary has too: a timeline has one past.
        let stretches = vec![Stretch { timeline: own, from: lsn, to: None }];
        return Some(Fork { timeline: own, lsn, stretches });
    }
    if own == current {
        return None;
    }
    let ours = own_history(seen, own)?;
    let (timeline, lsn) = ours.parts_from(own, &theirs, current)?;
    let mut stretches = Vec::new();
    let mut from = lsn;
    for (id, to) in ours.left().iter().skip_while(|(id, _)| *id != timeline) {
        stretches.push(Stretch { timeline: *id, from, to: Some(*to) });
        from = *to;
    }
    stretches.push(Stretch { timeline: own, from, to: None });
    Some(Fork { timeline, lsn, stretches })
}

/// Returns the history of the node's own timeline. A stopped node's comes with its number in front, and may be of another one.
fn own_history(seen: &Observation, own: TimelineId) -> Option<History> {
    let Some(text) = seen.history.as_deref() else {
        return (own == TimelineId(1)).then(History::default);
    };
    let number = text.strip_prefix("# ").and_then(|rest| rest.lines().next());
    if let Some(number) = number
        && number.trim() != own.to_string()
    {
        return (own == TimelineId(1)).then(History::default);
    }
    History::parse(text).ok()
}
