//! Password verifiers, computed here so that no password travels in SQL (`RFC 5802`, `RFC 7677`; md5 for servers before 10).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha2::{Digest, Sha256};

use super::dialect::Passwords;
use crate::digest::hex;
use crate::secret::Secret;

/// PostgreSQL's own default; a server accepts any.
pub const ITERATIONS: u32 = 4096;

/// Returns what `ALTER ROLE … PASSWORD` takes instead of the password.
///
/// `salt` must be fresh random bytes (16 as the server makes it).
pub fn verifier(passwords: Passwords, role: &str, password: &Secret, salt: &[u8]) -> String {
    match passwords {
        Passwords::Md5 => md5_verifier(role, password),
        Passwords::Either | Passwords::Scram => scram_verifier(password, salt, ITERATIONS),
    }
}

/// Tells whether a stored verifier was made from this password.
pub fn matches(stored: &str, role: &str, password: &Secret) -> bool {
    if stored.starts_with("md5") {
        return stored == md5_verifier(role, password);
    }
    let Some(rest) = stored.strip_prefix("SCRAM-SHA-256$") else { return false };
    let salt_and_count = rest.split('$').next().unwrap_or_default();
    let Some((count, salt)) = salt_and_count.split_once(':') else { return false };
    let (Ok(count), Ok(salt)) = (count.parse(), BASE64.decode(salt)) else { return false };
    scram_verifier(password, &salt, count) == stored
}

fn md5_verifier(role: &str, password: &Secret) -> String {
    let digest = Md5::digest(format!("{}{role}", password.reveal()));
    format!("md5{}", hex(&digest))
}

fn scram_verifier(password: &Secret, salt: &[u8], iterations: u32) -> String {
    // PostgreSQL uses the bytes as they are when SASLprep refuses them.
    let prepared = stringprep::saslprep(password.reveal()).ok();
    let password = prepared.as_deref().unwrap_or(password.reveal());
    let salted = salted_password(password.as_bytes(), salt, iterations);
    let client_key = hmac(&salted, b"Client Key");
    let stored_key = Sha256::digest(client_key);
    let server_key = hmac(&salted, b"Server Key");
    format!(
        "SCRAM-SHA-256${iterations}:{}${}:{}",
        BASE64.encode(salt),
        BASE64.encode(stored_key),
        BASE64.encode(server_key)
    )
}

fn salted_password(password: &[u8], salt: &[u8], iterations: u32) -> [u8; 32] {
    let mut out = [0; 32];
    pbkdf2::pbkdf2::<Hmac<Sha256>>(password, salt, iterations, &mut out)
        .unwrap_or_else(|_| out.fill(0));
    out
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made by PostgreSQL 17.11: `create role … password '…'`, then `select rolpassword from pg_authid`.
    const MADE_BY_17: &[(&str, &str)] = &[
        (
            "secret",
            "SCRAM-SHA-256$4096:E9njqNmz0RlKtMHlaE5jmA==$rnVTOWrqFphC6rOx5ohOeZc0VRun25WaGdYDnXHiv4U=:rijXGhb98d9NrWfRWFOF8lXuUEyt1F6QEBboeBXNTo8=",
        ),
        (
            "pass word:with\\odd'chars",
            "SCRAM-SHA-256$4096:cjdnFoF0JjJ5Mmw+/bEqzg==$LR1IiNSeNkWaGSse+DhXBvNApRxWr0MnLPczDqsql3Q=:miHNIBFs6heHYlpX8XD51RVuljuaPLD/Qd/m/rWddUE=",
        ),
        (
            "Ⅸ-ⅷ µ ½ª",
            "SCRAM-SHA-256$4096:oRpp7yK6f3uuYFznAdI7pg==$VlLBa5ArCz+jGU55s2HeJ+mOnUYYg4V7lxSt811G/eY=:DXI8fWBEQjv/Ly8kdkxU0rBfSd7N3F/A5qynXnxdAcI=",
        ),
        (
            "soft\u{AD}hyphen\u{A0}space",
            "SCRAM-SHA-256$4096:YGMiqerX2P1Z9fEgaRE37Q==$NjwfcVBwo/Q6u/1qknRDoUgVZtqNk1Aac9BuTSMbYcI=:Ojd0RsmqnctJzop4HwtO7GC379cv4EehJWleNQkvNJ4=",
        ),
    ];

    #[test]
    fn verifier_made_by_a_server_is_recognised() {
        for (password, stored) in MADE_BY_17 {
            assert!(matches(stored, "replicator", &Secret::new(*password)), "{password}");
            assert!(!matches(stored, "replicator", &Secret::new("wrong")), "{password}");
        }
    }

    #[test]
    fn same_password_and_salt_give_the_same_verifier() {
        for (password, stored) in MADE_BY_17 {
            let salt = stored.split(['$', ':']).nth(2).unwrap();
            let salt = BASE64.decode(salt).unwrap();
            let made = verifier(Passwords::Scram, "replicator", &Secret::new(*password), &salt);
            assert_eq!(made, *stored);
        }
    }

    #[test]
    fn servers_before_10_get_md5() {
        // `select 'md5' || md5('secret' || 'replicator')`
        let made = verifier(Passwords::Md5, "replicator", &Secret::new("secret"), &[]);
        assert_eq!(made, "md57588ba3be47ee11b6e10d90b0641d7da");
        assert!(matches(&made, "replicator", &Secret::new("secret")));
    }

    #[test]
    fn stored_text_that_is_no_verifier_matches_nothing() {
        for stored in ["", "secret", "SCRAM-SHA-256$", "SCRAM-SHA-256$4096", "SCRAM-SHA-256$x:y$z"]
        {
            assert!(!matches(stored, "replicator", &Secret::new("secret")), "{stored}");
        }
    }
}
