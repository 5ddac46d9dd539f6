//! The words of `ansible_ssh_common_args`: the part of ssh(1)'s command line that says how to connect.

use super::options::{Options, ProxyOption, keyword, words};

/// What a command line of ssh says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CommandLine {
    /// `-o` and its short forms.
    pub(super) options: Options,
    /// `-W`: where to connect the standard streams.
    pub(super) forward: Option<String>,
    /// What is no option: the host, then a command.
    pub(super) operands: Vec<String>,
}

/// Options of ssh that take no value and change nothing here.
const FLAGS: &str = "46AaCfGgKkMNnqsTtVvXxYy";
/// Options of ssh that take a value and change nothing here.
const TOLERATED: &str = "BbcDEeIKLmOPQRSw";

/// Reads the words of a command line, without `ssh` itself.
pub(super) fn parse(line: &[String]) -> Result<CommandLine, String> {
    let mut found = CommandLine::default();
    let mut line = line.iter();
    while let Some(word) = line.next() {
        let Some(mut flags) = word.strip_prefix('-').filter(|flags| !flags.is_empty()) else {
            found.operands.push(word.clone());
            continue;
        };
        if flags == "-" {
            found.operands.extend(line.cloned());
            break;
        }
        while let Some(flag) = flags.chars().next() {
            flags = flags.get(flag.len_utf8()..).unwrap_or_default();
            if FLAGS.contains(flag) {
                continue;
            }
            let takes = "oJiplFW".contains(flag) || TOLERATED.contains(flag);
            if !takes {
                return Err(format!("ssh option -{flag} is not known"));
            }
            let value = if flags.is_empty() {
                line.next().cloned().ok_or_else(|| format!("ssh option -{flag} needs a value"))?
            } else {
                std::mem::take(&mut flags).to_owned()
            };
            take(&mut found, flag, &value)?;
            flags = "";
        }
    }
    Ok(found)
}

fn take(found: &mut CommandLine, flag: char, value: &str) -> Result<(), String> {
    let options = &mut found.options;
    let one = [value.to_owned()];
    match flag {
        'o' => {
            let (name, rest) = keyword(value).ok_or_else(|| "ssh option -o is empty".to_owned())?;
            options.set(name, &words(rest)?, rest)
        }
        'J' => {
            options.proxy.get_or_insert(ProxyOption::Jump(value.to_owned()));
            Ok(())
        }
        'i' => options.set("IdentityFile", &one, value),
        'p' => options.set("Port", &one, value),
        'l' => options.set("User", &one, value),
        'F' => {
            options.config_file = Some(value.to_owned());
            Ok(())
        }
        'W' => {
            found.forward = Some(value.to_owned());
            Ok(())
        }
        _ => Ok(()),
    }
}

/// A ProxyCommand that is nothing but `ssh -W %h:%p HOST`: a jump in other words.
pub(super) fn as_jump(command: &str) -> Option<CommandLine> {
    let parts = words(command).ok()?;
    let mut parts = parts.as_slice();
    if parts.first().is_some_and(|word| word == "exec") {
        parts = parts.get(1..)?;
    }
    let (program, rest) = parts.split_first()?;
    if program.rsplit('/').next() != Some("ssh") {
        return None;
    }
    let line = parse(rest).ok()?;
    let straight = matches!(line.forward.as_deref(), Some("%h:%p" | "[%h]:%p"));
    (straight && line.operands.len() == 1).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> Result<CommandLine, String> {
        parse(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn words_people_put_into_common_args_are_read() {
        let found =
            line(&["-J", "ops@jump:2222", "-oStrictHostKeyChecking=no", "-C", "-i", "k", "-p2200"])
                .expect("words");
        assert_eq!(found.options.proxy, Some(ProxyOption::Jump("ops@jump:2222".to_owned())));
        assert_eq!(found.options.host_keys, Some(crate::transport::HostKeys::Off));
        assert_eq!((found.options.port, found.options.identity_files.len()), (Some(2200), 1));
    }

    #[test]
    fn proxy_command_with_w_is_a_jump_and_others_are_not() {
        let jump = as_jump("ssh -q -W %h:%p -i /k -p 2222 ops@jump").expect("jump");
        assert_eq!(jump.operands, ["ops@jump"]);
        assert_eq!(jump.options.port, Some(2222));
        assert_eq!(as_jump("nc -X 5 -x proxy %h %p"), None);
        assert_eq!(as_jump("ssh jump nc %h %p"), None);
    }

    #[test]
    fn option_without_its_value_is_an_error() {
        assert_eq!(line(&["-o"]), Err("ssh option -o needs a value".to_owned()));
        assert!(line(&["-Z"]).is_err());
    }
}
