//! Ansible Vault as a user meets it: the verbs, and playbooks that read what is sealed. The sealed texts here were made by
//! ansible-vault 2.19.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::desk::Desk;

/// `k: v`, sealed as a file under `pw1`.
const FILE: &str = include_str!("../cases/vault/file.yml");

/// A playbook with an inline value under the id `lab` and the password `pw2`, and a template that is in it.
const PLAYBOOK: &str = include_str!("../cases/vault/site.yml");

fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("pw1", "pw1\n");
    desk.write("pw2", " pw2 \n");
    desk
}

#[test]
fn what_ansible_vault_sealed_is_shown_and_opened_in_place() {
    let desk = desk();
    desk.write("f.yml", FILE);
    fs::set_permissions(desk.folder.join("f.yml"), fs::Permissions::from_mode(0o640))
        .expect("mode");
    let view = desk.vault(&["view", "f.yml", "--vault-password-file", "pw1"]).well();
    assert_eq!(view.out, "k: v\n");
    desk.vault(&["view", "f.yml", "--vault-id", "pw2"]).refuses(
        1,
        "Decryption failed (no vault secrets were found that could decrypt). for f.yml",
    );
    desk.vault(&["decrypt", "f.yml", "--vault-id", "pw2", "--vault-id", "any@pw1"]).well();
    assert_eq!((desk.read("f.yml").as_str(), desk.mode("f.yml")), ("k: v\n", 0o640));
    desk.vault(&["decrypt", "f.yml", "--vault-id", "pw1"])
        .refuses(1, "Input is not vault encrypted data. for f.yml");
    let left = fs::read_dir(desk.folder.path()).expect("folder").count();
    assert_eq!(left, 3, "nothing is left beside");
}

#[test]
fn what_is_sealed_here_has_the_form_ansible_reads_and_comes_back() {
    let desk = desk();
    desk.write("a", "zwölf\n");
    desk.vault(&["encrypt", "a", "--vault-id", "lab@pw2"]).well();
    let sealed = desk.read("a");
    let mut lines = sealed.lines();
    assert_eq!(lines.next(), Some("$ANSIBLE_VAULT;1.2;AES256;lab"));
    assert!(lines.all(|line| line.len() <= 80 && line.bytes().all(|b| b.is_ascii_hexdigit())));
    desk.vault(&["encrypt", "a", "--vault-id", "pw1"]).refuses(1, "input is already encrypted");
    let words = ["rekey", "a", "--vault-id", "pw2", "--new-vault-password-file", "pw1"];
    desk.vault(&words).well();
    assert!(desk.read("a").starts_with("$ANSIBLE_VAULT;1.1;AES256\n"));
    let plain = desk.vault(&["decrypt", "a", "--output", "-", "--vault-id", "pw1"]).well().out;
    assert_eq!(plain, "zwölf\n");
    let words = ["vault", "encrypt", "--output", "b", "--vault-id", "pw1"];
    desk.run_with(&words, "from stdin", "false").well();
    assert_eq!(desk.mode("b"), 0o600);
    assert_eq!(desk.vault(&["view", "b", "--vault-id", "pw1"]).well().out, "from stdin");
    desk.vault(&["encrypt", "b", "--vault-id", "a@pw1", "--vault-id", "b@pw2"])
        .refuses(5, "Specify the vault-id to encrypt with --encrypt-vault-id");
}

#[test]
fn editing_changes_what_is_inside_and_a_failed_editor_nothing() {
    let desk = desk();
    desk.write("f.yml", FILE);
    let words = ["vault", "edit", "f.yml", "--vault-id", "pw1"];
    let before = desk.read("f.yml");
    desk.run_with(&words, "", "false").refuses(1, "nothing was changed");
    desk.run_with(&words, "", "true").well();
    assert_eq!(desk.read("f.yml"), before, "an editor that changes nothing leaves the file alone");
    desk.run_with(&words, "", "sed -i s/v/w/").well();
    assert_eq!(desk.vault(&["view", "f.yml", "--vault-id", "pw1"]).well().out, "k: w\n");
    let words = ["vault", "create", "new.yml", "--skip-tty-check", "--vault-id", "lab@pw2"];
    desk.run_with(&words, "", "echo hello >").well();
    assert_eq!(desk.vault(&["view", "new.yml", "--vault-id", "pw2"]).well().out, "hello\n");
    desk.run_with(&words, "", "true").refuses(1, "new.yml exists, please use 'edit' instead");
}

#[test]
fn values_are_sealed_for_yaml_and_read_by_a_play() {
    let desk = desk();
    let words = ["vault", "encrypt_string", "--vault-id", "pw1", "se cret", "-n", "a"];
    let value = desk.run(&words).well().out;
    assert!(value.starts_with("a: !vault |\n          $ANSIBLE_VAULT;1.1;AES256\n          "));
    desk.write("vars.yml", &value);
    desk.write("p.yml", "- hosts: localhost\n  gather_facts: false\n  vars_files: vars.yml\n  tasks:\n    - debug: msg=\"<{{ a }}>\"\n");
    let ran = desk.run(&["play", "p.yml", "--vault-id", "pw1"]).well();
    assert!(ran.out.contains("<se cret>"), "{}", ran.out);
    let two = ["vault", "encrypt_string", "--vault-id", "pw1", "x", "-n", "a", "--stdin-name", "b"];
    let both = desk.run_with(&two, "y", "false").well().out;
    let marks: Vec<_> = both.lines().filter(|line| line.starts_with('#')).collect();
    assert_eq!(
        marks,
        [
            "# The encrypted version of variable (\"b\", the string #1 from stdin).",
            "# The encrypted version of variable (\"a\", the string #2 from the command line args)."
        ]
    );
    desk.run(&["vault", "encrypt_string", "--vault-id", "pw1", ""])
        .refuses(5, "The plaintext provided from the command line args was empty, not encrypting");
}

#[test]
fn a_play_reads_sealed_values_and_files_wherever_they_stand() {
    let desk = desk();
    desk.write("site.yml", PLAYBOOK);
    desk.write("file.yml", FILE);
    desk.program("lab-client", "#!/bin/sh\n[ \"$*\" = '--vault-id lab' ] && echo pw2\n");
    let out = desk.folder.path().display().to_string();
    let words = [
        "play",
        "site.yml",
        "--vault-id",
        "pw1",
        "--vault-id",
        "lab@lab-client",
        "-e",
        &format!("out={out}"),
    ];
    let ran = desk.run(&words).well();
    assert!(ran.out.contains("\"msg\": \"he {{ who }}/v/k: v\""), "{}", ran.out);
    assert_eq!(desk.read("opened"), "k: v\n");
    assert_eq!(desk.read("as-it-is"), FILE);
    desk.run(&["play", "site.yml", "--vault-id", "pw1", "-e", &format!("out={out}")]).refuses(
        2,
        "Attempt to use undecryptable variable: Decryption failed (no vault secrets were found that could decrypt).",
    );
    desk.run(&["play", "site.yml", "-e", &format!("out={out}")])
        .refuses(1, "Attempting to decrypt but no vault secrets found.");
}

#[test]
fn a_password_that_cannot_be_had_is_said_before_anything() {
    let desk = desk();
    desk.write("f.yml", FILE);
    desk.write("empty", "\n");
    desk.program("broken", "#!/bin/sh\nexit 3\n");
    desk.vault(&["view", "f.yml", "--vault-id", "nosuch"]).refuses(1, "was not found");
    desk.vault(&["view", "f.yml", "--vault-id", "empty"])
        .refuses(1, "Invalid vault password was provided from file");
    desk.vault(&["view", "f.yml", "--vault-id", "broken"]).refuses(1, "returned non-zero (3)");
    desk.vault(&["view", "f.yml"]).refuses(5, "there is no terminal");
}
