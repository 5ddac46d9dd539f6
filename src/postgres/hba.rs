//! Addresses for pg_hba.conf: who may connect is a list of peers, never a range that nobody thought about.

use std::net::IpAddr;

/// Returns the address column for one peer: an IP address gets its full mask, a name stays as it is (the server resolves it
/// both ways).
pub fn address(peer: &str) -> String {
    match peer.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => format!("{peer}/32"),
        Ok(IpAddr::V6(_)) => format!("{peer}/128"),
        Err(_) => peer.to_owned(),
    }
}

/// Why a line of a pg_hba block is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HbaError {
    /// Anyone could take a copy.
    #[error("pg_hba line {line} lets anyone in without a password: '{text}'")]
    Trust {
        /// Counted from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// Replication from anywhere.
    #[error("pg_hba line {line} allows replication from any address: '{text}'")]
    Anywhere {
        /// Counted from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// Not a line of pg_hba.conf.
    #[error("pg_hba line {line} is not one: '{text}'")]
    Form {
        /// Counted from 1.
        line: usize,
        /// The line.
        text: String,
    },
}

/// Checks a block before it goes to a host: no `trust` over the network, no replication from everywhere.
pub fn check(block: &str) -> Result<(), HbaError> {
    for (at, text) in block.lines().enumerate() {
        let (line, text) = (at + 1, text.trim());
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        let named = |text: &str| text.to_owned();
        match words.as_slice() {
            ["local", _, _, _, ..] => {}
            ["host" | "hostssl" | "hostnossl", database, _, address, method, ..] => {
                if *method == "trust" {
                    return Err(HbaError::Trust { line, text: named(text) });
                }
                let anywhere = ["all", "0.0.0.0/0", "::/0", "::0/0"].contains(address);
                if anywhere && database.split(',').any(|name| name == "replication") {
                    return Err(HbaError::Anywhere { line, text: named(text) });
                }
            }
            _ => return Err(HbaError::Form { line, text: named(text) }),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_peer_is_one_address() {
        assert_eq!(address("10.77.0.12"), "10.77.0.12/32");
        assert_eq!(address("fd00::12"), "fd00::12/128");
        assert_eq!(address("db2.ward.example"), "db2.ward.example");
    }

    #[test]
    fn line_of_the_old_readme_is_refused() {
        let text = "host replication replicator 0.0.0.0/0 trust";
        assert_eq!(check(text), Err(HbaError::Trust { line: 1, text: text.to_owned() }));
        let text = "host replication replicator 0.0.0.0/0 md5";
        assert_eq!(check(text), Err(HbaError::Anywhere { line: 1, text: text.to_owned() }));
    }

    #[test]
    fn peers_with_passwords_are_allowed() {
        let block = "# peers\nhost replication replicator 10.0.0.1/32 scram-sha-256\nhost all all all md5\n";
        assert_eq!(check(block), Ok(()));
    }

    #[test]
    fn line_that_is_none_is_named_by_number() {
        let error = check("\nhello\n");
        assert_eq!(error, Err(HbaError::Form { line: 2, text: "hello".to_owned() }));
    }
}
