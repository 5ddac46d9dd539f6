//! Timelines: each promotion begins one, and a history file says where it left its parent.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::lsn::Lsn;

/// A timeline's number; the first one is 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TimelineId(pub u32);

impl fmt::Display for TimelineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The history of a timeline: the ones before it, each with the position where it was left.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct History {
    left: Vec<(TimelineId, Lsn)>,
}

/// A line of a history file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the timeline history cannot be read: '{text}'")]
pub struct HistoryError {
    /// Counted from 1.
    pub line: usize,
    /// The line.
    pub text: String,
}

impl History {
    /// Reads `0000000N.history`: `parent TAB position TAB reason` a line, `#` comments.
    pub fn parse(text: &str) -> Result<Self, HistoryError> {
        let mut left = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let plain = line.split('#').next().unwrap_or_default();
            let mut words = plain.split_whitespace();
            let Some(timeline) = words.next() else { continue };
            let bad = || HistoryError { line: at + 1, text: line.to_owned() };
            let timeline = timeline.parse().map(TimelineId).map_err(|_| bad())?;
            let lsn = words.next().and_then(|word| word.parse().ok()).ok_or_else(bad)?;
            left.push((timeline, lsn));
        }
        Ok(Self { left })
    }

    /// Returns where this history left a timeline; `None` when that timeline is not in it.
    pub fn left_at(&self, timeline: TimelineId) -> Option<Lsn> {
        self.left.iter().find(|(id, _)| *id == timeline).map(|(_, lsn)| *lsn)
    }

    /// Returns the timelines before this one, oldest first, each with the position where it was left.
    pub fn left(&self) -> &[(TimelineId, Lsn)] {
        &self.left
    }

    /// Returns the last timeline that two histories share, and up to where they share it; nothing when they share none.
    ///
    /// A history does not name its own timeline: `own` and `other_own` are those that the two are of.
    pub fn parts_from(
        &self,
        own: TimelineId,
        other: &Self,
        other_own: TimelineId,
    ) -> Option<(TimelineId, Lsn)> {
        let end = Lsn(u64::MAX);
        let ours = self.left.iter().copied().chain([(own, end)]);
        let theirs = other.left.iter().copied().chain([(other_own, end)]);
        let mut shared = None;
        for ((own, left), (other, other_left)) in ours.zip(theirs) {
            if own != other {
                break;
            }
            shared = Some((own, left.min(other_left)));
            if left != other_left {
                break;
            }
        }
        shared.filter(|(_, lsn)| *lsn != end)
    }

    /// Tells whether a node that is at `lsn` of `timeline` can follow a primary on `current` with this history: it may not
    /// hold anything that the primary's history does not.
    pub fn can_be_followed_by(&self, current: TimelineId, timeline: TimelineId, lsn: Lsn) -> bool {
        timeline == current || self.left_at(timeline).is_some_and(|left| lsn <= left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // pg_wal/00000003.history of PostgreSQL 17 after two promotions.
    const FILE: &str = "1\t0/3000148\tno recovery target specified\n\n2\t0/5000060\tno recovery target specified\n";

    #[test]
    fn history_file_says_where_each_timeline_was_left() {
        let history = History::parse(FILE).unwrap();
        assert_eq!(history.left_at(TimelineId(1)), Some(Lsn(0x300_0148)));
        assert_eq!(history.left_at(TimelineId(2)), Some(Lsn(0x500_0060)));
        assert_eq!(history.left_at(TimelineId(3)), None);
    }

    #[test]
    fn node_that_went_on_after_the_fork_cannot_follow() {
        let history = History::parse(FILE).unwrap();
        let follows = |timeline, lsn| {
            history.can_be_followed_by(TimelineId(3), TimelineId(timeline), Lsn(lsn))
        };
        assert!(follows(2, 0x500_0060));
        assert!(!follows(2, 0x500_0061));
        assert!(follows(3, 0x900_0000));
        assert!(!follows(4, 0x100_0000));
    }

    #[test]
    fn two_histories_part_where_the_first_of_them_left() {
        let parts = |ours: &str, own, theirs: &str, other| {
            let (ours, theirs) = (History::parse(ours).unwrap(), History::parse(theirs).unwrap());
            ours.parts_from(TimelineId(own), &theirs, TimelineId(other))
        };
        assert_eq!(parts("", 1, FILE, 3), Some((TimelineId(1), Lsn(0x300_0148))));
        assert_eq!(parts("1\t0/2000000\n", 4, FILE, 3), Some((TimelineId(1), Lsn(0x200_0000))));
        let (ours, at) = ("1\t0/3000148\n2\t0/6000000\n", Lsn(0x500_0060));
        assert_eq!(parts(ours, 4, FILE, 3), Some((TimelineId(2), at)));
        assert_eq!(parts(FILE, 3, FILE, 3), None);
        assert_eq!(parts("", 9, FILE, 3), None);
    }

    #[test]
    fn line_that_is_none_is_named() {
        let error = History::parse("1\t0/3000148\tx\nbanana\n");
        assert_eq!(error, Err(HistoryError { line: 2, text: "banana".to_owned() }));
    }
}
