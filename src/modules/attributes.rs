//! Owner, group and mode of a path: the arguments, the script that sets them, and what results say about them.

use serde_json::{Map, Value, json};

use crate::modules::{ArgDoc, ArgError, ArgKind, Args, FileMode, arg};
use crate::outcome::{Diff, Outcome};
use crate::shell::{Reply, Script};

pub(super) const OWNER: ArgDoc =
    arg("owner", ArgKind::Str, "Name or number of the user who shall own it.");
pub(super) const GROUP: ArgDoc =
    arg("group", ArgKind::Str, "Name or number of the group it shall belong to.");
pub(super) const MODE: ArgDoc = arg(
    "mode",
    ArgKind::Mode,
    "Permissions: quoted octal ('0644') or symbolic ('u=rw,g=r,o='). Unset keeps what an existing file has.",
);
pub(super) const UNSAFE_WRITES: ArgDoc = ArgDoc {
    default: "false",
    ..arg(
        "unsafe_writes",
        ArgKind::Bool,
        "Where renaming into place is impossible (a file mounted into a container), write over the old content instead.",
    )
};
const LABELS: ArgKind = ArgKind::Ignored("SELinux labels are left to the host's policy");
pub(super) const SEUSER: ArgDoc = arg("seuser", LABELS, "SELinux user.");
pub(super) const SEROLE: ArgDoc = arg("serole", LABELS, "SELinux role.");
pub(super) const SETYPE: ArgDoc = arg("setype", LABELS, "SELinux type.");
pub(super) const SELEVEL: ArgDoc = arg("selevel", LABELS, "SELinux level.");

/// Owner, group and mode as wanted; what is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes {
    pub(super) owner: Option<String>,
    pub(super) group: Option<String>,
    /// Octal digits or symbolic clauses, as [`ATTRIBUTES`]' `mode_bits` reads them.
    pub(super) mode: Option<String>,
}

/// Attributes as given, and whether `mode: preserve` was asked for.
pub(super) fn parse(args: &Args) -> Result<(Attributes, bool), ArgError> {
    let (mode, preserve) = mode_text(args, "mode")?;
    Ok((Attributes { owner: args.text("owner")?, group: args.text("group")?, mode }, preserve))
}

/// Reads a mode argument as text for the script; the flag tells `preserve`.
pub(super) fn mode_text(args: &Args, name: &str) -> Result<(Option<String>, bool), ArgError> {
    Ok(match args.mode(name)? {
        None => (None, false),
        Some(FileMode::Octal(bits)) => (Some(octal(bits)), false),
        Some(FileMode::Symbolic(text)) => (Some(text), false),
        Some(FileMode::Preserve) => (None, true),
    })
}

/// Writes permission bits as Ansible does: `0644`, `02775`.
pub(super) fn octal(bits: u32) -> String {
    format!("0{bits:03o}")
}

impl Attributes {
    /// Gives a script the variables [`ATTRIBUTES`] reads.
    pub(super) fn give_to(&self, script: Script) -> Script {
        script
            .var_or_empty("owner", self.owner.as_deref())
            .var_or_empty("group", self.group.as_deref())
            .var_or_empty("mode", self.mode.as_deref())
    }
}

/// Shell functions; they need [`super::host_paths::HOST_PATHS`] before them.
///
/// * `want_ids` looks up `$owner` and `$group`: `$want_uid`, `$want_gid` (before anything is changed).
/// * `look PATH` (does not follow a link): `$l_type $l_mode $l_uid $l_gid`, false when it is not there.
/// * `mode_bits MODE CURRENT TYPE`: `$bits`, as chmod would make them.
/// * `settle PATH`: owner, group, mode as wanted; sets `$changed`, says `was_*` and `becomes_*` unless `$quiet`.
/// * `now PATH`: says what it is now.
pub(super) const ATTRIBUTES: &str = r#"uid_of() {
  found=
  case $1 in *[!0-9]*) ;; *) found=$1; return 0 ;; esac
  while IFS=: read -r a_name _ a_id _; do
    [ "$a_name" = "$1" ] && found=$a_id && return 0
  done </etc/passwd
  found=$(id -u "$1" 2>/dev/null) && [ "$found" ]
}
gid_of() {
  found=
  case $1 in *[!0-9]*) ;; *) found=$1; return 0 ;; esac
  while IFS=: read -r a_name _ a_id _; do
    [ "$a_name" = "$1" ] && found=$a_id && return 0
  done </etc/group
  found=$(getent group "$1" 2>/dev/null) || return 1
  found=${found#*:*:} found=${found%%:*}
  [ "$found" ]
}
want_ids() {
  want_uid= want_gid=
  if [ "$owner" ]; then
    uid_of "$owner" || fail "chown failed: failed to look up user $owner"
    want_uid=$found
  fi
  if [ "$group" ]; then
    gid_of "$group" || fail "chgrp failed: failed to look up group $group"
    want_gid=$found
  fi
}
look() {
  set -- $(stat -c '%f %u %g %h %s' -- "$1" 2>/dev/null)
  [ "$#" = 5 ] || return 1
  l_bits=$((0x$1)) l_uid=$2 l_gid=$3 l_links=$4 l_size=$5
  l_mode=$((l_bits & 4095))
  case $((l_bits & 61440)) in
    16384) l_type=directory ;;
    40960) l_type=link ;;
    32768) if [ "$l_links" -gt 1 ]; then l_type=hard; else l_type=file; fi ;;
    *) l_type=file ;;
  esac
}
digits() { octal=$(($1 >> 9))$(($1 >> 6 & 7))$(($1 >> 3 & 7))$(($1 & 7)); }
mode_bits() {
  bits=$2
  case $1 in *[!0-7]*) ;; *) bits=$((0$1)); return 0 ;; esac
  m_rest=$1,
  while [ "$m_rest" ]; do
    m_clause=${m_rest%%,*} m_rest=${m_rest#*,}
    m_who=${m_clause%%[-+=]*}
    m_ops=${m_clause#"$m_who"} m_free=4095 m_u= m_g= m_o=
    case $m_who in
      '') m_u=1 m_g=1 m_o=1 m_free=$((4095 & ~0$(umask))) ;;
      *a*) m_u=1 m_g=1 m_o=1 ;;
    esac
    case $m_who in *u*) m_u=1 ;; esac
    case $m_who in *g*) m_g=1 ;; esac
    case $m_who in *o*) m_o=1 ;; esac
    while [ "$m_ops" ]; do
      m_tail=${m_ops#?}
      m_op=${m_ops%"$m_tail"} m_perms=${m_tail%%[-+=]*}
      m_ops=${m_tail#"$m_perms"}
      m_three=0 m_set=0 m_area=0
      case $m_perms in *r*) m_three=$((m_three | 4)) ;; esac
      case $m_perms in *w*) m_three=$((m_three | 2)) ;; esac
      case $m_perms in *x*) m_three=$((m_three | 1)) ;; esac
      case $m_perms in
        *X*) if [ "$3" = directory ] || [ $((bits & 73)) != 0 ]; then m_three=$((m_three | 1)); fi ;;
      esac
      case $m_perms in *u*) m_three=$((m_three | bits >> 6 & 7)) ;; esac
      case $m_perms in *g*) m_three=$((m_three | bits >> 3 & 7)) ;; esac
      case $m_perms in *o*) m_three=$((m_three | bits & 7)) ;; esac
      m_s= m_t=
      case $m_perms in *s*) m_s=1 ;; esac
      case $m_perms in *t*) m_t=1 ;; esac
      if [ "$m_u" ]; then m_set=$((m_set | m_three << 6)) m_area=$((m_area | 2496)); fi
      if [ "$m_g" ]; then m_set=$((m_set | m_three << 3)) m_area=$((m_area | 1080)); fi
      if [ "$m_o" ]; then m_set=$((m_set | m_three)) m_area=$((m_area | 519)); fi
      if [ "$m_s$m_u" = 11 ]; then m_set=$((m_set | 2048)); fi
      if [ "$m_s$m_g" = 11 ]; then m_set=$((m_set | 1024)); fi
      if [ "$m_t$m_o" = 11 ]; then m_set=$((m_set | 512)); fi
      m_set=$((m_set & m_free))
      case $m_op in
        +) bits=$((bits | m_set)) ;;
        -) bits=$((bits & ~m_set)) ;;
        =) bits=$((bits & ~m_area | m_set)) ;;
      esac
    done
  done
}
differs() {
  changed=1
  [ "${quiet-}" ] || { reply "was_$1" "$2"; reply "becomes_$1" "$3"; }
}
settle() {
  look "$1" || return 1
  s_deref= s_again=
  if [ "$l_type" = link ]; then s_deref=-h; fi
  if [ "$want_uid" ] && [ "$want_uid" != "$l_uid" ]; then
    differs owner "$l_uid" "$want_uid"
    [ "$check" ] || said=$(chown $s_deref "$want_uid" -- "$1" 2>&1) || fail "chown failed: $said"
    s_again=1
  fi
  if [ "$want_gid" ] && [ "$want_gid" != "$l_gid" ]; then
    differs group "$l_gid" "$want_gid"
    [ "$check" ] || said=$(chgrp $s_deref "$want_gid" -- "$1" 2>&1) || fail "chgrp failed: $said"
    s_again=1
  fi
  if [ "$mode" ] && [ "$l_type" != link ]; then
    mode_bits "$mode" "$l_mode" "$l_type"
    if [ "$bits" != "$l_mode" ]; then
      differs mode "$l_mode" "$bits"
    # A change of owner takes the setuid and setgid bits away.
    elif [ "$s_again" ] && [ $((bits & 3072)) != 0 ]; then :
    else return 0; fi
    digits "$bits"
    [ "$check" ] || said=$(chmod "0$octal" -- "$1" 2>&1) || fail "chmod failed: $said"
  fi
  return 0
}
now() { reply now "$(stat -c '%f %u %g %h %s %U %G' -- "$1" 2>/dev/null)"; }"#;

/// What `now` said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Now {
    /// Ansible's `state`: file, directory, link, hard.
    pub(super) state: &'static str,
    bits: u32,
    uid: u64,
    gid: u64,
    size: u64,
    owner: String,
    group: String,
}

impl Now {
    /// Reads the `now` field; `None` when there is nothing at the path or it was not asked.
    pub(super) fn read(reply: &Reply) -> Option<Self> {
        let text = reply.field("now")?;
        let mut words = text.split(' ');
        let raw = u32::from_str_radix(words.next()?, 16).ok()?;
        let mut number = || words.next()?.parse::<u64>().ok();
        let (uid, gid, links, size) = (number()?, number()?, number()?, number()?);
        // A name may be unknown to the host: then the number stands for it, as in Ansible.
        let mut name = |id: u64| match words.next() {
            None | Some("" | "UNKNOWN") => id.to_string(),
            Some(name) => name.to_owned(),
        };
        let (owner, group) = (name(uid), name(gid));
        let state = match raw & 0o170_000 {
            0o040_000 => "directory",
            0o120_000 => "link",
            0o100_000 if links > 1 => "hard",
            _ => "file",
        };
        Some(Self { state, bits: raw & 0o7777, uid, gid, size, owner, group })
    }
}

/// Adds uid, gid, owner, group, mode, state and size to a result, as the reply has them.
pub(super) fn describe(mut outcome: Outcome, reply: &Reply) -> Outcome {
    if let Some(now) = Now::read(reply) {
        let facts = json!({
            "uid": now.uid, "gid": now.gid, "owner": now.owner, "group": now.group,
            "mode": octal(now.bits), "state": now.state, "size": now.size,
        });
        if let Value::Object(facts) = facts {
            outcome.data.extend(facts);
        }
    }
    outcome
}

/// The before and after sides of attributes, as `was_*` and `becomes_*` said, each starting with what is given.
pub(super) fn sides(
    reply: &Reply,
    before: Map<String, Value>,
    after: Map<String, Value>,
) -> (Map<String, Value>, Map<String, Value>) {
    let (mut before, mut after) = (before, after);
    for (key, is_mode) in [("owner", false), ("group", false), ("mode", true)] {
        let read = |field: Option<String>| {
            let number = field?.parse::<u32>().ok()?;
            Some(if is_mode { Value::from(octal(number)) } else { Value::from(number) })
        };
        let was = read(reply.field(&format!("was_{key}")));
        let becomes = read(reply.field(&format!("becomes_{key}")));
        if let (Some(was), Some(becomes)) = (was, becomes) {
            before.insert(key.to_owned(), was);
            after.insert(key.to_owned(), becomes);
        }
    }
    (before, after)
}

/// Makes the diff of two attribute maps: JSON, sorted, indented by four as Ansible prints it. `None` when they are equal.
pub(super) fn diff(
    header: &str,
    before: Map<String, Value>,
    after: Map<String, Value>,
) -> Option<Diff> {
    if before == after {
        return None;
    }
    Some(Diff {
        before_header: header.to_owned(),
        after_header: header.to_owned(),
        before: pretty(before),
        after: pretty(after),
    })
}

fn pretty(map: Map<String, Value>) -> String {
    use serde::Serialize as _;
    let mut sorted: Vec<_> = map.into_iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    let map: Map<String, Value> = sorted.into_iter().collect();
    let mut out = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut writer = serde_json::Serializer::with_formatter(&mut out, format);
    // Writing a map of plain values to memory cannot fail; an empty diff would be the only harm.
    if map.serialize(&mut writer).is_err() {
        out.clear();
    }
    out.push(b'\n');
    String::from_utf8_lossy(&out).into_owned()
}
