//! WAL positions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A position in the write-ahead log, in bytes from its beginning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Lsn(pub u64);

/// Text that is not a WAL position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a WAL position (like 0/3000148)")]
pub struct LsnError {
    /// What was read.
    pub text: String,
}

impl Lsn {
    /// Returns how many bytes this position is ahead of another; nothing when it is not.
    pub fn ahead_of(self, other: Self) -> u64 {
        self.0.saturating_sub(other.0)
    }
}

/// Bytes in a WAL segment where nobody chose another size.
pub const SEGMENT_BYTES: u64 = 16 << 20;

impl Lsn {
    /// Returns the first position of a WAL segment from its file's name: with its timeline (24 digits) or without (16).
    pub fn of_segment(name: &str, segment_bytes: u64) -> Option<Self> {
        let digits = name.get(name.len().checked_sub(16)?..)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let high = u64::from_str_radix(&digits[..8], 16).ok()?;
        let number = u64::from_str_radix(&digits[8..], 16).ok()?;
        Some(Self((high << 32).checked_add(number.checked_mul(segment_bytes)?)?))
    }

    /// Returns the digits of the name of the segment that holds this position, without its timeline.
    pub fn segment_digits(self, segment_bytes: u64) -> String {
        format!("{:08X}{:08X}", self.0 >> 32, (self.0 & 0xFFFF_FFFF) / segment_bytes.max(1))
    }
}

impl FromStr for Lsn {
    type Err = LsnError;

    fn from_str(text: &str) -> Result<Self, LsnError> {
        let bad = || LsnError { text: text.to_owned() };
        let (high, low) = text.trim().split_once('/').ok_or_else(bad)?;
        let part = |part: &str| {
            let hex = !part.is_empty() && part.bytes().all(|b| b.is_ascii_hexdigit());
            hex.then(|| u32::from_str_radix(part, 16).ok()).flatten()
        };
        let high = part(high).ok_or_else(bad)?;
        let low = part(low).ok_or_else(bad)?;
        Ok(Self(u64::from(high) << 32 | u64::from(low)))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl fmt::Debug for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Lsn {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lsn {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Returns a number of bytes in the unit people read it in.
pub fn bytes_for_people(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")];
    for (size, unit) in UNITS {
        if bytes >= size {
            let whole = bytes / size;
            let tenth = bytes % size * 10 / size;
            return format!("{whole}.{tenth} {unit}");
        }
    }
    format!("{bytes} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_is_read_and_shown_as_the_server_does() {
        for text in ["0/0", "0/3000148", "16/B374D848", "FFFFFFFF/FFFFFFFF"] {
            assert_eq!(text.parse::<Lsn>().map(|lsn| lsn.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn position_that_is_none_is_refused() {
        for text in ["", "0", "0/", "/0", "0/+1", "g/0", "0/123456789", "1/2/3"] {
            assert!(text.parse::<Lsn>().is_err(), "{text}");
        }
    }

    #[test]
    fn positions_are_compared_by_value_not_by_text() {
        let (near, far): (Lsn, Lsn) = (Lsn(0x9_0000_0000), Lsn(0x10_0000_0000));
        assert!(near < far);
        assert_eq!(far.ahead_of(near), 0x7_0000_0000);
        assert_eq!(near.ahead_of(far), 0);
    }

    #[test]
    fn bytes_are_shown_in_the_unit_people_read() {
        assert_eq!(bytes_for_people(312), "312 bytes");
        assert_eq!(bytes_for_people(1536), "1.5 kB");
        assert_eq!(bytes_for_people(16 * 1024 * 1024), "16.0 MB");
    }
}
