//! `authorized_key`: keeps the SSH keys that may log in as a user.

use crate::modules::action::{Next, TwoTrips, VERBS, WRITE};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::outcome::{Diff, Outcome};
use crate::shell::Script;

/// See the file's head.
pub(super) struct AuthorizedKey;

const STATES: &[&str] = &["present", "absent"];

static DOC: Doc = Doc {
    name: "authorized_key",
    summary: "Keeps the SSH keys that may log in as a user.",
    description: "Two keys are the same when type and key are; options and comment may differ and are then replaced.",
    args: &[
        ArgDoc { required: true, ..arg("user", ArgKind::Str, "Whose keys.") },
        ArgDoc { required: true, ..arg("key", ArgKind::Str, "Public keys, one a line.") },
        ArgDoc {
            default: "present",
            ..arg("state", ArgKind::Choice(STATES), "Whether they are there.")
        },
        ArgDoc { default: "false", ..arg("exclusive", ArgKind::Bool, "Takes all other keys out.") },
        arg(
            "path",
            ArgKind::Path,
            "The file; the default is `.ssh/authorized_keys` in the user's home.",
        ),
        arg("key_options", ArgKind::Str, "Options to stand before the keys."),
        arg("comment", ArgKind::Str, "Comment to stand behind the keys."),
        ArgDoc {
            default: "true",
            ..arg(
                "manage_dir",
                ArgKind::Bool,
                "Makes the folder with mode 0700, owned by the user.",
            )
        },
        ArgDoc { default: "false", ..arg("follow", ArgKind::Bool, "A link is always followed.") },
        arg(
            "validate_certs",
            ArgKind::Ignored("keys are not fetched from addresses"),
            "Whether to check certificates.",
        ),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Local,
    returns: &[("user", "As given."), ("keyfile", "The file."), ("state", "As given.")],
    examples: "- authorized_key:\n    user: deploy\n    key: \"{{ lookup('file', 'id_ed25519.pub') }}\"\n",
};

const LOOK: &str = r#"entry=$(getent passwd "$user" 2>/dev/null || awk -F: -v n="$user" '$1 == n { print; exit }' /etc/passwd)
[ "$entry" ] || [ "$check" ] || give_up "Failed to lookup user $user: no such user on this host"
rest=${entry#*:*:*:*:*:}; home=${rest%%:*}
[ "$path" ] || path=$home/.ssh/authorized_keys
case $path in "~/"*) path=$home/${path#"~/"} ;; esac
reply path "$path"
[ -e "$path" ] && reply text "$(cat -- "$path"; echo x)"
exit 0
"#;

const BEFORE: &str = r#"entry=$(getent passwd "$user" 2>/dev/null || awk -F: -v n="$user" '$1 == n { print; exit }' /etc/passwd)
rest=${entry#*:*:}; uid=${rest%%:*}; rest=${rest#*:}; gid=${rest%%:*}
folder=$(dirname -- "$path")
if [ "$manage_dir" ] && [ ! -d "$folder" ]; then
  mkdir -p -- "$folder" && chmod 0700 "$folder" && chown "$uid:$gid" "$folder" || give_up "cannot make the folder $folder"
fi
fresh=; [ -e "$path" ] || fresh=1
"#;

const AFTER: &str = r#"if [ "$fresh" ]; then
  chown "$uid:$gid" "$real" && chmod 0600 "$real" || give_up "cannot give $real to $user"
fi
exit 0
"#;

impl Module for AuthorizedKey {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let user = args.required("user")?;
        let text = args.required("key")?;
        let state = args.choice("state", STATES, "present")?;
        let options = args.text("key_options")?;
        let comment = args.text("comment")?;
        let exclusive = args.boolean("exclusive", false)?;
        let manage = args.boolean("manage_dir", true)?;
        if text.starts_with("http://") || text.starts_with("https://") {
            let error = ArgError::new(format!("argument 'key' is an address: {text}"));
            return Err(error.hint("use lookup('url', …) or a file of keys"));
        }
        let mut wanted = Vec::new();
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let mut key = Key::read(line)
                .ok_or_else(|| ArgError::new(format!("invalid key specified: {line}")))?;
            if let Some(options) = &options {
                key.options.clone_from(options);
            }
            if let Some(comment) = &comment {
                key.comment.clone_from(comment);
            }
            wanted.push(key);
        }
        let look = Script::new(VERBS)
            .then(LOOK)
            .var("user", &user)
            .var_or_empty("path", args.text("path")?)
            .flag("check", cx.mode.check);
        Ok(Box::new(TwoTrips::new(Reach::Local, look, move |reply, mode| {
            let path = reply.field("path").unwrap_or_default();
            let before = reply.field("text").unwrap_or_default();
            let before = before.strip_suffix('x').unwrap_or(&before).to_owned();
            let after = edited(&before, &wanted, state == "present", exclusive);
            let outcome = Outcome::changed_if(before != after)
                .with("user", user.as_str())
                .with("keyfile", path.as_str())
                .with("state", state);
            if before == after {
                return Next::Done(outcome);
            }
            let (before_header, after_header) = (path.clone(), path.clone());
            let text = after.clone();
            let diff = Diff { before_header, after_header, before, after };
            let outcome = outcome.with_diff(diff);
            if mode.check {
                return Next::Done(outcome);
            }
            let script = Script::new(VERBS).then(BEFORE).then(WRITE).then(AFTER);
            let script = script
                .var("user", &user)
                .var("path", &path)
                .var("text", &text)
                .var("mode", "0600")
                .flag("manage_dir", manage);
            Next::send(script, outcome)
        })))
    }
}

/// One line of authorized_keys (sshd(8)).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    options: String,
    kind: String,
    blob: String,
    comment: String,
}

impl Key {
    fn read(line: &str) -> Option<Self> {
        let words = words(line);
        let kinds = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"];
        let is_kind = |word: &&str| kinds.iter().any(|kind| word.starts_with(kind));
        let (options, rest) = match words.first()? {
            first if is_kind(first) => ("", words.get(..)?),
            first if words.get(1).is_some_and(is_kind) => (*first, words.get(1..)?),
            _ => return None,
        };
        let (kind, blob) = (rest.first()?, rest.get(1)?);
        let comment = rest.get(2..).unwrap_or_default().join(" ");
        Some(Self {
            options: options.to_owned(),
            kind: (*kind).to_owned(),
            blob: (*blob).to_owned(),
            comment,
        })
    }

    fn same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.blob == other.blob
    }

    fn line(&self) -> String {
        let parts = [&self.options, &self.kind, &self.blob, &self.comment];
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        parts.map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

/// Cuts a line at white space outside of double quotes.
fn words(line: &str) -> Vec<&str> {
    let mut quoted = false;
    let mut escaped = false;
    let parts = line.split(|c: char| {
        let cut = c.is_whitespace() && !quoted;
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == '\\' && !escaped;
        cut
    });
    parts.filter(|part| !part.is_empty()).collect()
}

fn edited(text: &str, wanted: &[Key], present: bool, exclusive: bool) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut seen = vec![false; wanted.len()];
    for line in text.lines() {
        let Some(key) = Key::read(line.trim()) else {
            out.push(line.to_owned());
            continue;
        };
        match wanted.iter().position(|known| known.same(&key)) {
            Some(at) if present => {
                // A key that stands twice is kept once.
                if !std::mem::replace(&mut seen[at], true) {
                    out.push(if key == wanted[at] { line.to_owned() } else { wanted[at].line() });
                }
            }
            Some(_) => {}
            None if exclusive && present => {}
            None => out.push(line.to_owned()),
        }
    }
    if present {
        let missing = wanted.iter().zip(&seen).filter(|(_, seen)| !**seen);
        out.extend(missing.map(|(key, _)| key.line()));
    }
    let mut joined = out.join("\n");
    if !joined.is_empty() {
        joined.push('\n');
    }
    if joined.strip_suffix('\n') == Some(text) { text.to_owned() } else { joined }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Mode;
    use crate::modules::test_context::Host;
    use crate::outcome::Status;
    use minijinja::Value;

    const ONE: &str = "ssh-ed25519 AAAAone a@b";
    const TWO: &str = "from=\"10.0.0.1,10.0.0.2\",command=\"echo hi\" ssh-ed25519 AAAAtwo c d";

    fn keys(lines: &[&str]) -> Vec<Key> {
        lines.iter().map(|line| Key::read(line).expect("a key")).collect()
    }

    #[test]
    fn options_with_spaces_in_quotes_are_one_word() {
        let key = Key::read(TWO).expect("a key");
        assert_eq!(key.options, "from=\"10.0.0.1,10.0.0.2\",command=\"echo hi\"");
        assert_eq!((key.comment.as_str(), key.line().as_str()), ("c d", TWO));
    }

    #[test]
    fn keys_are_added_replaced_and_taken_out_by_type_and_key() {
        let text = format!("# mine\n{ONE}\n");
        assert_eq!(edited(&text, &keys(&[ONE]), true, false), text);
        assert_eq!(edited(&text, &keys(&[TWO]), true, false), format!("# mine\n{ONE}\n{TWO}\n"));
        assert_eq!(edited(&text, &keys(&[TWO]), true, true), format!("# mine\n{TWO}\n"));
        assert_eq!(
            edited(&text, &keys(&["ssh-ed25519 AAAAone new"]), true, false),
            "# mine\nssh-ed25519 AAAAone new\n"
        );
        assert_eq!(edited(&text, &keys(&["ssh-ed25519 AAAAone"]), false, false), "# mine\n");
    }

    #[test]
    fn file_is_made_with_mode_0600_and_left_alone_then() {
        use std::os::unix::fs::PermissionsExt as _;
        for host in Host::each() {
            let path = host.path("home/.ssh/keys");
            let args = || {
                [
                    ("user", Value::from("root")),
                    ("key", Value::from(ONE)),
                    ("path", Value::from(path.clone())),
                ]
            };
            let seen = [(); 2].map(|()| host.run(&AuthorizedKey, args(), Mode::default()));
            assert_eq!(
                seen.each_ref().map(|o| o.status),
                [Status::Changed, Status::Ok],
                "{seen:?}"
            );
            assert_eq!(host.read("home/.ssh/keys"), format!("{ONE}\n"));
            let mode = std::fs::metadata(&path).expect("written").permissions().mode();
            assert_eq!(mode & 0o7777, 0o600);
        }
    }
}
