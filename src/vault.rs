//! Ansible Vault: values and files sealed under a password, versions 1.1 and 1.2.
//!
//! Lives here: the form of a sealed text, opening and sealing, and [`Keyring`], the passwords of a run. Does not: where
//! passwords come from (cli). Pure but for the memory of what was opened already.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::digest::hex;
use crate::secret::Secret;

/// What every sealed text begins with.
pub const MARK: &str = "$ANSIBLE_VAULT";

/// The id of a password that has no name.
pub const DEFAULT_ID: &str = "default";

const ROUNDS: u32 = 10_000;
const BLOCK: usize = 16;
const LINE: usize = 80;

/// Why a text cannot be opened, in Ansible's words.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VaultError {
    /// It is not sealed.
    #[error("Input is not vault encrypted data.")]
    NotSealed,
    /// Its header or body has another form.
    #[error("Vault format of the data is invalid: {0}")]
    Form(&'static str),
    /// There is no password at all.
    #[error("Attempting to decrypt but no vault secrets found.")]
    NoSecrets,
    /// None of the passwords fits.
    #[error("Decryption failed (no vault secrets were found that could decrypt).")]
    NoneFits,
}

/// One password and its vault id.
#[derive(Clone, Debug)]
pub struct Key {
    /// Vault id; [`DEFAULT_ID`] when it has no name.
    pub id: String,
    /// The password.
    pub secret: Secret,
}

/// What was opened already, by the digest of the sealed text.
type Opened = HashMap<[u8; 32], Zeroizing<Vec<u8>>>;

/// The passwords of a run, in the order given. Clones share what was opened already.
#[derive(Clone, Default)]
pub struct Keyring {
    keys: Arc<[Key]>,
    only_matching: bool,
    opened: Arc<Mutex<Opened>>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.keys.iter().map(|key| key.id.as_str()).collect();
        f.debug_tuple("Keyring").field(&ids).finish()
    }
}

impl Keyring {
    /// Makes a keyring. With `only_matching` a text that names a vault id is opened by that one alone.
    pub fn new(keys: Vec<Key>, only_matching: bool) -> Self {
        Self { keys: keys.into(), only_matching, opened: Arc::default() }
    }

    /// Returns the keys, in the order given.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Opens a sealed text with whichever password fits; the one of its own vault id is tried first.
    pub fn open(&self, text: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let print: [u8; 32] = Sha256::digest(text).into();
        let known = self.opened.lock().unwrap_or_else(PoisonError::into_inner).get(&print).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let (plain, _) = self.open_with(text)?;
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.insert(print, plain.clone());
        Ok(plain)
    }

    /// Does the same, and tells which key it was.
    pub fn open_with(&self, text: &[u8]) -> Result<(Zeroizing<Vec<u8>>, &Key), VaultError> {
        let sealed = Sealed::parse(text)?;
        if self.keys.is_empty() {
            return Err(VaultError::NoSecrets);
        }
        let named = |key: &&Key| sealed.id.as_deref().is_some_and(|id| id == key.id);
        let others = self.keys.iter().filter(|key| !named(key) && !self.only_matching);
        for key in self.keys.iter().filter(named).chain(others) {
            if let Some(plain) = sealed.open(&key.secret) {
                return Ok((plain?, key));
            }
        }
        Err(VaultError::NoneFits)
    }
}

/// Tells whether bytes are a sealed text.
pub fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(MARK.as_bytes())
}

/// Returns the vault id that a sealed text names.
pub fn id_of(text: &[u8]) -> Option<String> {
    Sealed::parse(text).ok()?.id
}

/// Seals bytes. The vault id is written when it is not [`DEFAULT_ID`]; `salt` must be fresh random bytes (32 as Ansible makes it).
pub fn seal(plain: &[u8], id: Option<&str>, secret: &Secret, salt: &[u8]) -> String {
    let keys = derive(secret, salt);
    let fill = BLOCK - plain.len() % BLOCK;
    let mut body = plain.to_vec();
    body.resize(plain.len() + fill, u8::try_from(fill).unwrap_or_default());
    keys.cipher(&mut body);
    let inner = format!("{}\n{}\n{}", hex(salt), hex(&keys.code(&body)), hex(&body));
    let mut out = match id {
        Some(id) if id != DEFAULT_ID => format!("{MARK};1.2;AES256;{id}\n"),
        Some(_) | None => format!("{MARK};1.1;AES256\n"),
    };
    let digits = hex(inner.as_bytes());
    let mut rest = digits.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(LINE));
        out.push_str(line);
        out.push('\n');
        rest = more;
    }
    out
}

/// A sealed text taken apart.
struct Sealed {
    id: Option<String>,
    salt: Vec<u8>,
    code: Vec<u8>,
    body: Vec<u8>,
}

impl Sealed {
    fn parse(text: &[u8]) -> Result<Self, VaultError> {
        let text = std::str::from_utf8(text).map_err(|_| VaultError::NotSealed)?;
        let mut lines = text.trim().lines();
        let header = lines.next().unwrap_or_default();
        let mut fields = header.trim().split(';').map(str::trim);
        if fields.next() != Some(MARK) {
            return Err(VaultError::NotSealed);
        }
        let id = match (fields.next(), fields.next(), fields.next()) {
            (Some("1.1" | "1.2"), Some("AES256"), id) => id.map(str::to_owned),
            (Some("1.1" | "1.2"), _, _) => {
                return Err(VaultError::Form("its cipher is not AES256"));
            }
            _ => return Err(VaultError::Form("its version is not 1.1 or 1.2")),
        };
        let digits: String = lines.map(str::trim).collect();
        let inner = unhex(&digits).ok_or(VaultError::Form("Non-hexadecimal digit found"))?;
        let inner =
            String::from_utf8(inner).map_err(|_| VaultError::Form("its body is not text"))?;
        let parts: Vec<_> = inner.splitn(3, '\n').map(unhex).collect();
        match parts.as_slice() {
            [Some(salt), Some(code), Some(body)] if !body.is_empty() => {
                Ok(Self { id, salt: salt.clone(), code: code.clone(), body: body.clone() })
            }
            _ => Err(VaultError::Form("its body does not have three parts")),
        }
    }

    /// Returns nothing when the password does not fit.
    fn open(&self, secret: &Secret) -> Option<Result<Zeroizing<Vec<u8>>, VaultError>> {
        let keys = derive(secret, &self.salt);
        let mut mac = keys.mac()?;
        mac.update(&self.body);
        mac.verify_slice(&self.code).ok()?;
        let mut plain = Zeroizing::new(self.body.clone());
        keys.cipher(&mut plain);
        let fill = usize::from(*plain.last()?);
        let wrong = VaultError::Form("its padding is wrong");
        if fill == 0 || fill > BLOCK || fill > plain.len() {
            return Some(Err(wrong));
        }
        let end = plain.len() - fill;
        if plain.get(end..)?.iter().any(|byte| usize::from(*byte) != fill) {
            return Some(Err(wrong));
        }
        plain.truncate(end);
        Some(Ok(plain))
    }
}

/// What a password and a salt give: cipher key, code key, start of the counter.
struct Keys(Zeroizing<[u8; 80]>);

fn derive(secret: &Secret, salt: &[u8]) -> Keys {
    let mut out = Zeroizing::new([0; 80]);
    pbkdf2::pbkdf2_hmac::<Sha256>(secret.reveal().as_bytes(), salt, ROUNDS, out.as_mut_slice());
    Keys(out)
}

impl Keys {
    fn cipher(&self, bytes: &mut [u8]) {
        let (key, rest) = self.0.split_at(32);
        let start = rest.get(32..).unwrap_or_default();
        // The lengths are those of the cipher, so this cannot fail.
        if let Ok(mut cipher) = Ctr128BE::<Aes256>::new_from_slices(key, start) {
            cipher.apply_keystream(bytes);
        }
    }

    fn mac(&self) -> Option<Hmac<Sha256>> {
        Hmac::<Sha256>::new_from_slice(self.0.get(32..64)?).ok()
    }

    fn code(&self, body: &[u8]) -> Vec<u8> {
        let Some(mut mac) = self.mac() else { return Vec::new() };
        mac.update(body);
        mac.finalize().into_bytes().to_vec()
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sealed by ansible-vault 2.19 under `pw1`.
    const SEALED: &str = "$ANSIBLE_VAULT;1.1;AES256
63393461633265643861643766393936613935306330383038643035306162316363376538396534
6164663433663438613666333238393962306537316139660a616530386439663763646536393562
39323335643733643937616464303563636537653139623563393136396330313736393537383031
3939623635363837650a373861613634656132656364616264346135633730353636316132663638
3762
";

    fn ring(keys: &[(&str, &str)]) -> Keyring {
        let keys = keys
            .iter()
            .map(|(id, secret)| Key { id: (*id).to_owned(), secret: Secret::new(*secret) });
        Keyring::new(keys.collect(), false)
    }

    #[test]
    fn what_ansible_sealed_is_opened() {
        let plain = ring(&[("a", "no"), ("default", "pw1")]).open(SEALED.as_bytes()).unwrap();
        assert_eq!(plain.as_slice(), b"he {{ who }}");
    }

    #[test]
    fn sealing_with_the_same_salt_gives_the_same_text() {
        let salt: Vec<u8> =
            unhex("c94ac2ed8ad7f996a950c0808d050ab1cc7e89e4adf43f48a6f32899b0e71a9f").unwrap();
        assert_eq!(seal(b"he {{ who }}", None, &Secret::new("pw1"), &salt), SEALED);
    }

    #[test]
    fn every_length_comes_back() {
        let secret = Secret::new("x");
        for length in [0, 1, 15, 16, 17, 1000] {
            let plain = vec![7_u8; length];
            let text = seal(&plain, Some("lab"), &secret, b"salt");
            assert_eq!(ring(&[("other", "x")]).open(text.as_bytes()).unwrap().as_slice(), plain);
            assert_eq!(id_of(text.as_bytes()).as_deref(), Some("lab"));
        }
    }

    #[test]
    fn each_refusal_says_why() {
        let open =
            |keys: &[(&str, &str)], text: &str| ring(keys).open(text.as_bytes()).unwrap_err();
        assert_eq!(open(&[], SEALED), VaultError::NoSecrets);
        assert_eq!(open(&[("a", "no")], SEALED), VaultError::NoneFits);
        assert_eq!(open(&[("a", "no")], "x"), VaultError::NotSealed);
        assert_eq!(
            open(&[("a", "b")], "$ANSIBLE_VAULT;1.3;AES256\n00"),
            VaultError::Form("its version is not 1.1 or 1.2")
        );
        assert_eq!(
            open(&[("a", "b")], "$ANSIBLE_VAULT;1.1;AES256\nzz"),
            VaultError::Form("Non-hexadecimal digit found")
        );
        let bent = SEALED.replace("3762\n", "3763\n");
        assert_eq!(open(&[("default", "pw1")], &bent), VaultError::NoneFits);
    }

    #[test]
    fn id_match_keeps_other_keys_away() {
        let secret = Secret::new("x");
        let text = seal(b"v", Some("lab"), &secret, b"salt");
        let key = |id: &str| Key { id: id.to_owned(), secret: secret.clone() };
        assert!(Keyring::new(vec![key("other")], true).open(text.as_bytes()).is_err());
        assert!(Keyring::new(vec![key("lab")], true).open(text.as_bytes()).is_ok());
    }
}
