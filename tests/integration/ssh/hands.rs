//! Transfers, locks, tunnels and becoming another user.

#![expect(clippy::expect_used, reason = "a failure here is a failed test")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use matron::remote::lock::{HostLock, LockError};
use matron::remote::transfer::{Source, download, upload};
use matron::secret::Secret;
use matron::shell::{Reply, Script};
use matron::transport::{
    Become, BecomeMethod, Connection, Flight, HiddenWord, Identity, LineSink, Local, Stream,
    TransportError, TransportErrorKind,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use crate::support::sshd::{Folder, Sshd, text};

fn local() -> Local {
    Local::new("localhost".into(), Duration::from_secs(10))
}

async fn both(check: impl AsyncFn(&dyn Connection, &Folder)) {
    let folder = Folder::new();
    check(&local(), &folder).await;
    let sshd = Sshd::start("/bin/dash");
    let fleet = sshd.fleet();
    let connection = fleet.connection(&sshd.address()).await.expect("connects");
    let folder = Folder::new();
    check(&*connection, &folder).await;
    fleet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_of_all_sizes_arrive_beside_their_goal_and_come_back() {
    both(async |connection, folder| {
        let none = CancellationToken::new();
        let goal = folder.join("with 'blank");
        let goal = text(&goal);
        let mut big: Vec<u8> = (0..40_000_000u32).map(|n| (n % 253) as u8).collect();
        for content in
            [b"".to_vec(), b"a\nb\n\n".to_vec(), b"\0x\0".to_vec(), std::mem::take(&mut big)]
        {
            let source = Source::Bytes(content.clone());
            let made = upload(connection, &Identity::Login, source, goal, &none).await.expect("up");
            assert!(made.starts_with(&format!("{}/.matron-", folder.path().display())), "{made}");
            assert_eq!(fs::metadata(&made).expect("there").mode() & 0o777, 0o600);
            let back = download(connection, &Identity::Login, &made, 50_000_000, &none).await;
            assert!(back.expect("down") == content);
            fs::remove_file(made).expect("removed");
        }
    })
    .await;
}

/// A connection that counts the bytes of what it sends.
#[derive(Debug)]
struct Counted {
    inner: Local,
    sent: AtomicUsize,
}

#[async_trait]
impl Connection for Counted {
    async fn run(
        &self,
        identity: &Identity,
        flight: Flight,
        cancel: &CancellationToken,
    ) -> Result<Vec<Reply>, TransportError> {
        let bytes = flight.scripts.iter().map(|script| script.render().len()).sum();
        self.sent.fetch_add(bytes, Ordering::Relaxed);
        self.inner.run(identity, flight, cancel).await
    }

    async fn run_long(
        &self,
        identity: &Identity,
        script: Script,
        lines: LineSink,
        cancel: &CancellationToken,
    ) -> Result<Reply, TransportError> {
        self.sent.fetch_add(script.render().len(), Ordering::Relaxed);
        self.inner.run_long(identity, script, lines, cancel).await
    }

    async fn feed(
        &self,
        identity: &Identity,
        script: Script,
        mut input: Box<dyn AsyncRead + Send + Unpin>,
        lines: LineSink,
        cancel: &CancellationToken,
    ) -> Result<Reply, TransportError> {
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes).await.expect("the source");
        self.sent.fetch_add(script.render().len() + bytes.len(), Ordering::Relaxed);
        let input = Box::new(std::io::Cursor::new(bytes));
        self.inner.feed(identity, script, input, lines, cancel).await
    }

    async fn tunnel(&self, host: &str, port: u16) -> Result<Box<dyn Stream>, TransportError> {
        self.inner.tunnel(host, port).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_goal_holds_already_is_not_sent() {
    let folder = Folder::new();
    let goal = folder.join("goal");
    let content = vec![7; 1_000_000];
    let none = CancellationToken::new();
    let counted = Counted { inner: local(), sent: AtomicUsize::new(0) };
    let source = || Source::Bytes(content.clone());
    upload(&counted, &Identity::Login, source(), text(&goal), &none).await.expect("up");
    let sent = counted.sent.swap(0, Ordering::Relaxed);
    assert!(sent > content.len(), "a goal that is missing takes all of it: {sent} bytes");
    fs::write(&goal, &content).expect("goal");
    let made =
        upload(&counted, &Identity::Login, source(), text(&goal), &none).await.expect("again");
    assert_eq!(fs::read(made).expect("made"), content);
    let sent = counted.sent.load(Ordering::Relaxed);
    assert!(sent < 10_000, "only the comparison is sent: {sent} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_that_cannot_be_say_why_and_leave_nothing() {
    let folder = Folder::new();
    let none = CancellationToken::new();
    let path = folder.join("none/x");
    let error =
        upload(&local(), &Identity::Login, Source::Bytes(vec![1]), text(&path), &none).await;
    let error = error.expect_err("no folder");
    assert_eq!(error.kind, TransportErrorKind::Transfer);
    assert!(error.message.contains("cannot transfer") && error.message.contains("none"), "{error}");
    let path = folder.join("x");
    fs::write(&path, "12345").expect("file");
    let error =
        download(&local(), &Identity::Login, text(&path), 4, &none).await.expect_err("long");
    assert!(error.message.contains("is 5 bytes long, the limit is 4"), "{error}");
    let path = folder.join("missing");
    let error =
        download(&local(), &Identity::Login, text(&path), 4, &none).await.expect_err("none");
    assert!(error.message.contains("file not found"), "{error}");
    // An upload that is cancelled in the middle takes its temporary file with it.
    let cancel = CancellationToken::new();
    let connection = local();
    cancel.cancel();
    let source = Source::Bytes(vec![0; 9_000_000]);
    let error =
        upload(&connection, &Identity::Login, source, text(&folder.join("y")), &cancel).await;
    assert_eq!(error.expect_err("cancelled").kind, TransportErrorKind::Cancelled);
    let left: Vec<_> = fs::read_dir(folder.path())
        .expect("folder")
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(".matron"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lock_is_held_by_one_and_dies_with_its_connection() {
    let sshd = Sshd::start("/bin/dash");
    let name = format!("test-{}", sshd.port);
    let take = async |who: &str| {
        let fleet = sshd.fleet();
        let connection = fleet.connection(&sshd.address()).await.expect("connects");
        let again = Arc::clone(&connection);
        let lock = HostLock::take(connection, &"db1".into(), &Identity::Login, &name, who).await;
        (lock, again)
    };
    let (first, _keep) = take("alice (run 7)").await;
    let first = first.expect("free");
    match take("bob").await.0 {
        Err(LockError::Held { holder, .. }) => {
            assert!(holder.starts_with("alice (run 7) since 20"), "{holder}");
        }
        other => panic!("{other:?}"),
    }
    first.release().await;
    let (second, connection) = take("bob").await;
    let second = second.expect("given back");
    let flight = Flight { scripts: vec![Script::new("kill -9 $PPID")] };
    let lost = connection.run(&Identity::Login, flight, &CancellationToken::new()).await;
    assert!(lost.is_err());
    for _ in 0..200 {
        if let (Ok(third), _keep) = take("carol").await {
            assert!(second.is_lost());
            drop(fs::remove_file(format!("/run/lock/matron-{name}.lock")));
            third.release().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the lock outlived its connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn tunnel_reaches_ports_and_sockets_of_the_far_side() {
    both(async |connection, folder| {
        let socket = folder.join("socket");
        let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
        let port = tcp.local_addr().expect("address").port();
        let unix = tokio::net::UnixListener::bind(&socket).expect("socket");
        let echo = async {
            let (mut one, _) = tcp.accept().await.expect("accept");
            let (mut read, mut write) = one.split();
            tokio::io::copy(&mut read, &mut write).await.expect("echo");
            drop(one);
            let (mut two, _) = unix.accept().await.expect("accept");
            let (mut read, mut write) = two.split();
            tokio::io::copy(&mut read, &mut write).await.expect("echo");
        };
        let talk = async {
            for (host, port) in [("127.0.0.1", port), (text(&socket), 0)] {
                let mut stream = connection.tunnel(host, port).await.expect("tunnel");
                let sent = vec![5; 300_000];
                let (mut read, mut write) = tokio::io::split(&mut stream);
                let write = async {
                    write.write_all(&sent).await.expect("write");
                    write.shutdown().await.expect("shutdown");
                };
                let mut came = Vec::new();
                let ((), got) = tokio::join!(write, read.read_to_end(&mut came));
                got.expect("read");
                assert!(came == sent, "{} of {}", came.len(), sent.len());
            }
        };
        tokio::join!(echo, talk);
        let error = connection.tunnel("127.0.0.1", 1).await.err().expect("closed");
        assert_eq!(error.kind, TransportErrorKind::Connect);
    })
    .await;
}

/// Behaves as sudo does towards its caller: asks on stderr, tries again, gives up.
const SUDO: &str = r#"#!/bin/sh
while [ $# -gt 0 ]; do case $1 in
-n) never=1 ;; -p) prompt=$2; shift ;; -u) user=$2; shift ;; -*) ;; *) break ;; esac; shift; done
[ "$never" ] && { echo "sudo: a password is required" >&2; exit 1; }
for try in 1 2 3; do
printf '%s' "$prompt" >&2
IFS= read -r word || exit 1
[ "$word" = "right one" ] && BECAME=$user exec env BECAME=$user "$@"
echo "Sorry, try again." >&2
done
echo "sudo: 3 incorrect password attempts" >&2
exit 1
"#;

fn with_sudo(folder: &Folder, password: Option<&str>) -> Identity {
    let exe = folder.join("sudo");
    if !exe.exists() {
        fs::write(&exe, SUDO).expect("sudo");
        fs::set_permissions(&exe, fs::Permissions::from_mode(0o755)).expect("mode");
    }
    Identity::Become(Become {
        method: BecomeMethod::Sudo,
        user: "postgres".to_owned(),
        exe: Some(text(&exe).to_owned()),
        flags: None,
        password: password.map(|word| HiddenWord(Secret::new(word))),
    })
}

async fn became(
    connection: &dyn Connection,
    identity: &Identity,
) -> Result<String, TransportError> {
    let flight = Flight { scripts: vec![Script::new("echo $BECAME; cat")] };
    let replies = connection.run(identity, flight, &CancellationToken::new()).await?;
    Ok(replies[0].stdout_text())
}

#[tokio::test(flavor = "multi_thread")]
async fn sudo_passwords_are_given_missed_and_refused_in_words_people_know() {
    both(async |connection, folder| {
        let told = async |password: Option<&str>| {
            let identity = with_sudo(folder, password);
            became(connection, &identity).await.map_err(|error| (error.kind, error.message))
        };
        assert_eq!(told(Some("right one")).await, Ok("postgres".to_owned()));
        let refused = |text: &str| Err((TransportErrorKind::Become, text.to_owned()));
        assert_eq!(told(Some("wrong")).await, refused("Incorrect sudo password"));
        assert_eq!(told(None).await, refused("Missing sudo password"));
        // Long work and killing go by the same door.
        let identity = with_sudo(folder, Some("right one"));
        let script = Script::new("echo $BECAME; sleep 77").within(Duration::from_millis(300));
        let none = CancellationToken::new();
        let reply = connection.run_long(&identity, script, Arc::new(|_| {}), &none).await;
        let reply = reply.expect("runs");
        assert_eq!((reply.timed_out, reply.stdout_text().as_str()), (true, "postgres"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_sudo_is_named() {
    let identity = Identity::Become(Become {
        method: BecomeMethod::Sudo,
        user: "root".to_owned(),
        exe: Some("/no/such/sudo".to_owned()),
        flags: None,
        password: None,
    });
    let error = became(&local(), &identity).await.expect_err("no sudo");
    assert_eq!(error.kind, TransportErrorKind::Become);
    assert!(error.message.contains("/no/such/sudo"), "{error}");
}
