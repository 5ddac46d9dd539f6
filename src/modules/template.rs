//! `template`: renders a Jinja template here and puts the result in place as `copy` does.

use crate::modules::attributes::{
    self, GROUP, MODE, OWNER, SELEVEL, SEROLE, SETYPE, SEUSER, UNSAFE_WRITES,
};
use crate::modules::copy::{self, BACKUP, DEST, FOLLOW, FORCE, VALIDATE};
use crate::modules::place::Place;
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg,
};
use crate::template::TemplateOptions;

/// See the file's head.
pub(super) struct Template;

const fn delimiter(name: &'static str, default: &'static str, help: &'static str) -> ArgDoc {
    ArgDoc { default, ..arg(name, ArgKind::Str, help) }
}

static DOC: Doc = Doc {
    name: "template",
    summary: "Renders a template onto a host.",
    description: "Rendered on the controller with the host's variables; the result is put in place as by `copy`: in one round \
                  trip, only when it differs, atomically. A first line `#jinja2: key: value, …` overrides the settings.",
    args: &[
        ArgDoc {
            required: true,
            ..arg("src", ArgKind::Path, "The template, looked for as Ansible does (`templates/`).")
        },
        DEST,
        OWNER,
        GROUP,
        MODE,
        FORCE,
        BACKUP,
        FOLLOW,
        VALIDATE,
        ArgDoc {
            default: "true",
            ..arg("trim_blocks", ArgKind::Bool, "Removes the line end after a block tag.")
        },
        ArgDoc {
            default: "false",
            ..arg("lstrip_blocks", ArgKind::Bool, "Removes blanks before a block tag.")
        },
        ArgDoc {
            default: "\\n",
            ..arg(
                "newline_sequence",
                ArgKind::Choice(&["\n", "\r", "\r\n"]),
                "The line end written.",
            )
        },
        ArgDoc {
            default: "utf-8",
            ..arg("output_encoding", ArgKind::Choice(&["utf-8"]), "Only UTF-8 is written.")
        },
        delimiter("block_start_string", "{%", "Start of a block tag."),
        delimiter("block_end_string", "%}", "End of a block tag."),
        delimiter("variable_start_string", "{{", "Start of an expression."),
        delimiter("variable_end_string", "}}", "End of an expression."),
        delimiter("comment_start_string", "{#", "Start of a comment."),
        delimiter("comment_end_string", "#}", "End of a comment."),
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
        ("src", "The template."),
        ("checksum", "SHA-1 of the rendered text."),
        ("md5sum", "MD5 of the rendered text, when it was written."),
        ("backup_file", "Where the old file is kept."),
        ("mode", "Permissions now; with owner, group, uid, gid, size and state."),
    ],
    examples: "- template:\n    src: postgresql.conf.j2\n    dest: /srv/pg/postgresql.conf\n    mode: '0644'\n",
};

impl Module for Template {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let src = args.required("src")?;
        let dest = args.required("dest")?;
        args.choice("output_encoding", &["utf-8"], "utf-8")?;
        let path = copy::find(cx, "templates", &src)?;
        let text = String::from_utf8(copy::read(cx, &path, true)?).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            ArgError::new(format!("template {} is not UTF-8 at byte {at}", path.display()))
        })?;
        let mut placement = copy::placement(args, cx, dest.clone())?;
        let full = path.display().to_string();
        let extra = [
            ("template_path", minijinja::Value::from(src)),
            ("template_fullpath", minijinja::Value::from(full.clone())),
            ("template_destpath", minijinja::Value::from(dest)),
        ];
        let options = options(args)?;
        let rendered = cx.vars.template(&text, &path, &options, &extra).map_err(ArgError::new)?;
        if attributes::parse(args)?.1 {
            placement.attributes.mode = cx.files.mode(&path).map(attributes::octal);
        }
        placement.content = rendered.into_bytes();
        placement.name =
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        placement.shown_source = Some(full.clone());
        placement.diff_header = full;
        Ok(Box::new(Place::new(placement)))
    }
}

fn options(args: &Args) -> Result<TemplateOptions, ArgError> {
    let or = |name: &str, default: &str| -> Result<String, ArgError> {
        Ok(args.text(name)?.unwrap_or_else(|| default.to_owned()))
    };
    let delimiters = [
        (or("block_start_string", "{%")?, or("block_end_string", "%}")?),
        (or("variable_start_string", "{{")?, or("variable_end_string", "}}")?),
        (or("comment_start_string", "{#")?, or("comment_end_string", "#}")?),
    ];
    let usual = [("{%", "%}"), ("{{", "}}"), ("{#", "#}")];
    let own =
        delimiters.iter().zip(usual).any(|(own, usual)| (own.0.as_str(), own.1.as_str()) != usual);
    let newline = match args.text("newline_sequence")?.as_deref() {
        None | Some("\n" | "\\n") => "\n",
        Some("\r" | "\\r") => "\r",
        Some("\r\n" | "\\r\\n") => "\r\n",
        Some(other) => {
            return Err(ArgError::new(format!(
                "newline_sequence needs to be one of: \\n, \\r or \\r\\n, got: {other:?}"
            )));
        }
    };
    Ok(TemplateOptions {
        trim_blocks: args.boolean("trim_blocks", true)?,
        lstrip_blocks: args.boolean("lstrip_blocks", false)?,
        newline,
        delimiters: own.then_some(delimiters),
    })
}
