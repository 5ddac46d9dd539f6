//! `reboot`: restarts a host and waits until it is back.

use std::time::Duration;

use crate::modules::action::{VERBS, trouble, unexpected};
use crate::modules::wait_for_connection::seconds;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Done, Mode, Module, Reach, Step,
    TaskContext, arg,
};
use crate::outcome::Outcome;
use crate::shell::{Reply, Script};

/// See the file's head.
pub(super) struct Reboot;

static DOC: Doc = Doc {
    name: "reboot",
    summary: "Restarts the host and waits until it is back.",
    description: "The host is back when the kernel's boot id, or the start of the first process, is another one and the test command succeeds.",
    args: &[
        ArgDoc {
            default: "600",
            ..arg("reboot_timeout", ArgKind::Int, "Seconds it may take to come back.")
        },
        ArgDoc {
            default: "0",
            ..arg("pre_reboot_delay", ArgKind::Int, "Seconds before it goes down.")
        },
        ArgDoc {
            default: "0",
            ..arg("post_reboot_delay", ArgKind::Int, "Seconds before the first look.")
        },
        ArgDoc {
            default: "5",
            ..arg("connect_timeout", ArgKind::Int, "Seconds one look may take.")
        },
        ArgDoc {
            default: "whoami",
            ..arg("test_command", ArgKind::Str, "A command that must succeed.")
        },
        arg(
            "reboot_command",
            ArgKind::Str,
            "What restarts it; the default is `systemctl reboot` or `reboot`.",
        ),
        arg("msg", ArgKind::Ignored("users are told by the command itself"), "What to tell users."),
        arg(
            "boot_time_command",
            ArgKind::Ignored("the kernel's boot id is compared"),
            "What tells of a boot.",
        ),
        arg("search_paths", ArgKind::Ignored("PATH is searched"), "Where to look for the command."),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[("rebooted", "Whether it was restarted."), ("elapsed", "Seconds it took.")],
    examples: "- reboot:\n    reboot_timeout: 300\n",
};

/// Which start of the host this is: the kernel's, and that of the first process, as a container's restart leaves the kernel.
const BOOT: &str = r#"boot_id=
IFS= read -r boot_id </proc/sys/kernel/random/boot_id
line=
{ IFS= read -r line </proc/1/stat; } 2>/dev/null
set -- ${line##*) }
boot_id="$boot_id ${20-}"
"#;

/// The command runs detached and a moment later, so that this answer still comes back.
const GO: &str = r#"[ "$boot_id" != ' ' ] || give_up "cannot read the kernel's boot id"
if [ -z "$command" ]; then
  if [ -d /run/systemd/system ]; then command='systemctl reboot'; else command=reboot; fi
fi
need "${command%% *}"
reply boot_id "$boot_id"
[ "$check" ] && exit 0
if command -v setsid >/dev/null 2>&1; then
  setsid sh -c "sleep 1; $command" >/dev/null 2>&1 </dev/null 3>&- &
else
  (sleep 1; sh -c "$command") >/dev/null 2>&1 </dev/null 3>&- &
fi
exit 0
"#;

const LOOK: &str = r#"reply boot_id "$boot_id"
if [ "$boot_id" != "$old_id" ]; then sh -c "$command" >/dev/null 2>&1 </dev/null && reply well 1; fi
exit 0
"#;

impl Module for Reboot {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, _cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        Ok(Box::new(Rebooting {
            command: args.text("reboot_command")?.unwrap_or_default(),
            test: args.text("test_command")?.unwrap_or_else(|| "whoami".to_owned()),
            before: seconds(args, "pre_reboot_delay", 0)?,
            after: seconds(args, "post_reboot_delay", 0)?,
            connect: seconds(args, "connect_timeout", 5)?.max(Duration::from_secs(1)),
            timeout: seconds(args, "reboot_timeout", 600)?,
            stage: Stage::Before,
            elapsed: Duration::ZERO,
            under_way: Duration::ZERO,
        }))
    }
}

enum Stage {
    Before,
    Going { check: bool },
    Down { boot_id: String },
}

struct Rebooting {
    command: String,
    test: String,
    before: Duration,
    after: Duration,
    connect: Duration,
    timeout: Duration,
    stage: Stage,
    elapsed: Duration,
    under_way: Duration,
}

impl Rebooting {
    fn go(&mut self, check: bool) -> Step {
        self.stage = Stage::Going { check };
        let script = Script::new(VERBS).then(BOOT).then(GO).var("command", &self.command);
        Step::Send(script.flag("check", check))
    }

    fn wait(&mut self, time: Duration) -> Step {
        self.under_way = time;
        Step::Wait(time)
    }

    fn look(&self, boot_id: &str) -> Step {
        let script = Script::new(BOOT).then(LOOK).var("old_id", boot_id).var("command", &self.test);
        Step::Send(script.within(self.connect + Duration::from_secs(30)))
    }

    fn again(&mut self, why: &str) -> Step {
        if self.elapsed >= self.timeout {
            let text = format!(
                "Timed out waiting for the host to come back after {} s: {why}",
                self.elapsed.as_secs()
            );
            let outcome = Outcome::failed(text).with("rebooted", true);
            return Step::Done(outcome.with("elapsed", self.elapsed.as_secs()));
        }
        self.wait(Duration::from_secs(1))
    }

    fn answered(&mut self, reply: &Reply) -> Step {
        self.elapsed += reply.took;
        let id = reply.field("boot_id").unwrap_or_default();
        match &self.stage {
            Stage::Before => unexpected(),
            Stage::Going { check } => {
                let check = *check;
                if let Some(failed) = trouble(reply) {
                    return Step::Done(failed.with("rebooted", false));
                }
                if check {
                    return Step::Done(
                        Outcome::changed_if(true).with("rebooted", true).with("elapsed", 0),
                    );
                }
                self.stage = Stage::Down { boot_id: id };
                self.wait(self.after.max(Duration::from_secs(2)))
            }
            Stage::Down { .. } if reply.fields.is_set("well") => {
                let outcome = Outcome::changed_if(true).with("rebooted", true);
                Step::Done(outcome.with("elapsed", self.elapsed.as_secs()))
            }
            Stage::Down { boot_id } => {
                let why = if *boot_id == id {
                    "it did not go down"
                } else {
                    "the test command does not succeed"
                };
                self.again(why)
            }
        }
    }
}

impl Action for Rebooting {
    fn begin(&mut self, mode: Mode) -> Step {
        if self.before.is_zero() || mode.check {
            self.go(mode.check)
        } else {
            self.wait(self.before)
        }
    }

    fn resume(&mut self, done: Done) -> Step {
        match done {
            Done::Waited => {
                self.elapsed += self.under_way;
                match &self.stage {
                    Stage::Before => self.go(false),
                    Stage::Down { boot_id } => self.look(boot_id),
                    Stage::Going { .. } => unexpected(),
                }
            }
            Done::Reply(reply) => self.answered(&reply),
            Done::Lost(why) => match self.stage {
                Stage::Down { .. } => {
                    self.elapsed += self.connect;
                    self.again(&why)
                }
                Stage::Before | Stage::Going { .. } => {
                    let text =
                        format!("the connection was lost before the restart was asked for: {why}");
                    Step::Done(Outcome::failed(text).with("rebooted", false))
                }
            },
            Done::Uploaded(_) | Done::Downloaded(_) | Done::Answered(_) | Done::Locked(_) => {
                unexpected()
            }
        }
    }

    fn reach(&self) -> Reach {
        Reach::Visible
    }

    fn bears_loss(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::test_context::Fake;
    use crate::shell::Fields;

    fn reply(fields: &[(&str, &str)]) -> Done {
        let fields =
            fields.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()));
        Done::Reply(Reply { fields: Fields(fields.collect()), ..Reply::default() })
    }

    #[test]
    fn host_is_back_when_its_boot_id_is_another() {
        let mut action = Fake::default().parse(&Reboot, &mut Args::default()).expect("parses");
        assert!(matches!(action.begin(Mode::default()), Step::Send(_)));
        assert!(matches!(action.resume(reply(&[("boot_id", "one")])), Step::Wait(_)));
        assert!(matches!(action.resume(Done::Waited), Step::Send(_)));
        assert!(matches!(action.resume(reply(&[("boot_id", "one")])), Step::Wait(_)));
        assert!(matches!(action.resume(Done::Waited), Step::Send(_)));
        assert!(matches!(action.resume(Done::Lost("refused".to_owned())), Step::Wait(_)));
        assert!(matches!(action.resume(Done::Waited), Step::Send(_)));
        let Step::Done(outcome) = action.resume(reply(&[("boot_id", "two"), ("well", "1")])) else {
            panic!("not done")
        };
        assert_eq!(outcome, Outcome::changed_if(true).with("rebooted", true).with("elapsed", 9));
    }
}
