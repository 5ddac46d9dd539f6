//! Versions: a major (9.4 … 9.6, 10 …) and a server's full version number.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A major version: `9.4` is one, `17` is one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Major(u16);

/// Text that is not a PostgreSQL version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a PostgreSQL version")]
pub struct VersionError {
    /// What was read.
    pub text: String,
}

impl Major {
    /// Makes a major from its two numbers; the second one counts before 10 only.
    pub const fn new(first: u16, second: u16) -> Self {
        Self(if first >= 10 { first * 100 } else { first * 100 + second })
    }

    /// Reads `9.6`, `17`, `17.11` or what `PG_VERSION` and `postgres --version` hold.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        let bad = || VersionError { text: text.trim().to_owned() };
        let number = text
            .split_whitespace()
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
            .ok_or_else(bad)?;
        let mut parts = number.split(|c: char| !c.is_ascii_digit());
        let mut next = || parts.next().and_then(|part| part.parse::<u16>().ok());
        let first = next().filter(|first| (8..=99).contains(first)).ok_or_else(bad)?;
        let second = next();
        if first >= 10 {
            return Ok(Self::new(first, 0));
        }
        second.filter(|second| *second < 10).map(|second| Self::new(first, second)).ok_or_else(bad)
    }
}

impl fmt::Display for Major {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= 1000 {
            write!(f, "{}", self.0 / 100)
        } else {
            write!(f, "{}.{}", self.0 / 100, self.0 % 100)
        }
    }
}

impl fmt::Debug for Major {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Major({self})")
    }
}

/// `server_version_num`: 90426, 170011.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServerVersion(pub u32);

impl ServerVersion {
    /// Returns its major.
    pub fn major(self) -> Major {
        let first = u16::try_from(self.0 / 10_000).unwrap_or(u16::MAX / 100);
        let second = u16::try_from(self.0 / 100 % 100).unwrap_or(0);
        Major::new(first, second)
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= 100_000 {
            write!(f, "{}.{}", self.0 / 10_000, self.0 % 10_000)
        } else {
            write!(f, "{}.{}.{}", self.0 / 10_000, self.0 / 100 % 100, self.0 % 100)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn majors_are_read_from_every_form_they_come_in() {
        let read = |text| Major::parse(text).map(|major| major.to_string());
        for (text, major) in [
            ("9.4", "9.4"),
            ("9.6.24\n", "9.6"),
            ("17", "17"),
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "15"),
            ("18beta1", "18"),
        ] {
            assert_eq!(read(text), Ok(major.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_version_is_refused_with_its_text() {
        for text in ["", "latest", "9", "7.4", "9.x"] {
            assert_eq!(Major::parse(text), Err(VersionError { text: text.to_owned() }));
        }
    }

    #[test]
    fn majors_are_ordered_as_they_were_released() {
        assert!(Major::new(9, 6) < Major::new(10, 0));
        assert!(Major::new(9, 4) < Major::new(9, 5));
    }

    #[test]
    fn server_numbers_show_as_people_write_them() {
        assert_eq!(ServerVersion(90_426).to_string(), "9.4.26");
        assert_eq!(ServerVersion(170_011).to_string(), "17.11");
        assert_eq!(ServerVersion(90_624).major(), Major::new(9, 6));
        assert_eq!(ServerVersion(110_013).major(), Major::new(11, 0));
    }
}
