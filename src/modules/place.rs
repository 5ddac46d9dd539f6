//! Putting content in place on a host: one round trip whether or not something changes, atomic, with owner and mode set
//! before anybody can read it.
//!
//! Used by copy, template and the line editors.

use md5::Digest as _;
use serde_json::{Map, json};

use crate::digest::hex;
use crate::modules::action::unexpected;
use crate::modules::attributes::{self, ATTRIBUTES, Attributes};
use crate::modules::host_paths::HOST_PATHS;
use crate::modules::{Action, Done, Mode, Reach, Step, Upload, UploadSource, environment, verdict};
use crate::outcome::{Diff, Outcome};
use crate::shell::{Reply, Script, join};

/// Content above this asks for the digest first and then travels by upload instead of inside the script.
pub(super) const INLINE_LIMIT: usize = 512 * 1024;

/// Old content above this is not sent back for a diff.
const DIFF_LIMIT: usize = 100 * 1024;

/// Bytes to bring, and where.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    /// Destination as written; a folder when it ends with `/` or is one on the host.
    pub(super) dest: String,
    /// File name used when the destination is a folder; empty refuses folders.
    pub(super) name: String,
    /// What the file shall hold.
    pub(super) content: Vec<u8>,
    /// `src` of the result.
    pub(super) shown_source: Option<String>,
    /// Heading of the new side of a diff.
    pub(super) diff_header: String,
    /// Owner, group, mode.
    pub(super) attributes: Attributes,
    /// Whether an existing file may be replaced.
    pub(super) force: bool,
    /// Whether to keep a copy of the old file.
    pub(super) backup: bool,
    /// Whether a symbolic link at the destination is written through.
    pub(super) follow: bool,
    /// A command that must accept the new file; one word holds `%s`.
    pub(super) validate: Option<Vec<String>>,
    /// Whether writing over the file is allowed where renaming fails.
    pub(super) unsafe_writes: bool,
    /// `export` lines.
    pub(super) environment: String,
}

/// `place` and what it calls; needs [`HOST_PATHS`] and [`ATTRIBUTES`].
///
/// Reads `dest name content|content_b64|uploaded|source sha1 owner group mode force backup follow validate unsafe check diff`.
/// With neither content nor a source it stops where it would write and says `need 1`.
pub(super) const PLACE: &str = r#"tmp=
trap '[ -z "$tmp" ] || rm -f -- "$tmp"' EXIT
trap 'exit 143' HUP INT TERM
digest_of() { d_sum=$(sha1sum <"$1" 2>/dev/null) || d_sum=; d_sum=${d_sum%% *}; }
parent_of() {
  case $1 in
    */*) folder=${1%/*}; folder=${folder:-/} ;;
    *) folder=. ;;
  esac
}
check_validate() {
  [ "$validate" ] || return 0
  eval "set -- $validate"
  v_count=$#
  while [ "$v_count" -gt 0 ]; do
    v_word=$1; shift
    case $v_word in *%s*) v_word=${v_word%%%s*}$tmp${v_word#*%s} ;; esac
    set -- "$@" "$v_word"
    v_count=$((v_count - 1))
  done
  ( unset LC_ALL; exec "$@" ) </dev/null 3>&-
  v_status=$?
  [ "$v_status" = 0 ] || { reply exit_status "$v_status"; fail 'failed to validate'; }
}
keep_backup() {
  backup_file=$1.$$.$(date +%Y-%m-%d@%H:%M:%S)~
  said=$(cp -p -- "$1" "$backup_file" 2>&1) || fail "Could not make backup of $1 to $backup_file: $said"
  reply backup_file "$backup_file"
}
# Writes the content beside $1 with everything set, and renames it there.
bring() {
  parent_of "$1"
  if [ "${uploaded-}" ]; then tmp=$uploaded
  else
    tmp=$(mktemp "${folder%/}/.matron.XXXXXX" 2>/dev/null) || { tmp=; fail "Destination $folder not writable"; }
    if [ "${content_b64+set}" ]; then said=$( { printf '%s' "$content_b64" | base64 -d >"$tmp"; } 2>&1 )
    elif [ "${source-}" ]; then said=$(cat <"$source" 2>&1 >"$tmp")
    else said=$( { printf '%s' "$content" >"$tmp"; } 2>&1 ); fi || fail "failed to copy: $1: $said"
  fi
  check_validate
  b_mode=$((438 & ~0$(umask))) b_uid= b_gid=
  if [ "$exists" ]; then
    look "$1"
    [ "$l_type" != link ] || look "$(readlink -f -- "$1")"
    b_mode=$l_mode b_uid=$l_uid b_gid=$l_gid
    [ ! "$backup" ] || keep_backup "$1"
  fi
  look "$tmp"
  if [ "$b_uid" ] && [ "$b_uid:$b_gid" != "$l_uid:$l_gid" ]; then
    # Only root can give a file away; then the old owner is lost, as with any editor.
    chown "$b_uid:$b_gid" -- "$tmp" 2>/dev/null || chgrp "$b_gid" -- "$tmp" 2>/dev/null || :
  fi
  if [ "$want_uid" ]; then said=$(chown "$want_uid" -- "$tmp" 2>&1) || fail "chown failed: $said"; fi
  if [ "$want_gid" ]; then said=$(chgrp "$want_gid" -- "$tmp" 2>&1) || fail "chgrp failed: $said"; fi
  bits=$b_mode
  [ ! "$mode" ] || mode_bits "$mode" "$b_mode" file
  digits "$bits"
  said=$(chmod "0$octal" -- "$tmp" 2>&1) || fail "chmod failed: $said"
  sync "$tmp" 2>/dev/null || :
  if said=$(mv -f -- "$tmp" "$1" 2>&1); then tmp=
  elif [ "$unsafe" ] && said=$(cat <"$tmp" 2>&1 >"$1"); then rm -f -- "$tmp"; tmp=
  else fail "Could not replace file: $1: $said"; fi
}
place() {
  changed= exists= was=
  expand "$dest"; dest=$expanded
  want_ids
  p_into=
  case $dest in */) p_into=1 ;; esac
  if [ -d "$dest" ]; then p_into=1; fi
  if [ "$p_into" ]; then
    [ "$name" ] || fail 'can not use content with a dir as dest'
    if [ ! -d "$dest" ] && [ ! "$check" ]; then
      said=$(mkdir -p -- "$dest" 2>&1) || fail "Could not create $dest: $said"
    fi
    dest=${dest%/}/$name
  fi
  if [ "$follow" ] && [ -L "$dest" ]; then dest=$(readlink -f -- "$dest"); fi
  reply dest "$dest"
  parent_of "$dest"
  if [ ! -d "$folder" ] && [ ! "$check" ]; then
    if [ -e "$folder" ]; then fail "Failed to get information on remote file ($dest): Not a directory"; fi
    fail "Destination directory $folder does not exist"
  fi
  if [ -e "$dest" ] || [ -L "$dest" ]; then
    exists=1
    if [ -d "$dest" ]; then fail "Destination $dest is a directory"; fi
    if [ ! "$force" ]; then reply kept 1; return 0; fi
    if [ -f "$dest" ]; then digest_of "$dest"; was=$d_sum; fi
  fi
  if [ "$was" = "$sha1" ]; then
    [ ! "${uploaded-}" ] || rm -f -- "$uploaded"
    p_real=$dest
    if [ -L "$dest" ]; then p_real=$(readlink -f -- "$dest"); fi
    settle "$p_real"
    [ ! "$changed" ] || reply changed 1
    now "$dest"
    return 0
  fi
  reply replaced 1
  if [ "$diff" ] && [ "$exists" ] && [ -f "$dest" ] && [ ! "${uploaded-}" ]; then
    look "$dest"
    if [ "$l_size" -le "$diff_limit" ]; then reply_file before "$dest"; else reply before_large "$l_size"; fi
  fi
  if [ "$check" ]; then return 0; fi
  if [ ! "${uploaded-}${source-}" ] && [ ! "${content+set}" ] && [ ! "${content_b64+set}" ]; then
    reply need 1
    return 0
  fi
  bring "$dest"
  now "$dest"
}"#;

impl Placement {
    /// Starts the script with everything but the content.
    fn script(&self, mode: Mode) -> Script {
        let script =
            Script::new(HOST_PATHS).then(ATTRIBUTES).then(PLACE).then("place\nreply end 1");
        self.variables(script, mode).var("name", &self.name).var("sha1", sha1_hex(&self.content))
    }

    /// Gives a script what [`PLACE`] reads, but for the name, the digest and the content.
    pub(super) fn variables(&self, script: Script, mode: Mode) -> Script {
        let script = environment::with(script, &self.environment)
            .var("dest", &self.dest)
            .var("name", "")
            .flag("force", self.force)
            .flag("backup", self.backup)
            .flag("follow", self.follow)
            .flag("unsafe", self.unsafe_writes)
            .flag("check", mode.check)
            .flag("diff", mode.diff)
            .var("diff_limit", DIFF_LIMIT.to_string())
            .var_or_empty("validate", self.validate.as_ref().map(join));
        self.attributes.give_to(script)
    }

    fn is_large(&self) -> bool {
        self.content.len() > INLINE_LIMIT
    }

    /// Turns the reply into the result.
    pub(super) fn outcome(&self, reply: &Reply, before: Option<&Reply>, mode: Mode) -> Outcome {
        let dest = reply.field("dest").unwrap_or_else(|| self.dest.clone());
        if let Some(mut failed) = verdict::failure(reply) {
            if let Some(status) = reply.field("exit_status").and_then(|s| s.parse::<i64>().ok()) {
                failed = failed
                    .with("exit_status", status)
                    .with("stdout", reply.stdout_text())
                    .with("stderr", reply.stderr_text());
            }
            if let Some(backup) = reply.field("backup_file") {
                failed = failed.with("backup_file", backup);
            }
            return failed.with("checksum", sha1_hex(&self.content));
        }
        let replaced = reply.fields.is_set("replaced");
        let mut outcome = Outcome::changed_if(replaced || reply.fields.is_set("changed"));
        outcome = outcome.with("dest", dest.clone());
        if reply.fields.is_set("kept") {
            return outcome.with("src", self.shown_source.clone());
        }
        if replaced {
            if mode.diff {
                outcome = outcome.with_diff(self.content_diff(before.unwrap_or(reply), &dest));
            }
            if mode.check {
                return outcome;
            }
            outcome = outcome.with("md5sum", md5_hex(&self.content));
            if let Some(source) = &self.shown_source {
                outcome = outcome.with("src", source.clone());
            }
            if let Some(backup) = reply.field("backup_file") {
                outcome = outcome.with("backup_file", backup);
            }
        } else {
            outcome = outcome.with("path", dest.clone());
            if mode.diff {
                let path: Map<_, _> = [("path".to_owned(), json!(dest))].into_iter().collect();
                let (was, becomes) = attributes::sides(reply, path.clone(), path);
                outcome.diff.extend(attributes::diff("", was, becomes));
            }
        }
        attributes::describe(outcome.with("checksum", sha1_hex(&self.content)), reply)
    }

    fn content_diff(&self, reply: &Reply, dest: &str) -> Diff {
        let old = reply.fields.bytes("before");
        let before = match (old, reply.field("before_large")) {
            (Some(bytes), _) => shown(bytes),
            (None, Some(size)) => format!("[{size} bytes, too large to show]\n"),
            (None, None) => String::new(),
        };
        let new_file = old.is_none() && !reply.fields.is_set("before_large");
        let header =
            if self.diff_header.is_empty() { dest.to_owned() } else { self.diff_header.clone() };
        Diff {
            before_header: if new_file { String::new() } else { dest.to_owned() },
            after_header: header,
            before,
            after: if self.content.len() > DIFF_LIMIT {
                format!("[{} bytes, too large to show]\n", self.content.len())
            } else {
                shown(&self.content)
            },
        }
    }
}

/// Content as a diff shows it: text, or a remark.
pub(super) fn shown(bytes: &[u8]) -> String {
    if bytes.contains(&0) {
        return "[binary content]\n".to_owned();
    }
    String::from_utf8_lossy(bytes).into_owned()
}

/// SHA-1 in hexadecimal: what Ansible's results call `checksum`.
pub(super) fn sha1_hex(bytes: &[u8]) -> String {
    hex(&sha1::Sha1::digest(bytes))
}

/// MD5 in hexadecimal: `md5sum` of results.
pub(super) fn md5_hex(bytes: &[u8]) -> String {
    hex(&md5::Md5::digest(bytes))
}

/// Brings one file.
#[derive(Debug)]
pub(super) struct Place {
    placement: Placement,
    mode: Mode,
    asked: Option<Reply>,
    uploaded: bool,
}

impl Place {
    pub(super) fn new(placement: Placement) -> Self {
        Self { placement, mode: Mode::default(), asked: None, uploaded: false }
    }
}

impl Action for Place {
    fn begin(&mut self, mode: Mode) -> Step {
        self.mode = mode;
        let script = self.placement.script(mode);
        if self.placement.is_large() {
            return Step::Send(script);
        }
        Step::Send(script.var("content", &self.placement.content))
    }

    fn resume(&mut self, done: Done) -> Step {
        match done {
            Done::Reply(reply) => {
                let wants_upload = reply.fields.is_set("need") && !self.uploaded;
                if wants_upload && verdict::failure(&reply).is_none() {
                    let beside = reply.field("dest").unwrap_or_default();
                    self.asked = Some(reply);
                    let source = UploadSource::Bytes(self.placement.content.clone());
                    return Step::Upload(Upload { source, beside });
                }
                Step::Done(self.placement.outcome(&reply, self.asked.as_ref(), self.mode))
            }
            Done::Uploaded(path) => {
                self.uploaded = true;
                Step::Send(self.placement.script(self.mode).var("uploaded", path))
            }
            Done::Downloaded(_)
            | Done::Waited
            | Done::Answered(_)
            | Done::Locked(_)
            | Done::Lost(_) => unexpected(),
        }
    }

    fn reach(&self) -> Reach {
        Reach::Local
    }
}
