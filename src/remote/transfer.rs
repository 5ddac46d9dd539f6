//! Files to a host and back: never half, never wrong.
//!
//! An upload ends in a temporary file beside its goal, mode 0600, flushed and compared; the caller moves it in place. What
//! the goal holds already is not sent again.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_util::sync::CancellationToken;

use crate::digest::hex;
use crate::shell::{Reply, Script};
use crate::transport::{Connection, Flight, Identity, TransportError, TransportErrorKind};

/// Where uploaded bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file on this machine.
    File(PathBuf),
    /// Bytes at hand.
    Bytes(Vec<u8>),
}

/// Content up to this size rides in the script itself: one round trip instead of three.
const INLINE: u64 = 256 * 1024;

/// How much of a file is fetched in one go.
const FETCHED: u64 = 32 * 1024 * 1024;

/// The least a transfer is given, and the slowest rate that is waited for.
const LEAST: Duration = Duration::from_secs(120);
const SLOWEST: u64 = 32 * 1024;

/// What both sides compute, to be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sums {
    size: u64,
    sha256: String,
    cksum: u32,
}

const PREPARE: &str = r#"
(umask 077; set -C; : >"$temporary") || exit 1
if command -v sha256sum >/dev/null 2>&1; then reply tool sha256sum; sum() { sha256sum; }; want=$sha256
else reply tool cksum; sum() { cksum; }; want="$cksum"; fi
command -v base64 >/dev/null 2>&1 && reply base64 1
if [ -f "$beside" ] && [ -r "$beside" ] && [ "$(($(wc -c <"$beside")))" = "$size" ]; then
have=$(sum <"$beside"); have=${have%% *}
if [ "$have" = "$want" ] && cat "$beside" >"$temporary"; then reply same 1; fi
fi
"#;

const CHECK: &str = r#"
sync "$temporary" 2>/dev/null || sync
reply size "$(($(wc -c <"$temporary")))"
if [ "$tool" = sha256sum ]; then have=$(sha256sum <"$temporary"); else have=$(cksum <"$temporary"); fi
reply sum "${have%% *}"
"#;

const FROM_STDIN: &str = "cat >\"$temporary\" || exit 1";
const FROM_TEXT: &str = "printf %s \"$data\" >\"$temporary\" || exit 1";
const FROM_BASE64: &str = "printf %s \"$data_b64\" | base64 -d >\"$temporary\" || exit 1";

/// Brings bytes to a temporary file in the folder of `beside` and returns its path. Two round trips for small content, more
/// for a stream of its own; nothing but the check is sent when `beside` holds the same bytes already.
pub async fn upload(
    connection: &dyn Connection,
    identity: &Identity,
    source: impl Into<Source>,
    beside: &str,
    cancel: &CancellationToken,
) -> Result<String, TransportError> {
    let source = source.into();
    let way = Way { connection, identity, cancel };
    let sums = source.sums().await.map_err(|error| failed(&source.cannot_read(&error)))?;
    let temporary = name_beside(beside);
    let prepare = Script::new(PREPARE)
        .var("beside", beside)
        .var("temporary", &temporary)
        .var("size", sums.size.to_string())
        .var("sha256", &sums.sha256)
        .var("cksum", sums.cksum.to_string())
        .within(allowed(sums.size));
    // The name is known before the file is there: whatever is cancelled, it can be taken away.
    let sent = match way.run(prepare, beside).await {
        Ok(ready) if ready.fields.is_set("same") => Ok(()),
        Ok(ready) => way.send(&source, &sums, &ready, &temporary).await,
        Err(error) => Err(error),
    };
    match sent {
        Ok(()) => Ok(temporary),
        Err(error) => {
            way.remove(&temporary).await;
            Err(error)
        }
    }
}

/// Returns a name that is nobody's in the folder of `beside`.
fn name_beside(beside: &str) -> String {
    let name = format!(".matron-{}", uuid::Uuid::new_v4().simple());
    match beside.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{name}"),
        None => format!("./{name}"),
    }
}

/// Fetches a file. More than `limit` bytes are refused before they are sent.
pub async fn download(
    connection: &dyn Connection,
    identity: &Identity,
    path: &str,
    limit: u64,
    cancel: &CancellationToken,
) -> Result<Vec<u8>, TransportError> {
    let way = Way { connection, identity, cancel };
    let mut content = Vec::new();
    let mut size = 0;
    loop {
        let script = Script::new(
            "[ -e \"$path\" ] || { reply missing 1; exit 0; }\n\
             size=$(wc -c <\"$path\") || exit 1\nsize=$((size)); reply size \"$size\"\n\
             [ \"$size\" -gt \"$limit\" ] || \
             dd if=\"$path\" bs=1048576 skip=\"$skip\" count=\"$count\" 2>/dev/null",
        )
        .var("path", path)
        .var("limit", limit.to_string())
        .var("skip", (content.len() as u64 / (1024 * 1024)).to_string())
        .var("count", (FETCHED / (1024 * 1024)).to_string())
        .within(allowed(FETCHED));
        let part = way.run(script, path).await?;
        if part.fields.is_set("missing") {
            return Err(failed(&format!("file not found: {path}")));
        }
        let now: u64 = part
            .field("size")
            .and_then(|size| size.parse().ok())
            .ok_or_else(|| failed(&format!("the host did not say how long {path} is")))?;
        if now > limit {
            return Err(failed(&format!("{path} is {now} bytes long, the limit is {limit}")));
        }
        if !content.is_empty() && now != size {
            return Err(failed(&format!("{path} changed while it was read")));
        }
        size = now;
        let came = part.stdout.len() as u64;
        content.extend(part.stdout);
        let have = content.len() as u64;
        if have == size {
            return Ok(content);
        }
        if came == 0 || have > size || came != FETCHED {
            return Err(failed(&format!(
                "{path} changed while it was read: {have} of {size} bytes came"
            )));
        }
    }
}

/// The host's name is filled in by who knows it.
fn failed(message: &str) -> TransportError {
    TransportError::new(&"".into(), TransportErrorKind::Transfer, message)
}

fn allowed(size: u64) -> Duration {
    LEAST.max(Duration::from_secs(size / SLOWEST))
}

struct Way<'a> {
    connection: &'a dyn Connection,
    identity: &'a Identity,
    cancel: &'a CancellationToken,
}

impl Way<'_> {
    async fn run(&self, script: Script, path: &str) -> Result<Reply, TransportError> {
        let flight = Flight { scripts: vec![script] };
        let replies = self.connection.run(self.identity, flight, self.cancel).await?;
        let reply = replies.into_iter().next().unwrap_or_default();
        succeeded(reply, path)
    }

    async fn send(
        &self,
        source: &Source,
        sums: &Sums,
        ready: &Reply,
        temporary: &str,
    ) -> Result<(), TransportError> {
        let tool = ready.field("tool").unwrap_or_default();
        let with = |script: Script| {
            script
                .then(CHECK)
                .var("temporary", temporary)
                .var("tool", &tool)
                .within(allowed(sums.size))
        };
        let small = sums.size <= INLINE;
        let bytes = if small {
            let read = source.bytes().await;
            Some(read.map_err(|error| failed(&source.cannot_read(&error)))?)
        } else {
            None
        };
        let reply = match bytes {
            Some(bytes) if !bytes.contains(&0) => {
                self.run(with(Script::new(FROM_TEXT).var("data", bytes)), temporary).await?
            }
            Some(bytes) if ready.fields.is_set("base64") => {
                self.run(with(Script::new(FROM_BASE64).var("data", bytes)), temporary).await?
            }
            Some(_) | None => {
                let input =
                    source.open().await.map_err(|error| failed(&source.cannot_read(&error)))?;
                let script = with(Script::new(FROM_STDIN));
                let lines = Arc::new(|_| {});
                let reply =
                    self.connection.feed(self.identity, script, input, lines, self.cancel).await?;
                succeeded(reply, temporary)?
            }
        };
        let size = reply.field("size").unwrap_or_default();
        let sum = reply.field("sum").unwrap_or_default();
        let expected =
            if tool == "sha256sum" { sums.sha256.clone() } else { sums.cksum.to_string() };
        if size != sums.size.to_string() {
            return Err(failed(&format!("{size} of {} bytes are in {temporary}", sums.size)));
        }
        if sum != expected {
            return Err(failed(&format!(
                "what arrived in {temporary} is not what was sent: {tool} {sum}, expected {expected}"
            )));
        }
        Ok(())
    }

    /// Runs whatever was cancelled: a temporary file is not left behind.
    async fn remove(&self, temporary: &str) {
        let script = Script::new("rm -f \"$temporary\"").var("temporary", temporary);
        let flight = Flight { scripts: vec![script.within(Duration::from_secs(10))] };
        let always = CancellationToken::new();
        if let Err(error) = self.connection.run(self.identity, flight, &always).await {
            tracing::warn!(temporary, %error, "a temporary file may be left");
        }
    }
}

fn succeeded(reply: Reply, path: &str) -> Result<Reply, TransportError> {
    if reply.timed_out {
        return Err(failed(&format!("the transfer of {path} took too long and was stopped")));
    }
    if reply.status != 0 {
        let said = reply.stderr_text();
        let said = if said.is_empty() { format!("status {}", reply.status) } else { said };
        return Err(failed(&format!("cannot transfer {path}: {said}")));
    }
    Ok(reply)
}

impl Source {
    fn cannot_read(&self, error: &io::Error) -> String {
        match self {
            Self::File(path) => format!("cannot read {}: {error}", path.display()),
            Self::Bytes(_) => format!("cannot read the bytes to send: {error}"),
        }
    }

    async fn open(&self) -> io::Result<Box<dyn AsyncRead + Send + Unpin>> {
        Ok(match self {
            Self::File(path) => Box::new(tokio::fs::File::open(path).await?),
            Self::Bytes(bytes) => Box::new(io::Cursor::new(bytes.clone())),
        })
    }

    async fn bytes(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::File(path) => tokio::fs::read(path).await,
            Self::Bytes(bytes) => Ok(bytes.clone()),
        }
    }

    async fn sums(&self) -> io::Result<Sums> {
        let mut input = self.open().await?;
        let mut buffer = vec![0; 256 * 1024];
        let (mut size, mut sha, mut crc) = (0, Sha256::new(), Cksum::default());
        loop {
            let got = input.read(&mut buffer).await?;
            let Some(block) = buffer.get(..got).filter(|block| !block.is_empty()) else { break };
            size += got as u64;
            sha.update(block);
            crc.add(block);
        }
        let sha256 = hex(&sha.finalize());
        Ok(Sums { size, sha256, cksum: crc.end(size) })
    }
}

/// The sum of POSIX `cksum`, for hosts without sha256sum.
#[derive(Default)]
struct Cksum(u32);

impl Cksum {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        // A `const` can only count by hand, and neither index by a u32 nor turn one into a usize without a cast.
        let (mut at, mut high_byte) = (0, 0_u32);
        while at < 256 {
            let mut value = high_byte << 24;
            let mut bit = 0;
            while bit < 8 {
                value =
                    if value & 0x8000_0000 == 0 { value << 1 } else { value << 1 ^ 0x04C1_1DB7 };
                bit += 1;
            }
            table[at] = value;
            at += 1;
            high_byte += 1;
        }
        table
    };

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let at = (self.0 >> 24) as u8 ^ byte;
            self.0 = self.0 << 8 ^ Self::TABLE[usize::from(at)];
        }
    }

    fn end(mut self, mut size: u64) -> u32 {
        while size > 0 {
            self.add(&[(size & 0xff) as u8]);
            size >>= 8;
        }
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sums_are_those_of_the_tools() {
        let sums = Source::Bytes(b"hello\n".to_vec()).sums().await.expect("sums");
        assert_eq!((sums.size, sums.cksum), (6, 3_015_617_425));
        assert_eq!(sums.sha256, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
        let none = Source::Bytes(Vec::new()).sums().await.expect("sums");
        assert_eq!(none.cksum, 4_294_967_295);
    }
}
