//! How far behind a standby may be, in bytes and in seconds.

/// Both thresholds.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Limits {
    pub(super) warn: Limit,
    pub(super) critical: Limit,
}

/// One threshold; what is not given does not count.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Limit {
    pub(super) bytes: Option<u64>,
    pub(super) seconds: Option<u64>,
}

impl Limits {
    /// Reads `64MB,60s` for each.
    pub(super) fn parse(warn: &[String], critical: &[String]) -> Result<Self, String> {
        Ok(Self {
            warn: Limit::parse("--warn-lag", warn)?,
            critical: Limit::parse("--critical-lag", critical)?,
        })
    }
}

impl Limit {
    fn parse(flag: &str, words: &[String]) -> Result<Self, String> {
        let mut limit = Self::default();
        for word in words.iter().map(|word| word.trim()) {
            let at = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
            let (number, unit) = word.split_at(at);
            let wrong = || {
                format!("{flag} '{word}' is neither bytes (64MB; B, kB, MB, GB) nor seconds (60s)")
            };
            let number: u64 = number.parse().map_err(|_| wrong())?;
            let bytes = |shift: u32| number.checked_mul(1 << shift).ok_or_else(wrong);
            match unit.trim().to_ascii_lowercase().as_str() {
                "s" => limit.seconds = Some(number),
                "min" => limit.seconds = Some(number.checked_mul(60).ok_or_else(wrong)?),
                "" | "b" => limit.bytes = Some(number),
                "k" | "kb" | "kib" => limit.bytes = Some(bytes(10)?),
                "m" | "mb" | "mib" => limit.bytes = Some(bytes(20)?),
                "g" | "gb" | "gib" => limit.bytes = Some(bytes(30)?),
                _ => return Err(wrong()),
            }
        }
        Ok(limit)
    }

    /// Tells whether a standby is at or beyond it.
    pub(super) fn reached(self, bytes: Option<u64>, seconds: Option<f64>) -> bool {
        let far = matches!((self.bytes, bytes), (Some(limit), Some(bytes)) if bytes >= limit);
        #[expect(clippy::cast_precision_loss, reason = "a limit of seconds")]
        let late = matches!((self.seconds, seconds), (Some(limit), Some(seconds)) if seconds >= limit as f64);
        far || late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Limit, String> {
        let words: Vec<String> = text.split(',').map(str::to_owned).collect();
        Limit::parse("--warn-lag", &words)
    }

    #[test]
    fn limits_are_bytes_seconds_or_both() {
        let limit = |bytes, seconds| Ok(Limit { bytes, seconds });
        for (text, told) in [
            ("64MB,60s", limit(Some(64 << 20), Some(60))),
            ("1GB", limit(Some(1 << 30), None)),
            ("512", limit(Some(512), None)),
            ("10kB", limit(Some(10_240), None)),
            ("5min", limit(None, Some(300))),
        ] {
            assert_eq!(of(text), told, "{text}");
        }
        assert_eq!(
            of("64 apples"),
            Err("--warn-lag '64 apples' is neither bytes (64MB; B, kB, MB, GB) nor seconds (60s)"
                .to_owned())
        );
    }

    #[test]
    fn limit_is_reached_by_either_measure_and_not_by_what_is_not_known() {
        let limit = Limit { bytes: Some(100), seconds: Some(10) };
        assert!(limit.reached(Some(100), None));
        assert!(limit.reached(Some(0), Some(10.5)));
        assert!(!limit.reached(None, None));
        assert!(!Limit::default().reached(Some(u64::MAX), Some(1e9)));
    }
}
