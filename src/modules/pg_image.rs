//! `pg_image`: what an image says about itself: data directory, volume, user, stop signal, version, C library.

use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use crate::modules::action::{VERBS, trouble, unexpected};
use crate::modules::pg_node::{Settings, root_arg};
use crate::modules::{
    Action, ArgDoc, ArgError, ArgKind, Args, CheckMode, Doc, Done, Mode, Module, Reach, Step,
    TaskContext, arg,
};
use crate::outcome::{Effect, Outcome};
use crate::postgres::dialect::Dialect;
use crate::postgres::version::Major;
use crate::shell::{Reply, Script};

/// See the file's head.
pub(super) struct PgImage;

static DOC: Doc = Doc {
    name: "pg_image",
    summary: "Finds out from a database image itself where its data lies, who runs it and which version it is.",
    description: "Nothing is assumed: `docker image inspect` and one run of the image without network, remembered on the host by the image's \
content. The fact `pg_engine` holds what was found, with the dialect of the version.",
    args: &[
        arg("image", ArgKind::Str, "The image. Left out: what `pg_require` found."),
        ArgDoc {
            default: "missing",
            ..arg(
                "pull",
                ArgKind::Choice(&["missing", "never"]),
                "Whether a missing image is pulled.",
            )
        },
        root_arg(),
        arg(
            "pgdata_wanted",
            ArgKind::Path,
            "PGDATA to use instead of the image's; inside its volume.",
        ),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[(
        "ansible_facts.pg_engine",
        "pgdata, volume, below, data, uid, gid, stop_signal, major, version, libc, programs, image_id, dialect.",
    )],
    examples: "- name: Ask the image\n  pg_image:\n",
};

const INSPECT: &str = r#"command -v docker >/dev/null 2>&1 || give_up "there is no docker on this host: run host.yml first"
id=$(docker image inspect -f '{{.Id}}' "$image" 2>/dev/null) || { reply absent 1; exit 0; }
reply inspect "$(docker image inspect -f '{{json .}}' "$image")"
# What a run of the image says can only change with its content, which the id stands for.
known=/var/cache/matron/image-${id#sha256:}.programs
if [ -s "$known" ]; then
  probe=$(cat "$known")
else
  probe=$(docker run --rm --network none --entrypoint sh "$image" -c 'id -u postgres && id -g postgres && postgres --version && (getconf GNU_LIBC_VERSION 2>/dev/null || echo musl)
      for program in pg_rewind pg_waldump pg_xlogdump pg_controldata; do
        "$program" --version 2>/dev/null | while read -r name _ version _; do echo "$name $version"; done
      done' 2>&1 </dev/null) ||
    give_up "the image $image does not behave as a PostgreSQL image: $probe"
  [ -z "$check" ] && mkdir -p /var/cache/matron 2>/dev/null && printf '%s\n' "$probe" >"$known.$$" 2>/dev/null && mv -f "$known.$$" "$known"
fi
reply probe "$probe"
"#;

const PULL: &str = r#"out=$(docker pull -q "$image" 2>&1 </dev/null) || give_up "cannot pull $image: $out"
reply changed 1
"#;

#[derive(Debug)]
struct Ask {
    image: String,
    pull: bool,
    pulled: bool,
    check: bool,
    root: String,
    pgdata_wanted: String,
}

impl Module for PgImage {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn observes(&self, _args: &Args) -> bool {
        true
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let pull = args.choice("pull", &["missing", "never"], "missing")? == "missing";
        let settings = Settings::new(args, cx)?;
        Ok(Box::new(Ask {
            image: settings.text("image")?,
            pull,
            pulled: false,
            check: false,
            root: settings.text("root")?,
            pgdata_wanted: settings.maybe("pgdata_wanted").unwrap_or_default(),
        }))
    }
}

impl Ask {
    fn inspect(&self) -> Step {
        let script =
            Script::new(VERBS).then(INSPECT).var("image", &self.image).flag("check", self.check);
        Step::Send(script.within(Duration::from_secs(120)))
    }
}

impl Action for Ask {
    fn begin(&mut self, mode: Mode) -> Step {
        self.check = mode.check;
        self.inspect()
    }

    fn resume(&mut self, done: Done) -> Step {
        let Done::Reply(reply) = done else { return unexpected() };
        if let Some(trouble) = trouble(&reply) {
            return Step::Done(trouble);
        }
        if reply.fields.is_set("absent") {
            if !self.pull || self.pulled {
                let text = format!(
                    "image {} is not on this host, and pulling is off: load it or set pull: missing",
                    self.image
                );
                return Step::Done(Outcome::failed(text));
            }
            self.pulled = true;
            let script = Script::new(VERBS).then(PULL).var("image", &self.image);
            return Step::SendLong(script.within(Duration::from_secs(3600)));
        }
        if reply.fields.is_set("changed") {
            return self.inspect();
        }
        Step::Done(match facts(&reply, self) {
            Ok(engine) => {
                let mut variables = Map::new();
                variables.insert("pg_engine".to_owned(), engine);
                Outcome::changed_if(self.pulled)
                    .with_effect(Effect::SetFact { variables, cacheable: false })
            }
            Err(text) => Outcome::failed(text),
        })
    }

    fn reach(&self) -> Reach {
        Reach::Visible
    }
}

fn facts(reply: &Reply, ask: &Ask) -> Result<Json, String> {
    let image = &ask.image;
    let inspect: Json = serde_json::from_str(&reply.field("inspect").unwrap_or_default())
        .map_err(|error| format!("docker image inspect of {image} is not JSON: {error}"))?;
    let config = &inspect["Config"];
    let environment = |name: &str| {
        let list = config["Env"].as_array()?;
        list.iter().filter_map(Json::as_str).find_map(|line| {
            line.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')).map(str::to_owned)
        })
    };
    let probe = reply.field("probe").unwrap_or_default();
    let mut lines = probe.lines();
    let mut number = || lines.next().and_then(|line| line.trim().parse::<u32>().ok());
    let (Some(uid), Some(gid)) = (number(), number()) else {
        return Err(format!("image {image} has no user postgres: {probe}"));
    };
    let version = lines.next().unwrap_or_default().trim().to_owned();
    let libc = lines.next().unwrap_or_default().trim().to_owned();
    let programs: Vec<(String, String)> = lines
        .filter_map(|line| line.trim().split_once(' '))
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .collect();
    let major = Major::parse(&version).map_err(|error| format!("image {image}: {error}"))?;
    let dialect = Dialect::of(major).map_err(|error| format!("image {image}: {error}"))?;
    // A program of another major would not understand the data: it counts as none.
    let programs: Map<String, Json> = programs
        .into_iter()
        .filter(|(_, version)| Major::parse(version) == Ok(major))
        .map(|(name, version)| (name, version.into()))
        .collect();

    let volumes = config["Volumes"].as_object();
    let volume = volumes.and_then(|volumes| volumes.keys().next().cloned());
    let volume = volume.unwrap_or_else(|| dialect.image_volume.to_owned());
    let pgdata = if ask.pgdata_wanted.is_empty() {
        environment("PGDATA").unwrap_or_else(|| dialect.image_pgdata.to_owned())
    } else {
        ask.pgdata_wanted.clone()
    };
    let below =
        pgdata.strip_prefix(&volume).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let Some(below) = below else {
        return Err(format!(
            "data directory {pgdata} is not inside the image's volume {volume}: it would be lost with the container; \
             set pg_pgdata to a directory inside {volume}"
        ));
    };
    Ok(json!({
        "image_id": inspect["Id"],
        "digests": inspect["RepoDigests"],
        "architecture": inspect["Architecture"],
        "stop_signal": config["StopSignal"].as_str().unwrap_or("SIGTERM"),
        "entrypoint": config["Entrypoint"],
        "volume": volume,
        "pgdata": pgdata,
        "below": below,
        "data": format!("{}/data{below}", ask.root),
        "uid": uid,
        "gid": gid,
        "owner": format!("{uid}:{gid}"),
        "version": version.trim_start_matches("postgres (PostgreSQL) "),
        "major": major.to_string(),
        "libc": libc,
        "programs": programs,
        "dialect": dialect_for_templates(dialect),
    }))
}

/// Returns a dialect as templates use it.
fn dialect_for_templates(dialect: &Dialect) -> Json {
    let mut map = match serde_json::to_value(dialect) {
        Ok(Json::Object(map)) => map,
        _ => Map::new(),
    };
    map.insert("standby_file".to_owned(), dialect.standby_file.name().into());
    map.insert("hba_method".to_owned(), dialect.passwords.hba_method().into());
    let (name, _) = dialect.wal_kept(0);
    map.insert("wal_keep_setting".to_owned(), name.into());
    Json::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::Fields;

    fn ask(wanted: &str) -> Ask {
        Ask {
            image: "lab/postgres:18".to_owned(),
            pull: true,
            pulled: false,
            check: false,
            root: "/srv/ward".to_owned(),
            pgdata_wanted: wanted.to_owned(),
        }
    }

    fn reply(volume: &str, pgdata: &str, probe: &str) -> Reply {
        let inspect = json!({"Id": "sha256:1", "Config": {"Env": [format!("PGDATA={pgdata}")], "Volumes": {volume: {}}, "StopSignal": "SIGINT"}});
        let field = |key: &str, value: String| (key.to_owned(), value.into_bytes());
        let fields = vec![field("inspect", inspect.to_string()), field("probe", probe.to_owned())];
        Reply { fields: Fields(fields), ..Reply::default() }
    }

    const PROBE_18: &str = "999\n999\npostgres (PostgreSQL) 18.6 (Debian 18.6-3)\nglibc 2.43\npg_rewind 18.6\npg_waldump 17.2";

    #[test]
    fn version_18_keeps_its_data_below_the_volume() {
        let reply = reply("/var/lib/postgresql", "/var/lib/postgresql/18/docker", PROBE_18);
        let engine = facts(&reply, &ask("")).unwrap();
        assert_eq!(engine["data"], "/srv/ward/data/18/docker");
        assert_eq!(
            (&engine["volume"], &engine["below"]),
            (&json!("/var/lib/postgresql"), &json!("/18/docker"))
        );
        assert_eq!((&engine["major"], &engine["owner"]), (&json!("18"), &json!("999:999")));
        assert_eq!(engine["programs"], json!({"pg_rewind": "18.6"}), "of another major is none");
    }

    #[test]
    fn earlier_versions_have_volume_and_data_in_one() {
        let data = "/var/lib/postgresql/data";
        let probe = "70\n70\npostgres (PostgreSQL) 11.13\nmusl";
        let engine = facts(&reply(data, data, probe), &ask("")).unwrap();
        assert_eq!(
            (&engine["data"], &engine["owner"]),
            (&json!("/srv/ward/data"), &json!("70:70"))
        );
        assert_eq!(engine["dialect"]["standby_file"], "recovery.conf");
    }

    #[test]
    fn data_outside_the_volume_is_refused() {
        let reply = reply("/var/lib/postgresql/data", "/var/lib/postgresql/data", PROBE_18);
        let error = facts(&reply, &ask("/var/lib/postgresql/database")).unwrap_err();
        assert!(
            error.starts_with(
                "data directory /var/lib/postgresql/database is not inside the image's volume"
            ),
            "{error}"
        );
    }

    #[test]
    fn image_that_is_not_postgresql_is_refused() {
        let reply = reply("/data", "/data", "sh: postgres: not found");
        assert!(facts(&reply, &ask("")).unwrap_err().contains("has no user postgres"));
    }
}
