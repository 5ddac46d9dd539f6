//! One operator a host: a lock that is held by the live connection and dies with it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::names::HostName;
use crate::shell::{Reply, Script};
use crate::transport::{Connection, Identity, OutputLine, TransportError, TransportErrorKind};

/// Longer than any run: the lock ends with its holder, not by time.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// `flock` where it is there: the kernel drops the lock with its last holder. Otherwise a folder that names its holder's
/// process, so that one left behind by a crash is known for what it is. It is given back when our end of the channel ends,
/// or has not been heard of for two minutes: a cable that was pulled ends no connection.
const HOLD: &str = r#"
wait_for_end() {
if command -v timeout >/dev/null 2>&1; then
while [ -n "$(timeout 120 head -c 1)" ]; do :; done
else
cat >/dev/null
fi
}
for folder in /run/lock /var/lock /tmp; do [ -d "$folder" ] && [ -w "$folder" ] && break; done
lock=$folder/matron-$name.lock
held() { printf 'held-by %s\n' "$(tr '\n' ' ' <"$lock.who" 2>/dev/null)"; exit 75; }
mine() { { printf '%s\n' "$who"; date -u '+%Y-%m-%dT%H:%M:%SZ'; } >"$lock.who" 2>/dev/null; echo locked; }
if command -v flock >/dev/null 2>&1; then
[ -e "$lock" ] || (umask 022; : >>"$lock") 2>/dev/null
exec 9<"$lock" || exit 74
flock -n 9 || held
mine
wait_for_end
rm -f "$lock.who"
else
if ! mkdir "$lock.d" 2>/dev/null; then
read -r pid <"$lock.d/pid" && [ -d "/proc/$pid" ] && held
rm -rf "$lock.d"; mkdir "$lock.d" 2>/dev/null || held
fi
trap 'rm -rf "$lock.d" "$lock.who"' EXIT
echo $$ >"$lock.d/pid"
mine
wait_for_end
fi
"#;

/// Between two signs of life.
const BEAT: Duration = Duration::from_secs(15);

/// Tells the host that we live, until this is aborted, which ends the stream.
async fn beat(mut hold: DuplexStream) {
    loop {
        tokio::time::sleep(BEAT).await;
        if hold.write_all(b".").await.is_err() {
            return;
        }
    }
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("{host} is locked by {holder}")]
    Held {
        /// The host.
        host: HostName,
        /// Who, and since when (UTC, by the host's clock).
        holder: String,
    },
    /// The host could not be asked.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// A held lock. Dropping it gives it back; [`HostLock::release`] also waits until that is done.
#[derive(Debug)]
pub struct HostLock {
    beat: JoinHandle<()>,
    work: JoinHandle<Result<Reply, TransportError>>,
}

impl HostLock {
    /// Takes the lock `name` (`[a-z0-9_-]+`) on a host; `who` is shown to others who want it. Does not wait for it.
    ///
    /// Uses one of the connection's long channels for as long as it is held.
    pub async fn take(
        connection: Arc<dyn Connection>,
        host: &HostName,
        identity: &Identity,
        name: &str,
        who: &str,
    ) -> Result<Self, LockError> {
        let (said, hears) = oneshot::channel();
        let said = Mutex::new(Some(said));
        let lines = Arc::new(move |line: OutputLine| {
            if let OutputLine::Out(text) = line
                && let Some(said) = said.lock().unwrap_or_else(PoisonError::into_inner).take()
            {
                said.send(text).ok();
            }
        });
        let (hold, input) = tokio::io::duplex(16);
        let script = Script::new(HOLD).var("name", name).var("who", who).within(FOR_EVER);
        let identity = identity.clone();
        let mut work = tokio::spawn(async move {
            let none = CancellationToken::new();
            connection.feed(&identity, script, Box::new(input), lines, &none).await
        });
        let odd = |what: String| {
            LockError::Transport(TransportError::new(
                host,
                TransportErrorKind::Protocol,
                format!("cannot lock {host}: {what}"),
            ))
        };
        let line = tokio::select! {
            biased;
            line = hears => line.ok(),
            done = &mut work => {
                let reply = done.map_err(|error| odd(error.to_string()))??;
                return Err(odd(format!("status {} {}", reply.status, reply.stderr_text())));
            }
        };
        match line.as_deref() {
            // An answer that came late may be one of a channel that has ended since: the lock went with it.
            Some("locked") if work.is_finished() => {
                Err(odd("the lock was lost at once".to_owned()))
            }
            Some("locked") => Ok(Self { beat: tokio::spawn(beat(hold)), work }),
            Some(text) => match text.strip_prefix("held-by ") {
                Some(holder) => {
                    let holder = match holder.trim() {
                        "" => "another run of matron".to_owned(),
                        named => match named.rsplit_once(' ') {
                            Some((who, since)) => format!("{who} since {since}"),
                            None => named.to_owned(),
                        },
                    };
                    Err(LockError::Held { host: host.clone(), holder })
                }
                None => Err(odd(text.to_owned())),
            },
            None => Err(odd("no answer".to_owned())),
        }
    }

    /// Tells whether the lock was lost with its connection.
    pub fn is_lost(&self) -> bool {
        self.work.is_finished()
    }

    /// Gives the lock back and waits until the host has done so.
    pub async fn release(mut self) {
        self.beat.abort();
        match tokio::time::timeout(Duration::from_secs(5), &mut self.work).await {
            Ok(Ok(Ok(_))) => {}
            Ok(Ok(Err(error))) => tracing::debug!(%error, "the lock ended with its connection"),
            Ok(Err(error)) => tracing::warn!(%error, "the lock's task failed"),
            Err(_) => tracing::warn!("the lock was not given back in time"),
        }
    }
}

impl Drop for HostLock {
    fn drop(&mut self) {
        self.beat.abort();
    }
}
