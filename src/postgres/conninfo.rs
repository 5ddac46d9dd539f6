//! Connection strings of libpq (`host=… port=…`), written and read, and the passfile.

use std::fmt::Write as _;

/// A connection string under construction: keywords in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConnInfo {
    words: Vec<(String, String)>,
}

/// A connection string that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection string cannot be read at byte {at}")]
pub struct ConnInfoError {
    /// Offset of the first byte that does not fit.
    pub at: usize,
}

impl ConnInfo {
    /// Adds a keyword.
    #[must_use]
    pub fn with(mut self, keyword: &str, value: impl Into<String>) -> Self {
        self.words.push((keyword.to_owned(), value.into()));
        self
    }

    /// Returns a keyword's value; the last one counts, as for libpq.
    pub fn get(&self, keyword: &str) -> Option<&str> {
        self.words.iter().rev().find(|(name, _)| name == keyword).map(|(_, value)| value.as_str())
    }

    /// Reads `key = value` pairs with libpq's quoting; URIs are not read.
    pub fn parse(text: &str) -> Result<Self, ConnInfoError> {
        let mut words = Vec::new();
        let mut chars = text.char_indices().peekable();
        loop {
            while chars.next_if(|(_, c)| c.is_whitespace()).is_some() {}
            let Some(&(start, _)) = chars.peek() else { return Ok(Self { words }) };
            let mut keyword = String::new();
            while let Some((_, c)) = chars.next_if(|(_, c)| *c != '=' && !c.is_whitespace()) {
                keyword.push(c);
            }
            while chars.next_if(|(_, c)| c.is_whitespace()).is_some() {}
            if keyword.is_empty() || chars.next_if(|(_, c)| *c == '=').is_none() {
                return Err(ConnInfoError { at: start });
            }
            while chars.next_if(|(_, c)| c.is_whitespace()).is_some() {}
            let quoted = chars.next_if(|(_, c)| *c == '\'').is_some();
            let mut value = String::new();
            let mut closed = !quoted;
            while let Some((_, c)) = chars.next_if(|(_, c)| quoted || !c.is_whitespace()) {
                match c {
                    '\\' => value.extend(chars.next().map(|(_, c)| c)),
                    '\'' if quoted => {
                        closed = true;
                        break;
                    }
                    c => value.push(c),
                }
            }
            if !closed {
                return Err(ConnInfoError { at: text.len() });
            }
            words.push((keyword, value));
        }
    }
}

impl std::fmt::Display for ConnInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, (keyword, value)) in self.words.iter().enumerate() {
            if at > 0 {
                f.write_char(' ')?;
            }
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,@".contains(c);
            if !value.is_empty() && value.chars().all(plain) {
                write!(f, "{keyword}={value}")?;
            } else {
                let value = value.replace('\\', "\\\\").replace('\'', "\\'");
                write!(f, "{keyword}='{value}'")?;
            }
        }
        Ok(())
    }
}

/// Returns a passfile's line for any host and database.
pub fn passfile_line(role: &str, password: &str) -> String {
    let escape = |text: &str| text.replace('\\', "\\\\").replace(':', "\\:");
    format!("*:*:*:{}:{}\n", escape(role), escape(password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_only_when_they_must_be() {
        let info = ConnInfo::default()
            .with("host", "10.77.0.11")
            .with("application_name", "db 2")
            .with("options", "")
            .with("password", r"it's\x");
        assert_eq!(
            info.to_string(),
            r"host=10.77.0.11 application_name='db 2' options='' password='it\'s\\x'"
        );
    }

    #[test]
    fn what_was_written_is_read_back() {
        let info =
            ConnInfo::default().with("host", "fe80::1").with("password", r"a' \b").with("x", "");
        assert_eq!(ConnInfo::parse(&info.to_string()), Ok(info));
    }

    #[test]
    fn strings_written_by_hand_are_read() {
        // As pg_stat_wal_receiver and the README's recovery.conf have them.
        let info =
            ConnInfo::parse("user=replicator  host = db1 port='5432' sslmode=prefer").unwrap();
        assert_eq!((info.get("host"), info.get("port")), (Some("db1"), Some("5432")));
        assert_eq!(info.get("password"), None);
    }

    #[test]
    fn broken_string_is_an_error_with_its_place() {
        assert_eq!(ConnInfo::parse("host"), Err(ConnInfoError { at: 0 }));
        assert_eq!(ConnInfo::parse("host=a =b"), Err(ConnInfoError { at: 7 }));
        assert_eq!(ConnInfo::parse("host='a"), Err(ConnInfoError { at: 7 }));
    }

    #[test]
    fn passfile_escapes_what_separates_its_fields() {
        assert_eq!(passfile_line("replicator", r"a:b\c"), "*:*:*:replicator:a\\:b\\\\c\n");
    }
}
