//! Settings from `ansible.cfg` and `ANSIBLE_*`, and `matron config`, which shows what counts and where it came from.
//!
//! A flag wins over the environment, the environment over the file, the file over the default. The file is the first of
//! `ANSIBLE_CONFIG`, `./ansible.cfg` (unless anybody may write to that folder), `~/.ansible.cfg`, `/etc/ansible/ansible.cfg`.

mod ini;
mod settings;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value as Json, json};

use super::failure::Failure;
use super::world::env;
use settings::{ALL, Kind, Setting, Weight};

/// Show the settings that count, and where each came from
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    verb: ConfigVerb,
}

#[derive(Debug, Subcommand)]
enum ConfigVerb {
    /// Each setting with its value and origin
    Dump {
        /// Only those that are not at their default
        #[arg(long)]
        only_changed: bool,
        /// Form of the output
        #[arg(short, long, value_enum, default_value_t = Form::Text)]
        format: Form,
    },
    /// Each setting: variable, place in ansible.cfg, default, and whether it has an effect here
    List,
    /// The configuration file as it is
    View,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// NAME(origin) = value
    Text,
    /// A list of JSON objects
    Json,
}

/// Where a value came from.
#[derive(Clone, PartialEq, Eq, Debug)]
enum From {
    Default,
    Env(&'static str),
    File(PathBuf),
}

/// The settings of this process.
#[derive(Clone, Debug, Default)]
pub(super) struct Config {
    file: Option<PathBuf>,
    found: BTreeMap<&'static str, (Json, From)>,
    /// What is wrong with the file but does not stop a run.
    pub(super) warnings: Vec<String>,
}

pub(super) fn run(args: ConfigArgs) -> Result<u8, Failure> {
    let folder = std::env::current_dir()
        .map_err(|error| Failure::general(format!("cannot tell the working folder: {error}")))?;
    let config = Config::load(&folder)?;
    for warning in &config.warnings {
        super::talk(&format!("warning: {warning}"));
    }
    match args.verb {
        ConfigVerb::Dump { only_changed, format } => config.dump(only_changed, format),
        ConfigVerb::List => list(),
        ConfigVerb::View => match &config.file {
            Some(path) => super::say(read(path)?.trim_end()),
            None => return Err(Failure::general("there is no configuration file")
                .hint("ANSIBLE_CONFIG, ./ansible.cfg, ~/.ansible.cfg and /etc/ansible/ansible.cfg were looked for")),
        },
    }
    Ok(0)
}

impl Config {
    /// Reads environment and file; what cannot be a value of its setting is an error.
    pub(super) fn load(folder: &Path) -> Result<Self, Failure> {
        let mut config = Self::default();
        config.find(folder)?;
        let written = match &config.file {
            Some(path) => ini::read(&read(path)?).map_err(|(line, why)| {
                Failure::general(format!("{}:{line}: {why}", path.display()))
            })?,
            None => BTreeMap::new(),
        };
        config.note_unknown(&written);
        for setting in ALL {
            let value = config.value(setting, folder, &written)?;
            config.found.insert(setting.name, value);
        }
        Ok(config)
    }

    fn find(&mut self, folder: &Path) -> Result<(), Failure> {
        if let Some(given) = env("ANSIBLE_CONFIG").filter(|given| !given.is_empty()) {
            let path = opened(&given, folder);
            let path = if path.is_dir() { path.join("ansible.cfg") } else { path };
            if path.is_file() {
                self.file = Some(path);
                return Ok(());
            }
            return Err(Failure::general(format!(
                "ANSIBLE_CONFIG: there is no file {}",
                path.display()
            )));
        }
        let own = folder.join("ansible.cfg");
        let open_to_all =
            std::fs::metadata(folder).is_ok_and(|about| about.permissions().mode() & 0o002 != 0);
        if own.is_file() && open_to_all {
            self.warnings.push(format!(
                "anybody may write to {}: its ansible.cfg is not used (ANSIBLE_CONFIG names it all the same)",
                folder.display()
            ));
        } else if own.is_file() {
            self.file = Some(own);
            return Ok(());
        }
        let home = env("HOME").map(|home| PathBuf::from(home).join(".ansible.cfg"));
        let system = PathBuf::from("/etc/ansible/ansible.cfg");
        self.file = home.into_iter().chain([system]).find(|path| path.is_file());
        Ok(())
    }

    /// Says which words of the file are none of the settings: a typing mistake would be without effect, unseen.
    fn note_unknown(&mut self, written: &ini::Written) {
        let Some(path) = &self.file else { return };
        let known = |section: &str, key: &str| {
            ALL.iter().any(|setting| setting.ini.contains(&(section, key)))
        };
        // Sections of plugins, and looks, are for programs that are not here.
        let ours = [
            "defaults",
            "inventory",
            "privilege_escalation",
            "ssh_connection",
            "tags",
            "diff",
            "connection",
        ];
        for ((section, key), (line, _)) in written {
            if ours.contains(&section.as_str()) && !known(section, key) {
                let names = ALL.iter().flat_map(|setting| setting.ini).map(|(_, key)| *key);
                let near = crate::names::nearest(key, names)
                    .map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
                self.warnings.push(format!(
                    "{}:{line}: [{section}] {key} has no effect here{near}",
                    path.display()
                ));
            }
        }
    }

    fn value(
        &self,
        setting: &'static Setting,
        folder: &Path,
        written: &ini::Written,
    ) -> Result<(Json, From), Failure> {
        for name in setting.env {
            if let Some(text) = env(name).filter(|text| !text.is_empty()) {
                let value = setting.parse(&text, folder).map_err(|limit| {
                    Failure::usage(format!("{name} is '{text}'; it must be {limit}"))
                })?;
                return Ok((value, From::Env(name)));
            }
        }
        if let Some(path) = &self.file {
            for (section, key) in setting.ini {
                let Some((line, text)) = written.get(&((*section).to_owned(), (*key).to_owned()))
                else {
                    continue;
                };
                let base = path.parent().unwrap_or(folder);
                let value = setting.parse(text, base).map_err(|limit| {
                    Failure::general(format!(
                        "{}:{line}: [{section}] {key} is '{text}'; it must be {limit}",
                        path.display()
                    ))
                })?;
                return Ok((value, From::File(path.clone())));
            }
        }
        let value = setting.parse(setting.default, folder).unwrap_or(Json::Null);
        Ok((value, From::Default))
    }

    fn of(&self, name: &str) -> Option<&(Json, From)> {
        self.found.get(name)
    }

    /// Returns a setting that somebody set, as text.
    pub(super) fn set_text(&self, name: &str) -> Option<String> {
        let (value, from) = self.of(name)?;
        let text = value.as_str().filter(|text| !text.is_empty())?;
        (*from != From::Default).then(|| text.to_owned())
    }

    /// Returns a setting as text, its default when nobody set it.
    pub(super) fn text(&self, name: &str) -> String {
        self.of(name).and_then(|(value, _)| value.as_str()).unwrap_or_default().to_owned()
    }

    /// Returns a setting as a yes or no.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.of(name).is_some_and(|(value, _)| *value == Json::Bool(true))
    }

    /// Returns a yes or no that somebody set.
    pub(super) fn set_flag(&self, name: &str) -> Option<bool> {
        let (value, from) = self.of(name)?;
        value.as_bool().filter(|_| *from != From::Default)
    }

    /// Returns a number.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.of(name).and_then(|(value, _)| value.as_u64())
    }

    /// Returns a number that somebody set.
    pub(super) fn set_number(&self, name: &str) -> Option<u64> {
        let (value, from) = self.of(name)?;
        value.as_u64().filter(|_| *from != From::Default)
    }

    /// Returns a list.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let items = self.of(name).and_then(|(value, _)| value.as_array());
        let text = |item: &Json| item.as_str().map(str::to_owned);
        items.into_iter().flatten().filter_map(text).collect()
    }

    /// Returns a list that somebody set.
    pub(super) fn set_list(&self, name: &str) -> Option<Vec<String>> {
        let (_, from) = self.of(name)?;
        (*from != From::Default).then(|| self.list(name))
    }

    /// Returns the file that was read.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    fn dump(&self, only_changed: bool, form: Form) {
        let mut rows = Vec::new();
        if form == Form::Text
            && let Some(path) = &self.file
        {
            super::say(&format!("CONFIG_FILE() = {}", path.display()));
        }
        for (name, (value, from)) in &self.found {
            if only_changed && *from == From::Default {
                continue;
            }
            let origin = match from {
                From::Default => "default".to_owned(),
                From::Env(name) => format!("env: {name}"),
                From::File(path) => path.display().to_string(),
            };
            match form {
                Form::Text => super::say(&format!("{name}({origin}) = {}", python(value))),
                Form::Json => rows.push(json!({"name": name, "value": value, "origin": origin})),
            }
        }
        if form == Form::Json {
            super::say(&serde_json::to_string_pretty(&rows).unwrap_or_default());
        }
    }
}

/// Writes a value as `ansible-config` does.
fn python(value: &Json) -> String {
    match value {
        Json::Null => "None".to_owned(),
        Json::Bool(true) => "True".to_owned(),
        Json::Bool(false) => "False".to_owned(),
        Json::String(text) => text.clone(),
        Json::Array(items) => {
            let items: Vec<String> = items
                .iter()
                .map(|item| format!("'{}'", item.as_str().unwrap_or_default()))
                .collect();
            format!("[{}]", items.join(", "))
        }
        Json::Number(_) | Json::Object(_) => value.to_string(),
    }
}

fn list() {
    for setting in ALL {
        let places: Vec<String> =
            setting.ini.iter().map(|(section, key)| format!("[{section}] {key}")).collect();
        let idle = if setting.weight == Weight::Idle { "; has no effect here" } else { "" };
        let default = if setting.default.is_empty() { "none" } else { setting.default };
        super::say(&format!(
            "{}\n    {}{}{}; default: {default}{idle}",
            setting.name,
            setting.env.join(", "),
            if setting.env.is_empty() { "" } else { "; " },
            places.join(", "),
        ));
    }
}

impl Setting {
    /// Returns the value a text stands for, or what it must be.
    fn parse(&self, text: &str, base: &Path) -> Result<Json, String> {
        let text = text.trim();
        if text.is_empty() && matches!(self.kind, Kind::Int | Kind::Text | Kind::Path) {
            return Ok(Json::Null);
        }
        match self.kind {
            Kind::Bool => match text.to_ascii_lowercase().as_str() {
                "1" | "true" | "yes" | "on" | "y" | "t" => Ok(Json::Bool(true)),
                "0" | "false" | "no" | "off" | "n" | "f" | "" => Ok(Json::Bool(false)),
                _ => Err("yes or no".to_owned()),
            },
            Kind::Int => {
                text.parse::<u64>().map(Json::from).map_err(|_| "a whole number".to_owned())
            }
            Kind::One(words) if words.contains(&text) => Ok(Json::from(text)),
            Kind::One(words) => Err(format!("one of: {}", words.join(", "))),
            Kind::Text => Ok(Json::from(unquoted(text))),
            Kind::Path => Ok(Json::from(opened(unquoted(text), base).display().to_string())),
            Kind::PathList => {
                let paths = text.split(':').filter(|path| !path.trim().is_empty());
                Ok(paths.map(|path| opened(path.trim(), base).display().to_string()).collect())
            }
            Kind::List => Ok(text
                .split(',')
                .map(str::trim)
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect()),
        }
    }
}

fn unquoted(text: &str) -> &str {
    let inner = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

/// Returns a path with `~` and variables opened, below `base` when it is not from the root.
fn opened(text: &str, base: &Path) -> PathBuf {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let name_at = after.trim_start_matches(['$', '{']);
        let end =
            name_at.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name_at.len());
        let (name, tail) = name_at.split_at(end);
        match env(name) {
            Some(value) if !name.is_empty() => {
                out.push_str(&value);
                rest = if after.starts_with("${") {
                    tail.strip_prefix('}').unwrap_or(tail)
                } else {
                    tail
                };
            }
            // A variable that is not set stays as it is written.
            Some(_) | None => {
                out.push('$');
                rest = after.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    let home = env("HOME").unwrap_or_default();
    let path = match out.strip_prefix('~') {
        Some(tail) if tail.is_empty() || tail.starts_with('/') => {
            PathBuf::from(format!("{home}{tail}"))
        }
        Some(_) | None => PathBuf::from(out.replace("{{CWD}}", ".")),
    };
    if path.is_absolute() { path } else { base.join(path) }
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::general(format!("cannot read {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_setting_is_there_twice_and_defaults_parse() {
        let mut seen = std::collections::BTreeSet::new();
        for setting in ALL {
            assert!(seen.insert(setting.name), "{}", setting.name);
            assert!(setting.parse(setting.default, Path::new("/")).is_ok(), "{}", setting.name);
            for place in setting.ini {
                let owners = ALL.iter().filter(|other| other.ini.contains(place)).count();
                assert_eq!(owners, 1, "{place:?}");
            }
        }
        assert!(ALL.is_sorted_by_key(|setting| setting.name));
    }

    #[test]
    fn paths_are_below_the_file_and_lists_are_split() {
        let of = |name: &str| ALL.iter().find(|setting| setting.name == name).unwrap();
        let base = Path::new("/site");
        assert_eq!(of("DEFAULT_ROLES_PATH").parse("r1:/r2", base), Ok(json!(["/site/r1", "/r2"])));
        assert_eq!(of("DEFAULT_FORKS").parse("7", base), Ok(json!(7)));
        assert_eq!(of("DEFAULT_FORKS").parse("x", base), Err("a whole number".to_owned()));
        assert_eq!(of("TAGS_RUN").parse("a, b", base), Ok(json!(["a", "b"])));
        assert!(of("DEFAULT_GATHERING").parse("never", base).unwrap_err().contains("smart"));
    }
}
