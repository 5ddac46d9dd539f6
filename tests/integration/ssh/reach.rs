//! Reaching a host, and what is said when it cannot be reached.

#![expect(clippy::expect_used, clippy::panic, reason = "a failure here is a failed test")]

use std::time::{Duration, Instant};

use matron::shell::Script;
use matron::transport::{Address, Flight, HostKeys, Identity, TransportError, TransportErrorKind};
use tokio_util::sync::CancellationToken;

use crate::support::sshd::{Sshd, free_port, keygen, text};

async fn error_of(sshd: &Sshd, address: &Address) -> TransportError {
    match sshd.fleet().connection(address).await {
        Ok(_) => panic!("it connected"),
        Err(error) => error,
    }
}

async fn works(sshd: &Sshd, address: &Address) {
    let fleet = sshd.fleet();
    let connection = fleet
        .connection(address)
        .await
        .unwrap_or_else(|error| panic!("{error} {:?}\n{}", error.hint, sshd.log()));
    let flight = Flight { scripts: vec![Script::new("echo hello")] };
    let none = CancellationToken::new();
    let replies = connection.run(&Identity::Login, flight, &none).await.expect("runs");
    assert_eq!(replies[0].stdout_text(), "hello");
    fleet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_and_known_host_are_enough() {
    let sshd = Sshd::start("/bin/dash");
    works(&sshd, &sshd.address()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_host_key_is_refused_with_its_fingerprint_and_the_way_out() {
    let sshd = Sshd::start("/bin/dash");
    std::fs::write(sshd.known_hosts(), "# nothing").expect("known_hosts");
    let error = error_of(&sshd, &sshd.address()).await;
    let print = keygen(&["-l", "-f", text(&sshd.folder.join("host.pub"))]);
    let print = print.split(' ').nth(1).expect("fingerprint");
    assert_eq!(error.kind, TransportErrorKind::HostKey);
    assert!(error.message.contains(print), "{error}");
    let hint = error.hint.expect("a way out");
    assert!(hint.contains("ssh-keyscan") && hint.contains("--accept-new-host-keys"), "{hint}");

    let mut address = sshd.address();
    address.host_keys = HostKeys::AcceptNew;
    works(&sshd, &address).await;
    address.host_keys = HostKeys::Strict;
    works(&sshd, &address).await;
    let known = std::fs::read_to_string(sshd.known_hosts()).expect("known_hosts");
    assert!(known.starts_with("# nothing\n[127.0.0.1]:"), "{known}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_host_key_always_stops_naming_the_line() {
    let sshd = Sshd::start("/bin/dash");
    let other = std::fs::read_to_string(sshd.folder.join("id.pub")).expect("another key");
    let line = format!("# first\n[127.0.0.1]:{} {other}", sshd.port);
    std::fs::write(sshd.known_hosts(), line).expect("known_hosts");
    for mode in [HostKeys::Strict, HostKeys::AcceptNew, HostKeys::Off] {
        let mut address = sshd.address();
        address.host_keys = mode;
        let error = error_of(&sshd, &address).await;
        assert_eq!(error.kind, TransportErrorKind::HostKey);
        let place = format!("{}:2", sshd.known_hosts().display());
        assert!(error.message.contains(&place) && error.message.contains("changed"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_user_is_told_as_permission_denied() {
    let sshd = Sshd::start("/bin/dash");
    let mut address = sshd.address();
    address.user = Some("nobody-here".to_owned());
    let error = error_of(&sshd, &address).await;
    assert_eq!(error.kind, TransportErrorKind::Authentication);
    assert!(
        error.message.contains("nobody-here@127.0.0.1: Permission denied (publickey"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_port_is_told_at_once() {
    let sshd = Sshd::start("/bin/dash");
    let mut address = sshd.address();
    address.port = Some(free_port());
    let error = error_of(&sshd, &address).await;
    let expected = format!(
        "Failed to connect to the host via ssh: connect to host 127.0.0.1 port {}: Connection refused",
        address.port.unwrap_or_default()
    );
    assert_eq!((error.kind, error.message), (TransportErrorKind::Connect, expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_host_is_given_up_after_the_handshake_deadline() {
    let sshd = Sshd::start("/bin/dash");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("listener");
    let mut address = sshd.address();
    address.port = Some(silent.local_addr().expect("address").port());
    address.timeout = Duration::from_secs(1);
    let began = Instant::now();
    let error = error_of(&sshd, &address).await;
    assert_eq!(error.kind, TransportErrorKind::Connect);
    assert!(error.message.contains("did not finish the SSH handshake within 1 s"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_key_is_named_with_what_it_needs() {
    let sshd = Sshd::start("/bin/dash");
    let key = sshd.folder.join("id");
    keygen(&["-q", "-p", "-P", "", "-N", "secret phrase", "-f", text(&key)]);
    let error = error_of(&sshd, &sshd.address()).await;
    assert_eq!(error.kind, TransportErrorKind::Authentication);
    let expected = format!("key {} is encrypted and needs its passphrase", key.display());
    assert!(error.message.contains(&expected), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rsa_and_ecdsa_keys_are_taken() {
    let sshd = Sshd::start("/bin/dash");
    for kind in ["rsa", "ecdsa"] {
        let key = sshd.folder.join(kind);
        keygen(&["-q", "-t", kind, "-N", "", "-f", text(&key)]);
        std::fs::copy(sshd.folder.join(&format!("{kind}.pub")), sshd.folder.join("authorized"))
            .expect("authorized");
        let mut address = sshd.address();
        address.private_key = Some(text(&key).to_owned());
        works(&sshd, &address).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_of_an_authority_that_the_host_trusts_is_taken() {
    let sshd = Sshd::start("/bin/dash");
    let trusted = std::fs::read_to_string(sshd.folder.join("id.pub")).expect("the authority's key");
    std::fs::write(sshd.folder.join("authorized"), format!("cert-authority {trusted}"))
        .expect("authorized");
    let key = sshd.folder.join("signed");
    keygen(&["-q", "-t", "ed25519", "-N", "", "-f", text(&key)]);
    // Without its certificate the key opens nothing.
    let mut address = sshd.address();
    address.private_key = Some(text(&key).to_owned());
    let error = error_of(&sshd, &address).await;
    assert_eq!(error.kind, TransportErrorKind::Authentication, "{error}");
    let authority = sshd.folder.join("id");
    let public = sshd.folder.join("signed.pub");
    keygen(&["-q", "-s", text(&authority), "-I", "matron", "-n", "root", text(&public)]);
    works(&sshd, &address).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_behind_one_jump_share_its_connection() {
    let jump = Sshd::with("/bin/dash", "LogLevel VERBOSE");
    let inner = Sshd::start("/bin/dash");
    let known = format!("[127.0.0.1]:{} {}", inner.port, inner.host_key());
    let both = std::fs::read_to_string(jump.known_hosts()).expect("known") + &known;
    std::fs::write(jump.known_hosts(), both).expect("known");
    let mut keys = std::fs::read_to_string(inner.folder.join("authorized")).expect("keys");
    keys += &std::fs::read_to_string(jump.folder.join("id.pub")).expect("key");
    std::fs::write(inner.folder.join("authorized"), keys).expect("keys");
    let fleet = jump.fleet();
    for (at, word) in [
        vec!["-J".to_owned(), format!("root@127.0.0.1:{}", jump.port)],
        vec![
            "-o".to_owned(),
            format!("ProxyCommand=ssh -W %h:%p -q -p {} root@127.0.0.1", jump.port),
        ],
    ]
    .into_iter()
    .enumerate()
    {
        let mut address = inner.address();
        address.private_key = Some(text(&jump.folder.join("id")).to_owned());
        address.name = format!("db{at}").as_str().into();
        address.ssh_args = word;
        let connection = fleet
            .connection(&address)
            .await
            .unwrap_or_else(|error| panic!("{error} {:?}\n{}", error.hint, jump.log()));
        let flight = Flight { scripts: vec![Script::new("echo $SSH_CONNECTION")] };
        let none = CancellationToken::new();
        let replies = connection.run(&Identity::Login, flight, &none).await.expect("runs");
        assert!(replies[0].stdout_text().ends_with(&inner.port.to_string()));
    }
    assert_eq!(jump.log().matches("Accepted publickey").count(), 1, "{}", jump.log());
    fleet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_proxy_commands_are_run() {
    let sshd = Sshd::start("/bin/dash");
    let mut address = sshd.address();
    let nc = format!("bash -c 'exec 3<>/dev/tcp/%h/{}; cat <&3 & cat >&3'", sshd.port);
    address.ssh_args = vec!["-o".to_owned(), format!("ProxyCommand={nc}")];
    works(&sshd, &address).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_lost_in_the_middle_is_told_and_the_next_act_connects_anew() {
    let sshd = Sshd::start("/bin/dash");
    let fleet = sshd.fleet();
    let connection = fleet.connection(&sshd.address()).await.expect("connects");
    let none = CancellationToken::new();
    let flight = |code| Flight { scripts: vec![Script::new(code)] };
    let lost = connection.run(&Identity::Login, flight("kill -9 $PPID; sleep 3"), &none).await;
    let error = lost.expect_err("the connection is gone");
    assert_eq!(error.kind, TransportErrorKind::Lost, "{error}");
    assert!(error.message.contains("lost while a script ran"), "{error}");
    let replies = connection.run(&Identity::Login, flight("echo back"), &none).await.expect("runs");
    assert_eq!(replies[0].stdout_text(), "back");
    fleet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn banner_and_chatty_login_shell_do_no_harm() {
    let sshd = Sshd::with(
        "/bin/dash",
        "Banner /etc/passwd\nForceCommand echo Welcome; echo noise >&2; eval \"$SSH_ORIGINAL_COMMAND\"",
    );
    works(&sshd, &sshd.address()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shell_that_does_not_answer_as_agreed_is_shown() {
    let sshd = Sshd::with("/bin/dash", "ForceCommand echo This account is not available.");
    let connection = sshd.fleet().connection(&sshd.address()).await.expect("connects");
    let flight = Flight { scripts: vec![Script::new("echo hello")] };
    let none = CancellationToken::new();
    let error = connection.run(&Identity::Login, flight, &none).await.expect_err("no shell");
    assert_eq!(error.kind, TransportErrorKind::Protocol);
    assert!(error.message.contains("This account is not available."), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_connections_at_once_all_answer() {
    let sshd = Sshd::start("/bin/dash");
    let fleet = std::sync::Arc::new(sshd.fleet());
    let mut all = tokio::task::JoinSet::new();
    for n in 0..50 {
        let mut address = sshd.address();
        // One sshd, fifty addresses: each gets a connection of its own.
        address.timeout += Duration::from_secs(10 + n);
        let fleet = std::sync::Arc::clone(&fleet);
        all.spawn(async move {
            let connection = fleet.connection(&address).await?;
            let flight =
                Flight { scripts: vec![Script::new("reply n \"$n\"").var("n", n.to_string())] };
            let replies =
                connection.run(&Identity::Login, flight, &CancellationToken::new()).await?;
            Ok::<_, TransportError>((n, replies[0].field("n")))
        });
    }
    while let Some(done) = all.join_next().await {
        let (n, field) = done.expect("no panic").unwrap_or_else(|e| panic!("{e}\n{}", sshd.log()));
        assert_eq!(field, Some(n.to_string()));
    }
    fleet.close().await;
}
