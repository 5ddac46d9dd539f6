//! How fast a base backup may go, and how long it will take.

use std::fmt;

use super::lsn::bytes_for_people;

/// A limit of bytes a second as `pg_basebackup --max-rate` takes it: kB, or `k` and `M` behind the number; 32k to 1024M.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    kilobytes: u64,
}

/// A rate that `pg_basebackup` would refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "pg_clone_rate is '{text}'; it must be a whole number with k or M behind it, from 32k to 1024M a second"
)]
pub struct RateError {
    /// What was given.
    pub text: String,
}

impl Rate {
    /// Reads a rate.
    pub fn parse(text: &str) -> Result<Self, RateError> {
        let error = || RateError { text: text.to_owned() };
        let trimmed = text.trim();
        let (number, factor) = match trimmed.char_indices().last() {
            Some((at, 'k' | 'K')) => (trimmed.get(..at), 1),
            Some((at, 'M' | 'm')) => (trimmed.get(..at), 1024),
            Some(_) | None => (Some(trimmed), 1),
        };
        let number = number.and_then(|number| number.trim().parse::<u64>().ok());
        let kilobytes = number.and_then(|number| number.checked_mul(factor)).ok_or_else(error)?;
        if (32..=1024 * 1024).contains(&kilobytes) { Ok(Self { kilobytes }) } else { Err(error()) }
    }

    /// Returns the rate in bytes a second.
    pub const fn bytes(self) -> u64 {
        self.kilobytes * 1024
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}k", self.kilobytes)
    }
}

/// Returns what a copy of this size will take at this rate, for people.
pub fn estimate(size: Option<u64>, rate: Option<Rate>) -> String {
    let Some(size) = size else { return "its size is not known".to_owned() };
    let amount = bytes_for_people(size);
    let Some(rate) = rate else {
        return format!("about {amount}, as fast as the network and the disks go");
    };
    let each = bytes_for_people(rate.bytes());
    format!("about {amount}, {} at {each} a second", time_for_people(size.div_ceil(rate.bytes())))
}

fn time_for_people(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h {} min", seconds / 3600, (seconds % 3600).div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_pg_basebackup_reads_them() {
        let bytes = |text: &str| Rate::parse(text).map(Rate::bytes).ok();
        assert_eq!(bytes("32"), Some(32 * 1024));
        assert_eq!(bytes("512k"), Some(512 * 1024));
        assert_eq!(bytes("10M"), Some(10 * 1024 * 1024));
        assert_eq!(bytes("1024M"), Some(1 << 30));
        for wrong in ["", "31k", "1025M", "10G", "-5", "1.5M", "fast"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
        assert_eq!(
            Rate::parse("10G").map_err(|error| error.to_string()),
            Err("pg_clone_rate is '10G'; it must be a whole number with k or M behind it, from 32k to 1024M a second".to_owned())
        );
    }

    #[test]
    fn estimate_says_size_rate_and_time() {
        let rate = Rate::parse("10M").ok();
        assert_eq!(estimate(None, rate), "its size is not known");
        assert!(estimate(Some(1 << 30), None).contains("as fast as the network"));
        let at_rate = |size: u64| estimate(Some(size), rate);
        assert!(at_rate(100 << 20).contains(", 10 s at "), "{}", at_rate(100 << 20));
        assert!(at_rate(6 << 30).contains(", 11 min at "), "{}", at_rate(6 << 30));
        assert!(at_rate(500 << 30).contains(", 14 h 14 min at "), "{}", at_rate(500 << 30));
    }
}
