//! Making a connection: the stream to the host (TCP, a jump, a command), the handshake, the host key.

use std::borrow::Cow;
use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use russh::client::{self, DisconnectReason, Handle, Handler};
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyBase64 as _, PublicKeyOrCertificate};
use russh::{Disconnect, Preferred, cipher};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use super::channel::{self, ChannelBytes};
use super::known_hosts::{KnownHosts, Verdict, learn, lookup_name};
use super::settings::{Proxy, Settings};
use super::socket::PromptStream;
use super::{Dialer, auth};
use crate::transport::{HostKeys, Stream, TransportError, TransportErrorKind};

/// What one channel may have under way: the default of 2 MiB is too little for a long way (19 MiB/s at 50 ms).
const WINDOW: u32 = 16 * 1024 * 1024;

/// How all messages about a connection that did not come about begin, as people know it.
const FAILED: &str = "Failed to connect to the host via ssh";

/// A live connection, and the one it runs in.
pub(super) struct Link {
    pub(super) handle: Handle<Client>,
    closed: Arc<Mutex<Option<String>>>,
    // Kept, because this connection runs inside it.
    _jump: Option<Arc<Link>>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}

impl Link {
    /// Tells whether the connection is gone.
    pub(super) fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Returns why the connection ended, as far as it is known.
    pub(super) fn why_closed(&self) -> String {
        let reason = self.closed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match reason {
            Some(reason) => reason,
            None if self.is_closed() => "the connection was closed".to_owned(),
            None => "the host closed the channel".to_owned(),
        }
    }

    /// Says goodbye.
    pub(super) async fn close(&self) {
        self.handle.disconnect(Disconnect::ByApplication, "done", "en").await.ok();
    }
}

impl Dialer {
    /// Makes a connection to a host, and to the jump hosts before it where there is none yet.
    pub(super) async fn dial(&self, settings: &Settings) -> Result<Link, TransportError> {
        let (stream, jump): (Box<dyn Stream>, Option<Arc<Link>>) = match &settings.proxy {
            Proxy::Direct => {
                let permit = self.connecting.acquire().await;
                let stream = tcp(settings).await?;
                let link = handshake(settings, stream, None).await;
                drop(permit);
                return link;
            }
            Proxy::Jump(jump) => {
                let link = self.jump(jump).await?;
                (Box::new(through(settings, jump, &link).await?), Some(link))
            }
            Proxy::Command(command) => {
                let (stream, said) = process(settings, command)?;
                let permit = self.connecting.acquire().await;
                let link = handshake(settings, Box::new(stream), None).await;
                drop(permit);
                return match link {
                    Ok(link) => Ok(link),
                    Err(error) => Err(said.added_to(error).await),
                };
            }
        };
        let permit = self.connecting.acquire().await;
        let link = handshake(settings, stream, jump).await;
        drop(permit);
        link
    }

    /// Returns the connection to a jump host, shared by all behind it.
    async fn jump(&self, settings: &Settings) -> Result<Arc<Link>, TransportError> {
        let place = {
            let mut jumps = self.jumps.lock().await;
            Arc::clone(jumps.entry(settings.way()).or_default())
        };
        let mut place = place.lock().await;
        if let Some(live) = place.as_ref().filter(|link| !link.is_closed()) {
            return Ok(Arc::clone(live));
        }
        let dialed = Box::pin(self.dial(settings)).await.map_err(|mut error| {
            error.message = format!("jump host {}: {}", settings.host, error.message);
            error
        })?;
        let link = Arc::new(dialed);
        *place = Some(Arc::clone(&link));
        Ok(link)
    }

    /// Closes the connections to the jump hosts.
    pub async fn close(&self) {
        let jumps = std::mem::take(&mut *self.jumps.lock().await);
        for place in jumps.into_values() {
            if let Some(link) = place.lock().await.take() {
                link.close().await;
            }
        }
    }
}

fn failed(settings: &Settings, kind: TransportErrorKind, why: &str) -> TransportError {
    TransportError::new(&settings.name, kind, format!("{FAILED}: {why}"))
}

async fn tcp(settings: &Settings) -> Result<Box<dyn Stream>, TransportError> {
    let place = format!("connect to host {} port {}", settings.host, settings.port);
    let kind = TransportErrorKind::Connect;
    let connect = TcpStream::connect((settings.host.as_str(), settings.port));
    let stream = match timeout(settings.timeout, connect).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            let hint = connect_hint(error.kind());
            let error = failed(settings, kind, &format!("{place}: {}", reason(&error)));
            return Err(TransportError { hint, ..error });
        }
        Err(_) => {
            let why =
                format!("{place}: Connection timed out after {} s", settings.timeout.as_secs());
            return Err(failed(settings, kind, &why).hint(
                "the host may be off, or a firewall drops what comes; --timeout waits longer",
            ));
        }
    };
    let stream = PromptStream::new(stream)
        .map_err(|error| failed(settings, kind, &format!("{place}: {error}")))?;
    Ok(Box::new(stream))
}

/// What to look at when the system could not connect.
fn connect_hint(kind: io::ErrorKind) -> Option<String> {
    let text = match kind {
        io::ErrorKind::ConnectionRefused => {
            "the host is there, but nothing listens: is sshd running, and on this port (ansible_port)?"
        }
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            "check the address (ansible_host) and the route to it; a host behind a jump host needs -J in ansible_ssh_common_args"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

/// The system's words without the number behind them.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text.get(..end).unwrap_or(&text).to_owned(),
        None => text,
    }
}

async fn through(
    settings: &Settings,
    jump: &Settings,
    link: &Arc<Link>,
) -> Result<ChannelBytes, TransportError> {
    let open = link.handle.channel_open_direct_tcpip(
        settings.host.clone(),
        u32::from(settings.port),
        "127.0.0.1",
        0,
    );
    let kind = TransportErrorKind::Connect;
    let place =
        format!("connect to host {} port {} through {}", settings.host, settings.port, jump.host);
    match timeout(settings.timeout, open).await {
        Ok(Ok(opened)) => Ok(channel::stream(opened, Arc::clone(link))),
        Ok(Err(error)) => Err(failed(settings, kind, &format!("{place}: {error}"))),
        Err(_) => {
            let why = format!("{place}: timed out after {} s", settings.timeout.as_secs());
            Err(failed(settings, kind, &why))
        }
    }
}

/// What a ProxyCommand writes to its standard error: the only place where it says why it does not get through.
struct Said {
    text: Arc<Mutex<String>>,
    reading: tokio::task::JoinHandle<()>,
}

/// Words of a ProxyCommand that are kept.
const SAID: usize = 2000;

impl Said {
    /// Reads until the end, and keeps the beginning.
    fn of(mut stderr: tokio::process::ChildStderr) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&text);
        let reading = tokio::spawn(async move {
            let mut part = [0; 512];
            while let Ok(count @ 1..) = stderr.read(&mut part).await {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() < SAID {
                    kept.push_str(&String::from_utf8_lossy(part.get(..count).unwrap_or_default()));
                }
            }
        });
        Self { text, reading }
    }

    /// Adds what was said to an error; a command that has ended has said all within a moment.
    async fn added_to(self, mut error: TransportError) -> TransportError {
        timeout(Duration::from_millis(200), self.reading).await.ok();
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = text.lines().map(str::trim).rfind(|line| !line.is_empty()) {
            error.message = format!("{}; ProxyCommand: {last}", error.message);
        }
        error
    }
}

/// A local command whose standard streams lead to the host.
fn process(
    settings: &Settings,
    command: &str,
) -> Result<(impl Stream + 'static, Said), TransportError> {
    let child = Command::new("sh")
        .arg("-c")
        .arg(format!("exec {command}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let bad = |why: String| {
        failed(settings, TransportErrorKind::Connect, &format!("ProxyCommand {command}: {why}"))
    };
    let mut child = child.map_err(|error| bad(error.to_string()))?;
    let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), Some(stderr)) = streams else {
        return Err(bad("it has no standard streams".to_owned()));
    };
    // The child lives as long as we read from it; then it sees the end of its stdin.
    tokio::spawn(async move { child.wait().await });
    Ok((tokio::io::join(stdout, stdin), Said::of(stderr)))
}

async fn handshake(
    settings: &Settings,
    stream: Box<dyn Stream>,
    jump: Option<Arc<Link>>,
) -> Result<Link, TransportError> {
    let known = KnownHosts::load(&settings.known_hosts);
    let config = client::Config {
        nodelay: true,
        window_size: WINDOW,
        maximum_packet_size: 32768,
        keepalive_interval: Some(settings.alive_interval),
        keepalive_max: settings.alive_count,
        preferred: preferred(&known, settings),
        ..client::Config::default()
    };
    let refused = Arc::new(Mutex::new(None));
    let closed = Arc::new(Mutex::new(None));
    let client = Client {
        settings: settings.clone(),
        known,
        refused: Arc::clone(&refused),
        closed: Arc::clone(&closed),
    };
    let shaken =
        timeout(settings.timeout, client::connect_stream(Arc::new(config), stream, client)).await;
    let kind = TransportErrorKind::Connect;
    let place = format!("{} port {}", settings.host, settings.port);
    let handle = match shaken {
        Ok(Ok(handle)) => handle,
        Ok(Err(error)) => {
            if let Some(refused) = refused.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return Err(refused);
            }
            let mut why = format!("{place}: {error}");
            if matches!(error, russh::Error::Disconnect | russh::Error::HUP) {
                why = format!("Connection closed by {place} before the handshake was done");
            }
            return Err(failed(settings, kind, &why));
        }
        Err(_) => {
            let seconds = settings.timeout.as_secs();
            let why = format!(
                "{place} took the connection, but did not finish the SSH handshake within {seconds} s"
            );
            return Err(failed(settings, kind, &why).hint(
                "the host may be paused or overloaded, or something else than sshd listens there",
            ));
        }
    };
    let mut link = Link { handle, closed, _jump: jump };
    match timeout(auth::patience(settings), auth::authenticate(&mut link.handle, settings)).await {
        Ok(Ok(())) => Ok(link),
        Ok(Err(error)) => Err(error),
        Err(_) => {
            let seconds = auth::patience(settings).as_secs();
            let why = format!("{place} did not answer to authentication within {seconds} s");
            Err(failed(settings, TransportErrorKind::Authentication, &why))
        }
    }
}

fn preferred(known: &KnownHosts, settings: &Settings) -> Preferred {
    let types = known.key_types(&settings.key_name, settings.port);
    let mut keys: Vec<Algorithm> = Preferred::DEFAULT
        .key
        .iter()
        // SHA-1: no host that is worth talking to needs it.
        .filter(|algorithm| !matches!(algorithm, Algorithm::Rsa { hash: None }))
        .cloned()
        .collect();
    // Asked for the key we know, the host shows that one (as OpenSSH does).
    keys.sort_by_key(|algorithm| {
        let plain = match algorithm {
            Algorithm::Rsa { .. } => "ssh-rsa".to_owned(),
            other => other.as_str().to_owned(),
        };
        !types.contains(&plain)
    });
    let certificates: Vec<Algorithm> = if known.has_authority(&settings.key_name, settings.port) {
        keys.clone()
    } else {
        Vec::new()
    };
    Preferred {
        key: Cow::Owned(keys),
        host_key_certificates: Cow::Owned(certificates),
        // With AES in the processor GCM moves a third more than ChaCha20.
        cipher: Cow::Borrowed(&[
            cipher::AES_256_GCM,
            cipher::CHACHA20_POLY1305,
            cipher::AES_256_CTR,
            cipher::AES_192_CTR,
            cipher::AES_128_CTR,
        ]),
        ..Preferred::DEFAULT
    }
}

/// What russh asks us about: the host key.
pub(super) struct Client {
    settings: Settings,
    known: KnownHosts,
    refused: Arc<Mutex<Option<TransportError>>>,
    closed: Arc<Mutex<Option<String>>>,
}

impl Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let judged = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.judge(key),
            PublicKeyOrCertificate::Certificate(certificate) => {
                let authority = PublicKey::from(certificate.signature_key().clone());
                match self.judge_certificate(certificate, &authority) {
                    Ok(()) => Ok(()),
                    Err(why) => Err(self.refuse(format!(
                        "the host certificate of {} is not valid: {why}",
                        self.name()
                    ))),
                }
            }
        };
        match judged {
            Ok(()) => Ok(true),
            Err(error) => {
                *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Ok(false)
            }
        }
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<Self::Error>,
    ) -> Result<(), Self::Error> {
        let (why, result) = match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                (format!("the host ended the connection: {}", info.message), Ok(()))
            }
            DisconnectReason::Error(error) => {
                let why = match &error {
                    russh::Error::KeepaliveTimeout => format!(
                        "the host did not answer {} keep-alives, {} s apart",
                        self.settings.alive_count,
                        self.settings.alive_interval.as_secs()
                    ),
                    other => other.to_string(),
                };
                (why, Err(error))
            }
        };
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        result
    }
}

impl Client {
    fn name(&self) -> String {
        lookup_name(&self.settings.key_name, self.settings.port)
    }

    fn refuse(&self, why: String) -> TransportError {
        failed(&self.settings, TransportErrorKind::HostKey, &why)
    }

    fn judge(&self, key: &PublicKey) -> Result<(), TransportError> {
        let settings = &self.settings;
        let (name, port) = (&settings.key_name, settings.port);
        let algorithm = key.algorithm();
        let key_type = match algorithm {
            Algorithm::Rsa { .. } => "ssh-rsa",
            ref other => other.as_str(),
        };
        let print = key.fingerprint(HashAlg::Sha256);
        match self.known.check(name, port, key_type, &key.public_key_bytes()) {
            Verdict::Known => Ok(()),
            Verdict::Revoked(place) => Err(self
                .refuse(format!(
                    "{} shows {key_type} key {print}, which {place} marks as revoked",
                    self.name()
                ))
                .hint("do not connect: the key is known to be in wrong hands")),
            Verdict::Changed(place) => Err(self
                .refuse(format!(
                    "the host key of {} has changed: it shows {key_type} {print}, {place} knows another",
                    self.name()
                ))
                .hint(format!(
                    "someone may be listening in. If the host was set up anew, remove the old key: ssh-keygen -R '{}' -f {}",
                    self.name(),
                    place.file.display()
                ))),
            Verdict::Unknown => match settings.host_keys {
                HostKeys::Off => Ok(()),
                HostKeys::AcceptNew => self.learn(key),
                HostKeys::Strict => Err(self
                    .refuse(format!(
                        "Host key verification failed: no key is known for {}; it shows {key_type} {print}",
                        self.name()
                    ))
                    .hint(format!(
                        "compare that fingerprint with the host's, then ssh-keyscan -p {port} {} >> {}, or run with --accept-new-host-keys",
                        settings.host,
                        settings
                            .learn_into
                            .as_ref()
                            .map_or("~/.ssh/known_hosts".into(), |file| file.display().to_string())
                    ))),
            },
        }
    }

    fn learn(&self, key: &PublicKey) -> Result<(), TransportError> {
        let Some(file) = &self.settings.learn_into else { return Ok(()) };
        let line = key.to_openssh().map_err(|error| self.refuse(error.to_string()))?;
        // Another of us may have met the host in the meantime.
        let now = KnownHosts::load(std::slice::from_ref(file));
        let algorithm = key.algorithm();
        if now.check(
            &self.settings.key_name,
            self.settings.port,
            algorithm.as_str(),
            &key.public_key_bytes(),
        ) == Verdict::Known
        {
            return Ok(());
        }
        learn(file, &self.settings.key_name, self.settings.port, &line).map_err(|error| {
            self.refuse(format!("cannot write the new host key to {}: {error}", file.display()))
        })
    }

    fn judge_certificate(
        &self,
        certificate: &russh::keys::Certificate,
        authority: &PublicKey,
    ) -> Result<(), String> {
        let (name, port) = (&self.settings.key_name, self.settings.port);
        if certificate.cert_type() != CertType::Host {
            return Err("it is a user certificate".to_owned());
        }
        match self.known.check_authority(name, port, &authority.public_key_bytes()) {
            Verdict::Known => {}
            Verdict::Revoked(place) => return Err(format!("{place} revokes its authority")),
            Verdict::Unknown | Verdict::Changed(_) => {
                return Err("its authority is not known for this host".to_owned());
            }
        }
        let principals = certificate.valid_principals();
        if !principals.is_empty() && !principals.iter().any(|one| one.eq_ignore_ascii_case(name)) {
            return Err(format!("it is for {}", principals.join(", ")));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        let print = authority.fingerprint(HashAlg::Sha256);
        certificate.validate_at(now, [&print]).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn russh_names_key_types_as_known_hosts_does() {
        let curve = russh::keys::EcdsaCurve::NistP256;
        assert_eq!(Algorithm::Ecdsa { curve }.as_str(), "ecdsa-sha2-nistp256");
        assert_eq!(Algorithm::Ed25519.as_str(), "ssh-ed25519");
    }
}
