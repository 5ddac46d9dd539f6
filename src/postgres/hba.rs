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

/// What [`narrow`] does to a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Stays,
    Goes,
    AsksForPassword,
}

/// Returns a pg_hba.conf without the lines that let anyone replicate or come in without a password over the network, and
/// those lines as they were.
///
/// A `trust` line for databases asks for a password from now on (`md5` takes both kinds of stored passwords), so that a client
/// which sends one goes on working. Lines for this machine only, comments and matron's own block stay.
pub fn narrow(text: &str) -> (String, Vec<String>) {
    let mut out = String::with_capacity(text.len());
    let mut lines = Vec::new();
    for line in text.split_inclusive('\n') {
        match fate(line) {
            Fate::Stays => out.push_str(line),
            Fate::Goes => lines.push(plain(line)),
            Fate::AsksForPassword => {
                lines.push(plain(line));
                out.push_str(&line.replacen("trust", "md5", 1));
            }
        }
    }
    (out, lines)
}

fn plain(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn fate(line: &str) -> Fate {
    let words: Vec<&str> = line.split_whitespace().collect();
    let ["host" | "hostssl" | "hostnossl", database, _, address, rest @ ..] = words.as_slice()
    else {
        return Fate::Stays;
    };
    let (method, mask) = match rest {
        [mask, method, ..] if mask.parse::<IpAddr>().is_ok() => (*method, Some(*mask)),
        [method, ..] => (*method, None),
        [] => return Fate::Stays,
    };
    let bare = address.split('/').next().unwrap_or_default();
    let here = *address == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let anywhere = ["all", "0.0.0.0/0", "::/0", "::0/0"].contains(address)
        || (*address == "0.0.0.0" && mask == Some("0.0.0.0"));
    let replication = database.split(',').any(|name| name == "replication");
    match (replication, method) {
        _ if here => Fate::Stays,
        (true, "trust") => Fate::Goes,
        (true, _) if anywhere => Fate::Goes,
        (false, "trust") => Fate::AsksForPassword,
        (true | false, _) => Fate::Stays,
    }
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

    #[test]
    fn narrowing_takes_out_what_lets_anyone_in_and_nothing_else() {
        let text = "# host all all 0.0.0.0/0 trust\nlocal all all trust\nhost all all 127.0.0.1/32 trust\nhost all all ::1/128 trust\n\
                    host replication all 127.0.0.1/32 trust\nhost all all all scram-sha-256\nhost replication replicator 10.0.0.0/8 md5\n";
        let open = "host  replication replicator 0.0.0.0/0 trust\nhost replication replicator 0.0.0.0 0.0.0.0 md5\n\
                    host replication replicator 10.0.0.2/32 trust\n";
        let (narrowed, lines) = narrow(&format!("{text}{open}"));
        assert_eq!(narrowed, text);
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0], "host replication replicator 0.0.0.0/0 trust");
        assert_eq!(narrow(&narrowed), (narrowed.clone(), Vec::new()));
    }

    #[test]
    fn client_that_was_trusted_is_asked_for_its_password() {
        let (narrowed, lines) = narrow("host all all all trust\n");
        assert_eq!(narrowed, "host all all all md5\n");
        assert_eq!(lines, ["host all all all trust"]);
    }
}
