use std::process::Command;

use super::*;

const ONE: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJk6dVmJxHHCxYR5wLqR4w6s0l2n2lGNZy3nG0o8aQ1b";
const TWO: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIBTnHyNNpBe3kgvZ8bJvFnCjG3wSWE9tMoYlVQ9j0Y7x";

fn known(text: &str) -> KnownHosts {
    let mut known = KnownHosts::default();
    known.add(Path::new("kh"), text);
    known
}

fn key(text: &str) -> Vec<u8> {
    STANDARD.decode(text).expect("base64")
}

fn check(text: &str, host: &str, port: u16, shown: &str) -> Verdict {
    known(text).check(host, port, "ssh-ed25519", &key(shown))
}

fn place(line: usize) -> Place {
    Place { file: "kh".into(), line }
}

#[test]
fn lines_count_with_comments_and_blanks_and_odd_spacing() {
    let text = format!("# one\n\n  db1,db2\t ssh-ed25519   {ONE} comment here\n");
    assert_eq!(check(&text, "DB2", 22, ONE), Verdict::Known);
    assert_eq!(check(&text, "db1", 22, TWO), Verdict::Changed(place(3)));
    assert_eq!(check(&text, "db1", 2222, ONE), Verdict::Unknown);
}

#[test]
fn wildcards_and_negation_hold_as_in_openssh() {
    let text = format!("*.ward,!x.ward ssh-ed25519 {ONE}\n[10.0.0.?]:2222 ssh-ed25519 {TWO}\n");
    assert_eq!(check(&text, "a.ward", 22, ONE), Verdict::Known);
    assert_eq!(check(&text, "x.ward", 22, ONE), Verdict::Unknown);
    assert_eq!(check(&text, "10.0.0.7", 2222, TWO), Verdict::Known);
}

#[test]
fn revoked_key_is_refused_even_where_it_is_also_known() {
    let text = format!("db ssh-ed25519 {ONE}\n@revoked * ssh-ed25519 {ONE}\n");
    assert_eq!(check(&text, "db", 22, ONE), Verdict::Revoked(place(2)));
}

#[test]
fn host_known_by_another_type_of_key_is_not_a_new_host() {
    let text = format!("db ssh-rsa {TWO}\n");
    assert_eq!(check(&text, "db", 22, ONE), Verdict::Changed(place(1)));
    assert_eq!(known(&text).key_types("db", 22), ["ssh-rsa"]);
}

#[test]
fn any_of_several_keys_will_do_and_a_bad_line_spoils_nothing() {
    let text = format!("db ssh-ed25519 !!!\ndb ssh-ed25519 {ONE}\ndb ssh-ed25519 {TWO}\n");
    assert_eq!(check(&text, "db", 22, TWO), Verdict::Known);
}

#[test]
fn authority_speaks_for_its_hosts_only() {
    let text = format!("@cert-authority *.ward ssh-ed25519 {ONE}\n");
    let known = known(&text);
    assert_eq!(known.check_authority("a.ward", 2222, &key(ONE)), Verdict::Known);
    assert_eq!(known.check_authority("a.else", 22, &key(ONE)), Verdict::Unknown);
    assert!(known.has_authority("a.ward", 22) && known.key_types("a.ward", 22).is_empty());
}

#[test]
fn new_lines_begin_on_a_line_of_their_own_and_ssh_keygen_finds_what_we_find() {
    let folder = std::env::temp_dir().join(format!("matron-known-{}", uuid::Uuid::new_v4()));
    let file = folder.join("sub/known_hosts");
    learn(&file, "first", 22, &format!("ssh-ed25519 {ONE}")).expect("new file");
    let started = std::fs::read_to_string(&file).expect("file");
    assert_eq!(started, format!("first ssh-ed25519 {ONE}\n"));
    std::fs::write(&file, started.trim_end()).expect("no line end");
    learn(&file, "Second", 2222, &format!("ssh-ed25519 {TWO}")).expect("old file");
    let hashed = Command::new("ssh-keygen").arg("-q").arg("-H").arg("-f").arg(&file).output();
    assert!(hashed.is_ok_and(|done| done.status.success()), "ssh-keygen -H");
    let known = KnownHosts::load(std::slice::from_ref(&file));
    for (host, port, shown) in
        [("first", 22, ONE), ("second", 2222, TWO), ("second", 22, TWO), ("third", 22, ONE)]
    {
        let name = lookup_name(host, port);
        let theirs = Command::new("ssh-keygen").args(["-F", &name, "-f"]).arg(&file).output();
        let theirs = theirs.expect("ssh-keygen").status.success();
        let ours = known.check(host, port, "ssh-ed25519", &key(shown)) == Verdict::Known;
        assert_eq!(ours, theirs, "{name}");
    }
    std::fs::remove_dir_all(&folder).expect("clean up");
}
