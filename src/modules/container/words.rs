//! A rendered `docker run` command: cut into words, checked, and made canonical.

use sha2::{Digest, Sha256};

use crate::digest::hex;

/// A `docker run` command taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunCommand {
    /// Options in the order given (without name and detach), then the image and its arguments: what `docker create` takes.
    pub(super) words: Vec<String>,
    /// The image.
    pub(super) image: String,
}

/// Options without a value.
const FLAGS: &[&str] = &[
    "--init",
    "--interactive",
    "--no-healthcheck",
    "--oom-kill-disable",
    "--privileged",
    "--publish-all",
    "--quiet",
    "--read-only",
    "--sig-proxy",
    "--tty",
    "--disable-content-trust",
];

/// Options with a value.
const VALUED: &[&str] = &[
    "--add-host",
    "--annotation",
    "--blkio-weight",
    "--blkio-weight-device",
    "--cap-add",
    "--cap-drop",
    "--cgroup-parent",
    "--cgroupns",
    "--cpu-count",
    "--cpu-percent",
    "--cpu-period",
    "--cpu-quota",
    "--cpu-rt-period",
    "--cpu-rt-runtime",
    "--cpu-shares",
    "--cpus",
    "--cpuset-cpus",
    "--cpuset-mems",
    "--device",
    "--device-cgroup-rule",
    "--device-read-bps",
    "--device-read-iops",
    "--device-write-bps",
    "--device-write-iops",
    "--dns",
    "--dns-option",
    "--dns-search",
    "--domainname",
    "--entrypoint",
    "--env",
    "--env-file",
    "--expose",
    "--gpus",
    "--group-add",
    "--health-cmd",
    "--health-interval",
    "--health-retries",
    "--health-start-interval",
    "--health-start-period",
    "--health-timeout",
    "--hostname",
    "--ip",
    "--ip6",
    "--ipc",
    "--isolation",
    "--kernel-memory",
    "--label",
    "--label-file",
    "--link",
    "--link-local-ip",
    "--log-driver",
    "--log-opt",
    "--mac-address",
    "--memory",
    "--memory-reservation",
    "--memory-swap",
    "--memory-swappiness",
    "--mount",
    "--name",
    "--network",
    "--net",
    "--network-alias",
    "--net-alias",
    "--oom-score-adj",
    "--pid",
    "--pids-limit",
    "--platform",
    "--publish",
    "--restart",
    "--runtime",
    "--security-opt",
    "--shm-size",
    "--stop-signal",
    "--stop-timeout",
    "--storage-opt",
    "--sysctl",
    "--tmpfs",
    "--ulimit",
    "--user",
    "--userns",
    "--uts",
    "--volume",
    "--volume-driver",
    "--volumes-from",
    "--workdir",
];

/// Options that would take the container out of matron's hands, and why.
const REFUSED: &[(&str, &str)] = &[
    ("--rm", "the container would vanish when it stops, and what it was with it"),
    ("--attach", "containers run in the background"),
    ("--cidfile", "the result has the id"),
    ("--pull", "use the module's argument pull"),
    ("--help", "it makes no container"),
];

/// Letters and their long options.
const SHORT: &[(char, &str)] = &[
    ('a', "--attach"),
    ('c', "--cpu-shares"),
    ('d', "--detach"),
    ('e', "--env"),
    ('h', "--hostname"),
    ('i', "--interactive"),
    ('l', "--label"),
    ('m', "--memory"),
    ('P', "--publish-all"),
    ('p', "--publish"),
    ('q', "--quiet"),
    ('t', "--tty"),
    ('u', "--user"),
    ('v', "--volume"),
    ('w', "--workdir"),
];

/// Cuts text into words like a shell that expands nothing: quotes, backslashes, comments to the end of a line. A line end
/// is white space, so a command may be written over lines with or without a backslash at their ends.
pub(super) fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut current: Option<String> = None;
    let mut line = 1_usize;
    let mut chars = text.chars().peekable();
    let meant = |c: char, line: usize| {
        format!(
            "line {line}: no shell runs this command, so '{c}' would not mean what it seems to; \
             put it in single quotes if it is meant as text"
        )
    };
    while let Some(c) = chars.next() {
        match c {
            '\n' => {
                line += 1;
                words.extend(current.take());
            }
            c if c.is_whitespace() => words.extend(current.take()),
            '#' if current.is_none() => while chars.next_if(|c| *c != '\n').is_some() {},
            '\\' => match chars.next() {
                Some('\n') => line += 1,
                Some(next) => current.get_or_insert_default().push(next),
                None => return Err(format!("line {line}: it ends with a backslash")),
            },
            '\'' => {
                let start = line;
                let into = current.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(next) => {
                            line += usize::from(next == '\n');
                            into.push(next);
                        }
                        None => return Err(format!("line {start}: a single quote is not closed")),
                    }
                }
            }
            '"' => {
                let start = line;
                let into = current.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some(c @ ('$' | '`')) => return Err(meant(c, line)),
                        Some('\\') => match chars.next() {
                            Some('\n') => line += 1,
                            Some(c @ ('"' | '\\' | '$' | '`')) => into.push(c),
                            Some(c) => into.extend(['\\', c]),
                            None => {
                                return Err(format!("line {start}: a double quote is not closed"));
                            }
                        },
                        Some(next) => {
                            line += usize::from(next == '\n');
                            into.push(next);
                        }
                        None => return Err(format!("line {start}: a double quote is not closed")),
                    }
                }
            }
            ';' | '&' | '|' | '<' | '>' | '(' | ')' | '`' | '$' => return Err(meant(c, line)),
            c => current.get_or_insert_default().push(c),
        }
    }
    words.extend(current);
    Ok(words)
}

/// Reads a command for the container `name`. `secrets_allowed` lets passwords stand in the environment.
pub(super) fn read(text: &str, name: &str, secrets_allowed: bool) -> Result<RunCommand, String> {
    let words = split(text)?;
    let rest = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "run", ..] if is_docker(&words) => &words[2..],
        [_, "container", "run", ..] if is_docker(&words) => &words[3..],
        [] => return Err("it is empty: write `docker run`, options and an image".to_owned()),
        [first, ..] => {
            return Err(format!("it must be a `docker run` command; it starts with '{first}'"));
        }
    };
    let mut kept = Vec::new();
    let mut rest = rest.iter();
    let image = loop {
        let Some(word) = rest.next() else { return Err("it names no image".to_owned()) };
        if !word.starts_with('-') {
            break word.clone();
        }
        for (option, value) in options(word, &mut rest)? {
            check(&option, value.as_deref(), name, secrets_allowed)?;
            if option == "--name" || option == "--detach" {
                continue;
            }
            match value {
                // A flag takes its value only behind `=`.
                Some(value) if FLAGS.contains(&option.as_str()) => {
                    kept.push(format!("{option}={value}"));
                }
                Some(value) => kept.extend([option, value]),
                None => kept.push(option),
            }
        }
    };
    kept.push(image.clone());
    kept.extend(rest.cloned());
    Ok(RunCommand { words: kept, image })
}

fn is_docker(words: &[String]) -> bool {
    let program = words.first().map_or("", |word| word.rsplit('/').next().unwrap_or(word));
    matches!(program, "docker" | "podman")
}

/// A long option and its value.
type Given = (String, Option<String>);

/// Takes one word of options apart: `--opt`, `--opt=value`, `--opt value`, `-it`, `-p80:80`, `-p 80:80`.
fn options<'a>(
    word: &str,
    rest: &mut impl Iterator<Item = &'a String>,
) -> Result<Vec<Given>, String> {
    let mut value_of = |option: &str, inline: Option<&str>| match inline {
        Some(value) => Ok(value.to_owned()),
        None => rest.next().cloned().ok_or_else(|| format!("option {option} has no value")),
    };
    if word.starts_with("--") {
        let (option, inline) = match word.split_once('=') {
            Some((option, value)) => (option, Some(value)),
            None => (word, None),
        };
        if FLAGS.contains(&option) || matches!(option, "--detach" | "--rm" | "--help") {
            return Ok(vec![(option.to_owned(), inline.map(str::to_owned))]);
        }
        let known = VALUED.contains(&option) || REFUSED.iter().any(|(known, _)| *known == option);
        if !known {
            let names = VALUED.iter().chain(FLAGS).copied();
            let near = crate::names::nearest(option, names);
            let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            return Err(format!("docker run has no option {option}{near}"));
        }
        return Ok(vec![(option.to_owned(), Some(value_of(option, inline)?))]);
    }
    let mut found = Vec::new();
    let letters = word.strip_prefix('-').unwrap_or(word);
    if letters.is_empty() {
        return Err("a lone '-' is not an option".to_owned());
    }
    for (at, letter) in letters.char_indices() {
        let Some((_, long)) = SHORT.iter().find(|(known, _)| *known == letter) else {
            return Err(format!("docker run has no option -{letter}"));
        };
        if FLAGS.contains(long) || *long == "--detach" {
            found.push(((*long).to_owned(), None));
            continue;
        }
        let inline = letters.get(at + letter.len_utf8()..).filter(|value| !value.is_empty());
        let inline = inline.map(|value| value.strip_prefix('=').unwrap_or(value));
        found.push(((*long).to_owned(), Some(value_of(long, inline)?)));
        break;
    }
    Ok(found)
}

fn check(option: &str, value: Option<&str>, name: &str, secrets: bool) -> Result<(), String> {
    if let Some((_, why)) = REFUSED.iter().find(|(known, _)| *known == option) {
        return Err(format!("option {option} is not taken: {why}"));
    }
    let value = value.unwrap_or_default();
    match option {
        "--name" if value != name => Err(format!(
            "the command names the container '{value}', the argument name says '{name}'"
        )),
        "--label" if value.starts_with("org.matron.") => {
            Err(format!("label '{value}' is not taken: labels org.matron.* are matron's own"))
        }
        "--env" if !secrets => {
            let variable = value.split('=').next().unwrap_or(value);
            let upper = variable.to_ascii_uppercase();
            let telling = ["PASSWORD", "PASSWD", "SECRET", "TOKEN"];
            if !upper.ends_with("_FILE") && telling.iter().any(|word| upper.contains(word)) {
                return Err(format!(
                    "environment variable {variable} would be shown by `docker inspect`: give \
                     {variable}_FILE with a mounted file, or set allow_secret_env: true"
                ));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

impl RunCommand {
    /// Returns the SHA-256 of the canonical words, as hex.
    pub(super) fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for word in &self.words {
            hash.update(word.as_bytes());
            hash.update([0]);
        }
        hex(&hash.finalize())
    }

    /// Returns the command for people, one option a line.
    pub(super) fn shown(&self) -> String {
        let mut out = "docker run".to_owned();
        let at = self.words.iter().position(|word| *word == self.image).unwrap_or(0);
        let mut value_next = false;
        let mut past = false;
        for (index, word) in self.words.iter().enumerate() {
            let quoted = crate::shell::quote(word);
            if past || value_next {
                out.push(' ');
            } else {
                out.push_str(" \\\n  ");
            }
            out.push_str(&quoted);
            let valued = !value_next && VALUED.contains(&word.as_str());
            past |= !value_next && index >= at && !word.starts_with('-');
            value_next = valued && !past;
        }
        out.push('\n');
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "# the database\ndocker run -d --name db \\\n  -p 5432:5432 -v pg:/data # data\n  -e 'PGDATA=/d b' --restart=no \\\n  postgres:15 -c 'a=\"b\"'\n";

    #[test]
    fn comments_line_ends_and_short_options_become_plain_words() {
        let command = read(RUN, "db", false).expect("a good command");
        let words = [
            "--publish",
            "5432:5432",
            "--volume",
            "pg:/data",
            "--env",
            "PGDATA=/d b",
            "--restart",
            "no",
            "postgres:15",
            "-c",
            "a=\"b\"",
        ];
        assert_eq!(command.words, words);
        assert_eq!(command.image, "postgres:15");
    }

    #[test]
    fn layout_does_not_change_the_digest_and_an_argument_does() {
        let same = "docker run --detach --publish=5432:5432 -vpg:/data -e PGDATA='/d b' --restart no postgres:15 -c a=\\\"b\\\"";
        let digest = |text: &str| read(text, "db", false).map(|command| command.digest());
        assert_eq!(digest(RUN), digest(same));
        assert_ne!(digest(RUN), digest(&same.replace("5432:", "5433:")));
    }

    #[test]
    fn shown_has_one_option_a_line() {
        let command = read(RUN, "db", false).expect("a good command");
        let wanted = "docker run \\\n  --publish 5432:5432 \\\n  --volume pg:/data \\\n  --env 'PGDATA=/d b' \\\n  --restart no \\\n  postgres:15 -c 'a=\"b\"'\n";
        assert_eq!(command.shown(), wanted);
    }

    #[test]
    fn password_in_the_environment_is_refused_and_its_file_is_not() {
        let plain = "docker run -e POSTGRES_PASSWORD=x postgres";
        let wanted = "environment variable POSTGRES_PASSWORD would be shown by `docker inspect`: give POSTGRES_PASSWORD_FILE with a mounted file, or set allow_secret_env: true";
        assert_eq!(read(plain, "db", false), Err(wanted.to_owned()));
        assert!(read(plain, "db", true).is_ok());
        assert!(read("docker run -e POSTGRES_PASSWORD_FILE=/run/x postgres", "db", false).is_ok());
    }

    #[test]
    fn what_only_a_shell_would_do_is_refused_with_its_line() {
        let error = read("docker run \\\n -v $PWD:/data postgres", "db", false);
        assert!(error.is_err_and(|text| text.starts_with("line 2: no shell runs this command")));
    }

    #[test]
    fn other_commands_names_and_options_are_refused() {
        let error = |text: &str| read(text, "db", false).expect_err("a bad command");
        assert_eq!(
            error("docker rm x"),
            "it must be a `docker run` command; it starts with 'docker'"
        );
        assert_eq!(error("docker run -d"), "it names no image");
        assert_eq!(
            error("docker run --volum a:b x"),
            "docker run has no option --volum; did you mean --volume?"
        );
        assert_eq!(
            error("docker run --name other x"),
            "the command names the container 'other', the argument name says 'db'"
        );
        assert!(error("docker run --rm x").starts_with("option --rm is not taken"));
    }
}
