//! `copy`: files, folders and written content onto a host, or from one place of it to another.

use std::path::{Path, PathBuf};

use crate::modules::action::unexpected;
use crate::modules::attributes::{
    self, ATTRIBUTES, GROUP, MODE, OWNER, SELEVEL, SEROLE, SETYPE, SEUSER, UNSAFE_WRITES,
};
use crate::modules::host_paths::HOST_PATHS;
use crate::modules::place::{self, PLACE, Place, Placement};
use crate::modules::tree::Tree;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Done, Mode, Module, Reach, Step,
    TaskContext, arg, environment, verdict,
};
use crate::outcome::Outcome;
use crate::shell::{self, Reply, Script};

/// See the file's head.
pub(super) struct Copy;

/// `dest` of copy and template.
pub(super) const DEST: ArgDoc = ArgDoc {
    required: true,
    ..arg(
        "dest",
        ArgKind::Path,
        "Where to put it. A folder (or a path ending in `/`) gets the file under its own name.",
    )
};
pub(super) const BACKUP: ArgDoc = ArgDoc {
    default: "false",
    ..arg("backup", ArgKind::Bool, "Keeps a copy of the old file beside it: `PATH.PID.DATE@TIME~`.")
};
pub(super) const FORCE: ArgDoc = ArgDoc {
    default: "true",
    ..arg(
        "force",
        ArgKind::Bool,
        "Replaces a file that differs. With `false`, a file that is there is left alone.",
    )
};
pub(super) const FOLLOW: ArgDoc = ArgDoc {
    default: "false",
    ..arg(
        "follow",
        ArgKind::Bool,
        "Writes through a symbolic link at the destination instead of replacing the link.",
    )
};
pub(super) const VALIDATE: ArgDoc = arg(
    "validate",
    ArgKind::Str,
    "A command that must accept the new file before it is put in place; `%s` stands for the file.",
);

static DOC: Doc = Doc {
    name: "copy",
    summary: "Copies files and folders to a host.",
    description: "Content that is the same is not sent again and nothing is changed. A new file is written beside the old one \
                  with owner and mode set, and renamed into place, so nobody ever reads half of it.",
    args: &[
        arg(
            "src",
            ArgKind::Path,
            "File or folder, looked for as Ansible does (`files/`). A folder with a trailing `/` gives its content only.",
        ),
        arg(
            "content",
            ArgKind::Raw,
            "What the file shall hold, instead of `src`. A mapping or list is written as JSON.",
        ),
        DEST,
        OWNER,
        GROUP,
        MODE,
        arg("directory_mode", ArgKind::Mode, "Permissions of folders that a recursive copy makes."),
        ArgDoc {
            default: "false",
            ..arg("remote_src", ArgKind::Bool, "`src` is on the host itself.")
        },
        FORCE,
        BACKUP,
        FOLLOW,
        VALIDATE,
        arg("checksum", ArgKind::Str, "SHA-1 the content must have."),
        ArgDoc {
            default: "true",
            ..arg("decrypt", ArgKind::Bool, "Opens files sealed with Ansible Vault.")
        },
        ArgDoc {
            default: "true",
            ..arg(
                "local_follow",
                ArgKind::Bool,
                "Follows symbolic links in `src`; only `true` is supported.",
            )
        },
        UNSAFE_WRITES,
        SEUSER,
        SEROLE,
        SETYPE,
        SELEVEL,
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Local,
    returns: &[
        ("dest", "The path written."),
        ("src", "Where it came from."),
        ("checksum", "SHA-1 of the content."),
        ("md5sum", "MD5 of the content, when it was written."),
        ("backup_file", "Where the old file is kept."),
        ("mode", "Permissions now; with owner, group, uid, gid, size and state."),
    ],
    examples: "- copy:\n    src: pg_hba.conf\n    dest: /etc/postgresql/pg_hba.conf\n    owner: postgres\n    mode: '0640'\n\
               - copy:\n    content: \"{{ settings }}\"\n    dest: /etc/app.json\n",
};

impl Module for Copy {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        if !args.boolean("local_follow", true)? {
            return Err(ArgError::new("copy: local_follow: false is not supported"));
        }
        let dest = args.required("dest")?;
        let (src, content) = (args.text("src")?, args.text("content")?);
        let mut base = placement(args, cx, dest)?;
        let preserve = attributes::parse(args)?.1;
        match (src, content) {
            (Some(_), Some(_)) => Err(ArgError::new("src and content are mutually exclusive")),
            (None, None) => Err(ArgError::new("src (or content) is required")),
            (None, Some(_)) if args.boolean("remote_src", false)? => {
                Err(ArgError::new("src (or content) is required"))
            }
            (None, Some(content)) => {
                if base.dest.ends_with('/') {
                    return Err(ArgError::new("can not use content with a dir as dest"));
                }
                base.content = content.into_bytes();
                expect_checksum(args, &base.content)?;
                Ok(Box::new(Place::new(base)))
            }
            (Some(src), None) if args.boolean("remote_src", false)? => Ok(Box::new(OnHost {
                src,
                base,
                preserve,
                directory_mode: attributes::mode_text(args, "directory_mode")?.0,
                checksum: args.text("checksum")?,
                mode: Mode::default(),
            })),
            (Some(src), None) => from_here(args, cx, &src, base, preserve),
        }
    }
}

/// Reads what copy and template share; content, name and headings are left to fill in.
pub(super) fn placement(
    args: &Args,
    cx: &TaskContext<'_>,
    dest: String,
) -> Result<Placement, ArgError> {
    Ok(Placement {
        dest,
        name: String::new(),
        content: Vec::new(),
        shown_source: None,
        diff_header: String::new(),
        attributes: attributes::parse(args)?.0,
        force: args.boolean("force", true)?,
        backup: args.boolean("backup", false)?,
        follow: args.boolean("follow", false)?,
        validate: validate(args)?,
        unsafe_writes: args.boolean("unsafe_writes", false)?,
        environment: environment::exports(cx)?,
    })
}

/// Reads `validate` into words.
pub(super) fn validate(args: &Args) -> Result<Option<Vec<String>>, ArgError> {
    let Some(text) = args.text("validate")? else { return Ok(None) };
    if !text.contains("%s") {
        return Err(ArgError::new(format!("validate must contain %s: {text}")));
    }
    shell::split(&text).map(Some).map_err(|why| ArgError::new(why.to_string()))
}

/// Finds a file of the project, or says where it was looked for.
pub(super) fn find(cx: &TaskContext<'_>, subfolder: &str, name: &str) -> Result<PathBuf, ArgError> {
    cx.files.find(subfolder, name).map_err(|tried| {
        let tried: Vec<_> = tried.iter().map(|path| path.display().to_string()).collect();
        ArgError::new(format!(
            "Could not find or access '{name}'\nSearched in:\n\t{} on the Ansible Controller.\n\
             If you are using a module and expect the file to exist on the remote, see the remote_src option",
            tried.join("\n\t")
        ))
    })
}

/// Reads a file of the project; one sealed with Ansible Vault is opened when asked to.
pub(super) fn read(cx: &TaskContext<'_>, path: &Path, open: bool) -> Result<Vec<u8>, ArgError> {
    let bytes = if open { cx.files.read(path) } else { cx.files.read_as_is(path) };
    bytes.map_err(|error| ArgError::new(format!("cannot read {}: {error}", path.display())))
}

fn expect_checksum(args: &Args, content: &[u8]) -> Result<(), ArgError> {
    let Some(expected) = args.text("checksum")? else { return Ok(()) };
    let found = place::sha1_hex(content);
    if expected.eq_ignore_ascii_case(&found) {
        return Ok(());
    }
    Err(ArgError::new(format!(
        "Copied file does not match the expected checksum. Transfer failed. (expected {expected}, is {found})"
    )))
}

fn from_here(
    args: &Args,
    cx: &TaskContext<'_>,
    src: &str,
    mut base: Placement,
    preserve: bool,
) -> Result<Box<dyn Action>, ArgError> {
    let path = find(cx, "files", src.trim_end_matches('/'))?;
    let open = args.boolean("decrypt", true)?;
    let kept = |path: &Path| cx.files.mode(path).map(attributes::octal).filter(|_| preserve);
    let name_of = |path: &Path| {
        path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    if !cx.files.is_dir(&path) {
        base.content = read(cx, &path, open)?;
        expect_checksum(args, &base.content)?;
        base.name = name_of(&path);
        base.shown_source = Some(path.display().to_string());
        base.diff_header = path.display().to_string();
        base.attributes.mode = kept(&path).or(base.attributes.mode);
        return Ok(Box::new(Place::new(base)));
    }
    let dest = format!("{}/", base.dest.trim_end_matches('/'));
    let root = if src.ends_with('/') { dest.clone() } else { format!("{dest}{}/", name_of(&path)) };
    let mut tree = Tree::new(src.to_owned(), dest, base.environment.clone());
    tree.directory_mode = attributes::mode_text(args, "directory_mode")?.0;
    tree.attributes = base.attributes.clone();
    let mut folders = vec![(path, root.trim_end_matches('/').to_owned())];
    while let Some((folder, target)) = folders.pop() {
        let entries = cx
            .files
            .list(&folder)
            .map_err(|error| ArgError::new(format!("cannot list {}: {error}", folder.display())))?;
        tree.folders.push(target.clone());
        for entry in entries {
            let from = folder.join(&entry);
            let to = format!("{target}/{entry}");
            if cx.files.is_dir(&from) {
                folders.push((from, to));
                continue;
            }
            let mut file = base.clone();
            file.dest = to;
            file.content = read(cx, &from, open)?;
            file.name.clone_from(&entry);
            file.shown_source = Some(from.display().to_string());
            file.diff_header = from.display().to_string();
            file.attributes.mode = kept(&from).or(file.attributes.mode);
            tree.files.push(file);
        }
    }
    Ok(Box::new(tree))
}

/// Copies from one place of the host to another.
struct OnHost {
    src: String,
    base: Placement,
    preserve: bool,
    directory_mode: Option<String>,
    checksum: Option<String>,
    mode: Mode,
}

/// Needs HOST_PATHS, ATTRIBUTES and PLACE.
const ON_HOST: &str = r#"folder_copy() {
  # Links stay links and files keep their mode, as Ansible copies folders on a host.
  if [ ! -d "$2" ]; then
    reply any 1
    if [ ! "$check" ]; then
      said=$(mkdir -p -- "$2" 2>&1) || fail "Could not create $2: $said"
      if [ "$directory_mode" ]; then
        look "$2"; mode_bits "$directory_mode" "$l_mode" directory; digits "$bits"
        chmod "0$octal" -- "$2"
      fi
    fi
  fi
  for c_entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    c_name=${c_entry##*/}
    if [ -L "$c_entry" ]; then
      c_points=$(readlink -- "$c_entry")
      [ "$(readlink -- "$2/$c_name" 2>/dev/null)" = "$c_points" ] && [ -L "$2/$c_name" ] && continue
      reply any 1
      [ "$check" ] && continue
      said=$(rm -f -- "$2/$c_name" 2>&1 && ln -s -- "$c_points" "$2/$c_name" 2>&1) || fail "failed to copy: $c_entry to $2: $said"
    elif [ -f "$c_entry" ]; then
      digest_of "$c_entry"; c_sum=$d_sum d_sum=
      if [ -f "$2/$c_name" ]; then
        [ "$force" ] || continue
        digest_of "$2/$c_name"
      fi
      [ "$c_sum" = "$d_sum" ] && continue
      reply any 1
      [ "$check" ] && continue
      look "$c_entry"; digits "$l_mode"
      dest=$2/$c_name source=$c_entry sha1=$c_sum mode=$octal
      quiet=1; place; quiet=
    elif [ -d "$c_entry" ]; then
      folder_copy "$c_entry" "$2/$c_name"
    fi
  done
}
expand "$src"; src=$expanded
[ -e "$src" ] || fail "Source $src not found"
[ -r "$src" ] || fail "Source $src not readable"
reply src "$src"
if [ -d "$src" ]; then
  expand "$dest"; dest=$expanded
  want_ids
  top=${dest%/} given_mode=$mode given_uid=$want_uid given_gid=$want_gid
  [ "$top" ] || top=/
  if [ -e "$top" ] && [ ! -d "$top" ]; then fail "cannot copy a directory over a file: $top"; fi
  owner= group= want_uid= want_gid=
  case $src in
    */) folder_copy "${src%/}" "$top" ;;
    *) folder_copy "$src" "${top%/}/${src##*/}" ;;
  esac
  mode=$given_mode want_uid=$given_uid want_gid=$given_gid changed=
  settle "$top"
  [ ! "$changed" ] || reply any 1
  reply top "$top"
  now "$top"
else
  source=$src name=${src##*/}
  digest_of "$src"; sha1=$d_sum
  reply sha1 "$sha1"
  if [ "$checksum" ] && [ "$checksum" != "$sha1" ]; then
    fail 'Copied file does not match the expected checksum. Transfer failed.'
  fi
  if [ "$preserve" ]; then look "$(readlink -f -- "$src")"; digits "$l_mode"; mode=$octal; fi
  if [ "$diff" ]; then look "$src"; [ "$l_size" -gt "$diff_limit" ] || reply_file after "$src"; fi
  place
fi
reply end 1"#;

impl Action for OnHost {
    fn begin(&mut self, mode: Mode) -> Step {
        self.mode = mode;
        let script = Script::new(HOST_PATHS).then(ATTRIBUTES).then(PLACE).then(ON_HOST);
        let script = self
            .base
            .variables(script, mode)
            .var("src", &self.src)
            .flag("preserve", self.preserve)
            .var_or_empty("directory_mode", self.directory_mode.as_deref())
            .var_or_empty("checksum", self.checksum.as_deref());
        Step::Send(script)
    }

    fn resume(&mut self, done: Done) -> Step {
        let Done::Reply(reply) = done else { return unexpected() };
        Step::Done(self.outcome(&reply))
    }

    fn reach(&self) -> Reach {
        Reach::Local
    }
}

impl OnHost {
    fn outcome(&self, reply: &Reply) -> Outcome {
        let src = reply.field("src").unwrap_or_else(|| self.src.clone());
        if let Some(top) = reply.field("top") {
            if let Some(failed) = verdict::failure(reply) {
                return failed;
            }
            let outcome = Outcome::changed_if(reply.fields.is_set("any"));
            return attributes::describe(outcome.with("dest", top).with("src", src), reply);
        }
        let mut known = self.base.clone();
        known.content = reply.fields.bytes("after").unwrap_or_default().to_vec();
        known.shown_source = Some(src.clone());
        known.diff_header.clone_from(&src);
        let mut outcome = known.outcome(reply, None, self.mode).with("src", src);
        // The content stayed on the host: its digest is the one the host computed.
        outcome.data.shift_remove("md5sum");
        if let Some(sha1) = reply.field("sha1") {
            return outcome.with("checksum", sha1);
        }
        outcome.data.shift_remove("checksum");
        outcome
    }
}
