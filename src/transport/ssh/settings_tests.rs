use super::*;
use crate::transport::ConnectionKind;

fn person() -> Person {
    Person::new("me", "/nowhere", Some("/agent".into()))
}

fn address(words: &[&str]) -> Address {
    Address {
        name: "db1".into(),
        kind: ConnectionKind::Ssh,
        host: "10.0.0.5".to_owned(),
        port: None,
        user: None,
        password: None,
        private_key: Some("~/key_%r".to_owned()),
        ssh_args: words.iter().map(|word| (*word).to_owned()).collect(),
        timeout: Duration::from_secs(10),
        host_keys: HostKeys::Strict,
    }
}

fn jump(settings: &Settings) -> &Settings {
    match &settings.proxy {
        Proxy::Jump(jump) => jump,
        Proxy::Direct | Proxy::Command(_) => panic!("no jump"),
    }
}

#[test]
fn jumps_in_a_row_are_reached_one_through_the_other() {
    let found =
        settings(&address(&["-F", "none", "-J", "a@one:2201,two"]), &person()).expect("settings");
    assert_eq!(found.way(), "me@10.0.0.5:22 via me@two:22 via a@one:2201");
    // The key given for the host is tried for its jumps as well.
    assert_eq!(jump(&found).keys, [PathBuf::from("/nowhere/key_me")]);
}

#[test]
fn proxy_command_with_w_becomes_a_jump_with_its_own_options() {
    let words = [
        "-F",
        "none",
        "-o",
        "ProxyCommand=ssh -W %h:%p -q -i /k -o StrictHostKeyChecking=no ops@gate",
    ];
    let found = settings(&address(&words), &person()).expect("settings");
    let gate = jump(&found);
    assert_eq!((gate.user.as_str(), gate.host.as_str()), ("ops", "gate"));
    assert_eq!((gate.host_keys, found.host_keys), (HostKeys::Off, HostKeys::Strict));
    assert_eq!(gate.keys.first(), Some(&PathBuf::from("/k")));
}

#[test]
fn inventory_wins_over_words() {
    let mut address =
        address(&["-F", "none", "-o", "User=words", "-p", "1", "-o", "ConnectTimeout=3"]);
    address.user = Some("inventory".to_owned());
    let found = settings(&address, &person()).expect("settings");
    assert_eq!((found.user.as_str(), found.port, found.timeout.as_secs()), ("inventory", 1, 3));
}

#[test]
fn ipv6_jump_needs_brackets_only_with_a_port() {
    let with = destination("u@[fe80::1]:2200").expect("with");
    assert_eq!((with.0.as_str(), with.1.port), ("fe80::1", Some(2200)));
    assert_eq!(destination("fe80::1").map(|d| d.0), Ok("fe80::1".to_owned()));
    assert_eq!(destination("ssh://u@h:22").map(|d| d.0), Ok("h".to_owned()));
    assert!(destination("h:x").is_err() && destination("u@").is_err());
}

#[test]
fn wrong_word_is_an_error_that_names_the_host() {
    let error = settings(&address(&["-o", "Port=many"]), &person()).expect_err("wrong");
    assert_eq!(error.message, "cannot tell how to connect to db1: Port cannot be 'many'");
}
