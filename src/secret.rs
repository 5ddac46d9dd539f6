//! Secrets: values that must not be seen, and the redactor that keeps them out of everything people read.
//!
//! Lives here: [`Secret`] and [`Redactor`]. Does not: where a secret comes from (cli, inventory, vault).

use std::fmt;
use std::sync::{Arc, RwLock};

use zeroize::Zeroize;

/// A value that shows as `***` wherever it is printed, and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// Returns the value; call it only where it goes to a wire or a file of mode 0600.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Knows all secrets of a run and replaces them by value in text; clones share the list.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Arc<RwLock<Vec<String>>>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

/// Shorter values are not masked by value: masking `a` everywhere would hide the text, not the secret.
const SHORTEST_MASKED: usize = 4;

impl Redactor {
    /// Adds a secret; from now on its value is masked. Values under four bytes are not masked by value.
    pub fn add(&self, secret: &str) {
        if secret.len() < SHORTEST_MASKED {
            return;
        }
        let mut list = self.secrets.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !list.iter().any(|known| known == secret) {
            list.push(secret.to_owned());
            // Longest first, so that a secret that holds another is masked whole.
            list.sort_by_key(|known| std::cmp::Reverse(known.len()));
        }
    }

    /// Returns the text with every known secret replaced by `********`.
    pub fn redact(&self, text: &str) -> String {
        let list = self.secrets.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut out = text.to_owned();
        for secret in list.iter() {
            if out.contains(secret.as_str()) {
                out = out.replace(secret.as_str(), "********");
            }
        }
        out
    }

    /// Masks every string inside a JSON value, keys included.
    pub fn redact_json(&self, value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(text) => {
                let masked = self.redact(text);
                if masked != *text {
                    *text = masked;
                }
            }
            serde_json::Value::Array(items) => {
                for item in items {
                    self.redact_json(item);
                }
            }
            serde_json::Value::Object(map) => {
                for item in map.values_mut() {
                    self.redact_json(item);
                }
            }
            serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_shows_as_stars() {
        let secret = Secret::new("hunter22");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
    }

    #[test]
    fn longer_secret_is_masked_before_the_one_inside_it() {
        let redactor = Redactor::default();
        redactor.add("pass");
        redactor.add("passphrase");
        assert_eq!(redactor.redact("a passphrase, a pass"), "a ********, a ********");
    }
}
