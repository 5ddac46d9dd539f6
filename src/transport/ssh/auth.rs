//! Authentication: keys from files and the agent, certificates, passwords.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use russh::client::AuthResult;
use russh::client::{Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::key::PrivateKeyWithHashAlg;
use russh::keys::{Certificate, HashAlg, PrivateKey, PublicKey};
use russh::{MethodKind, MethodSet, Signer};
use tokio::net::UnixStream;

use super::dial::{Client, reason};
use super::settings::Settings;
use crate::transport::{TransportError, TransportErrorKind};

/// Keys offered at most: OpenSSH's MaxAuthTries is 6, and every failed try counts against our address.
const KEYS_AT_MOST: usize = 5;

/// Rounds of questions answered by the password, for a host that asks again.
const ROUNDS: usize = 3;

/// How long authentication may take in all: several tries, each with a slow PAM behind it.
pub(super) fn patience(settings: &Settings) -> Duration {
    settings.timeout * 2
}

/// A way to prove who we are.
enum Key {
    File { path: PathBuf, key: Arc<PrivateKey>, certificate: Option<Certificate> },
    Agent { key: PublicKey, comment: String },
    AgentCertificate { certificate: Certificate, comment: String },
}

/// What was tried and what could not be, for the message.
struct Attempts<'a> {
    handle: &'a mut Handle<Client>,
    settings: &'a Settings,
    agent: Option<AgentClient<UnixStream>>,
    tried: Vec<String>,
    unusable: Vec<String>,
    /// What to do about a key that could not be used.
    way_out: Option<String>,
    methods: Option<MethodSet>,
}

/// Authenticates, or says what was tried.
pub(super) async fn authenticate(
    handle: &mut Handle<Client>,
    settings: &Settings,
) -> Result<(), TransportError> {
    let mut attempts = Attempts {
        handle,
        settings,
        agent: None,
        tried: Vec::new(),
        unusable: Vec::new(),
        way_out: None,
        methods: None,
    };
    attempts
        .all()
        .await
        .map_err(|error| attempts.broken(&error))
        .and_then(|accepted| if accepted { Ok(()) } else { Err(attempts.denied()) })
}

impl Attempts<'_> {
    async fn all(&mut self) -> Result<bool, russh::Error> {
        let settings = self.settings;
        if settings.public_key {
            let keys = self.keys().await;
            let has_password = settings.password.is_some();
            for key in keys.into_iter().take(KEYS_AT_MOST) {
                if self.key(key).await? {
                    return Ok(true);
                }
                // With a password at hand a few keys are enough.
                if has_password && self.tried.len() >= 3 {
                    break;
                }
            }
        }
        let Some(password) = settings.password.clone() else {
            if self.tried.is_empty() {
                let result = self.handle.authenticate_none(settings.user.clone()).await?;
                return self.accepted(result);
            }
            return Ok(false);
        };
        if settings.password_allowed && self.offers(MethodKind::Password) {
            self.tried.push("the password".to_owned());
            let user = settings.user.clone();
            let result = self.handle.authenticate_password(user, password.reveal()).await?;
            if self.accepted(result)? {
                return Ok(true);
            }
        }
        if settings.keyboard_allowed && self.offers(MethodKind::KeyboardInteractive) {
            self.tried.push("the password (keyboard-interactive)".to_owned());
            return self.keyboard(password.reveal()).await;
        }
        Ok(false)
    }

    fn offers(&self, method: MethodKind) -> bool {
        self.methods.as_ref().is_none_or(|methods| methods.contains(&method))
    }

    fn accepted(&mut self, result: AuthResult) -> Result<bool, russh::Error> {
        match result {
            AuthResult::Success => Ok(true),
            AuthResult::Failure { remaining_methods, .. } => {
                // russh says "no methods left" also when the host has hung up.
                if remaining_methods.is_empty() && self.handle.is_closed() {
                    return Err(russh::Error::Disconnect);
                }
                self.methods = Some(remaining_methods);
                Ok(false)
            }
        }
    }

    async fn keyboard(&mut self, password: &str) -> Result<bool, russh::Error> {
        let user = self.settings.user.clone();
        let mut answer =
            self.handle.authenticate_keyboard_interactive_start(user, None::<String>).await?;
        for _ in 0..ROUNDS {
            match answer {
                KeyboardInteractiveAuthResponse::Success => return Ok(true),
                KeyboardInteractiveAuthResponse::Failure { remaining_methods, .. } => {
                    self.methods = Some(remaining_methods);
                    return Ok(false);
                }
                KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => {
                    // A shown prompt asks for something else than the password.
                    let replies = prompts
                        .iter()
                        .map(|one| if one.echo { String::new() } else { password.to_owned() })
                        .collect();
                    answer = self.handle.authenticate_keyboard_interactive_respond(replies).await?;
                }
            }
        }
        Ok(matches!(answer, KeyboardInteractiveAuthResponse::Success))
    }

    /// Returns the keys to offer: named files first, then the agent's, then the default files.
    async fn keys(&mut self) -> Vec<Key> {
        let settings = self.settings;
        let held = self.agent_keys().await;
        let mut keys = Vec::new();
        let mut used = Vec::new();
        for path in settings.keys.iter().chain(&settings.default_keys) {
            let named = settings.keys.contains(path);
            self.file(path, named, &held, &mut keys, &mut used);
        }
        if !settings.identities_only {
            let at = keys.len().min(settings.keys.len());
            let rest: Vec<Key> = held
                .into_iter()
                .filter(|identity| !used.contains(&*identity.public_key()))
                .map(from_agent)
                .collect();
            keys.splice(at..at, rest);
        }
        keys
    }

    async fn agent_keys(&mut self) -> Vec<AgentIdentity> {
        let Some(socket) = &self.settings.agent else { return Vec::new() };
        let mut agent = match AgentClient::connect_uds(socket).await {
            Ok(agent) => agent,
            Err(error) => {
                self.unusable.push(format!("agent {}: {error}", socket.display()));
                return Vec::new();
            }
        };
        if let Some(binding) = self.handle.agent_session_binding() {
            // Agents older than OpenSSH 8.9 do not know it; then it is not needed either.
            agent.bind_session(binding, false).await.ok();
        }
        match agent.request_identities().await {
            Ok(identities) => {
                self.agent = Some(agent);
                identities
            }
            Err(error) => {
                self.unusable.push(format!("agent {}: {error}", socket.display()));
                Vec::new()
            }
        }
    }

    fn file(
        &mut self,
        path: &Path,
        named: bool,
        held: &[AgentIdentity],
        keys: &mut Vec<Key>,
        used: &mut Vec<PublicKey>,
    ) {
        let public = russh::keys::load_public_key(with_end(path, ".pub"))
            .or_else(|_| russh::keys::load_public_key(path))
            .ok();
        let of_agent = held.iter().find(|identity| {
            public.as_ref().is_some_and(|key| identity.public_key().key_data() == key.key_data())
        });
        if let (Some(identity), Some(public)) = (of_agent, public) {
            used.push(public);
            keys.push(from_agent(identity.clone()));
            return;
        }
        match russh::keys::load_secret_key(path, None) {
            Ok(key) => {
                let certificate = self.certificate(path, &key);
                keys.push(Key::File { path: path.to_owned(), key: Arc::new(key), certificate });
            }
            Err(russh::keys::Error::KeyIsEncrypted) => {
                self.unusable
                    .push(format!("key {} is encrypted and needs its passphrase", path.display()));
                if named || self.settings.keys.is_empty() {
                    let path = path.display();
                    self.way_out = Some(format!("load the key into an agent: ssh-add {path}"));
                }
            }
            Err(russh::keys::Error::IO(error))
                if error.kind() == std::io::ErrorKind::NotFound && !named => {}
            Err(russh::keys::Error::IO(error)) => {
                self.unusable.push(format!("key {}: {}", path.display(), reason(&error)));
            }
            Err(error) => self.unusable.push(format!("key {}: {error}", path.display())),
        }
    }

    fn certificate(&self, path: &Path, key: &PrivateKey) -> Option<Certificate> {
        let beside = with_end(path, "-cert.pub");
        self.settings
            .certificates
            .iter()
            .chain(std::iter::once(&beside))
            .filter_map(|file| russh::keys::load_openssh_certificate(file).ok())
            .find(|certificate| certificate.public_key() == key.public_key().key_data())
    }

    /// RSA keys sign with SHA-2 only: SHA-1 is refused since OpenSSH 8.8.
    async fn rsa_hash(&self, is_rsa: bool) -> Result<Option<HashAlg>, russh::Error> {
        if !is_rsa {
            return Ok(None);
        }
        let best = self.handle.best_supported_rsa_hash().await?;
        Ok(Some(best.flatten().unwrap_or(HashAlg::Sha512)))
    }

    async fn key(&mut self, key: Key) -> Result<bool, russh::Error> {
        let user = self.settings.user.clone();
        let result = match key {
            Key::File { path, key, certificate } => {
                let hash = self.rsa_hash(key.algorithm().is_rsa()).await?;
                if let Some(certificate) = certificate {
                    self.tried.push(format!("certificate for key {}", path.display()));
                    let mut signer = KeySigner(Arc::clone(&key));
                    // ssh-key signs RSA with SHA-512 unless told otherwise.
                    let hash = hash.map(|_| HashAlg::Sha512);
                    let result = self
                        .handle
                        .authenticate_certificate_with(user.clone(), certificate, hash, &mut signer)
                        .await
                        .map_err(|error| error.0)?;
                    if self.accepted(result)? {
                        return Ok(true);
                    }
                }
                self.tried.push(format!("key {}", path.display()));
                let key = PrivateKeyWithHashAlg::new(key, hash);
                self.handle.authenticate_publickey(user, key).await?
            }
            Key::Agent { key, comment } => {
                let hash = self.rsa_hash(key.algorithm().is_rsa()).await?;
                let Some(agent) = &mut self.agent else { return Ok(false) };
                self.tried.push(format!("agent key {comment}"));
                match self.handle.authenticate_publickey_with(user, key, hash, agent).await {
                    Ok(result) => result,
                    Err(error) => {
                        self.unusable.push(format!("agent key {comment}: {error}"));
                        return Ok(false);
                    }
                }
            }
            Key::AgentCertificate { certificate, comment } => {
                let is_rsa = certificate.algorithm().is_rsa();
                let hash = self.rsa_hash(is_rsa).await?;
                let Some(agent) = &mut self.agent else { return Ok(false) };
                self.tried.push(format!("agent certificate {comment}"));
                match self
                    .handle
                    .authenticate_certificate_with(user, certificate, hash, agent)
                    .await
                {
                    Ok(result) => result,
                    Err(error) => {
                        self.unusable.push(format!("agent certificate {comment}: {error}"));
                        return Ok(false);
                    }
                }
            }
        };
        self.accepted(result)
    }

    fn denied(&self) -> TransportError {
        let settings = self.settings;
        let methods: Vec<String> = self
            .methods
            .iter()
            .flat_map(|methods| methods.iter())
            .map(|method| <&str>::from(method).to_owned())
            .collect();
        let mut message = format!(
            "Failed to connect to the host via ssh: {}@{}: Permission denied ({})",
            settings.user,
            settings.host,
            methods.join(",")
        );
        for one in &self.unusable {
            message.push_str("; ");
            message.push_str(one);
        }
        let hint = if let Some(way_out) = &self.way_out {
            way_out.clone()
        } else if self.tried.is_empty() {
            "nothing could be offered: name a key (--private-key, ansible_ssh_private_key_file), start an agent, or give a password (-k)".to_owned()
        } else {
            format!(
                "offered: {}. Is the user right (-u, ansible_user), and the key in that user's authorized_keys?",
                self.tried.join(", ")
            )
        };
        TransportError::new(&settings.name, TransportErrorKind::Authentication, message).hint(hint)
    }

    fn broken(&self, error: &russh::Error) -> TransportError {
        let settings = self.settings;
        let gone = matches!(
            error,
            russh::Error::Disconnect
                | russh::Error::HUP
                | russh::Error::SendError
                | russh::Error::RecvError
        );
        let why = if gone {
            format!(
                "{} closed the connection during authentication of {}",
                settings.host, settings.user
            )
        } else {
            format!("{}@{}: {error}", settings.user, settings.host)
        };
        let mut failed = TransportError::new(
            &settings.name,
            TransportErrorKind::Authentication,
            format!("Failed to connect to the host via ssh: {why}"),
        );
        if !self.tried.is_empty() {
            failed.hint = Some(format!("offered: {}", self.tried.join(", ")));
        }
        failed
    }
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(end);
    PathBuf::from(text)
}

fn from_agent(identity: AgentIdentity) -> Key {
    match identity {
        AgentIdentity::PublicKey { key, comment } => Key::Agent { key, comment },
        AgentIdentity::Certificate { certificate, comment } => {
            Key::AgentCertificate { certificate, comment }
        }
    }
}

/// Signs for a certificate with a key from a file, RSA with SHA-2 (russh's own way signs RSA with SHA-1).
struct KeySigner(Arc<PrivateKey>);

/// russh wants its own send error to fit in.
struct SignError(russh::Error);

impl From<russh::SendError> for SignError {
    fn from(_: russh::SendError) -> Self {
        Self(russh::Error::SendError)
    }
}

impl Signer for KeySigner {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        _hash: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        use russh::keys::signature::Signer as _;
        let signature =
            self.0.try_sign(&to_sign).map_err(|error| SignError(russh::Error::Signature(error)))?;
        let algorithm = signature.algorithm();
        let (name, bytes) = (algorithm.as_str().as_bytes(), signature.as_bytes());
        let size = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        to_sign.extend(size(name.len() + bytes.len() + 8));
        to_sign.extend(size(name.len()));
        to_sign.extend(name);
        to_sign.extend(size(bytes.len()));
        to_sign.extend(bytes);
        Ok(to_sign)
    }
}
