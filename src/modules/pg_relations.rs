//! `pg_relations`: names for the files that a listing of lost changes is about, asked of the primary.

use serde_json::{Map, Value as Json, json};

use crate::modules::action::{OneTrip, VERBS, verdict};
use crate::modules::pg_node::{NODE, Settings, container_arg, nodes_arg, superuser_arg};
use crate::modules::{
    Action, ArgError, ArgKind, Args, CheckMode, Doc, Module, Reach, TaskContext, arg, to_json,
};
use crate::outcome::Outcome;
use crate::shell::{Reply, Script};

/// See the file's head.
pub(super) struct PgRelations;

static DOC: Doc = Doc {
    name: "pg_relations",
    summary: "Tells which tables files of a data directory belong to, as a running server knows them.",
    description: "A standby's files have the numbers of its primary's, so the primary can name what an old primary wrote, \
as long as neither has rewritten the table since (VACUUM FULL, TRUNCATE). A file it does not know gets no name.",
    args: &[
        arg(
            "files",
            ArgKind::Raw,
            "Files as tablespace/database/file, in numbers. Left out: those of `pg_held` of each node of the cluster.",
        ),
        container_arg(),
        superuser_arg(),
        nodes_arg(),
    ],
    free_form: None,
    open: false,
    check_mode: CheckMode::Full,
    reach: Reach::Visible,
    returns: &[
        ("names", "By database/file, in numbers: database.schema.table."),
        ("databases", "Names of databases by number."),
    ],
    examples: "- name: Names of the tables\n  pg_relations:\n  register: pg_names\n",
};

const ASK: &str = r#"[ -n "$files" ] || exit 0
pg_must "select oid || ' ' || datname from pg_database where datallowconn order by oid"
printf '%s\n0 postgres\n' "$pg_out" | while read -r oid name; do
  list=$(printf '%s\n' "$files" | awk -F/ -v oid="$oid" '$2 == oid { printf "%s%s", sep, $3; sep = "," }')
  reply database "$oid $name"
  [ -n "$list" ] || continue
  database=$name
  found=$(pg_sql "$before$list$after") || { reply failed 1; reply msg "the server in container $container refused to name files of database $name: $found"; exit 0; }
  reply named "$oid $found"
done
"#;

const BEFORE: &str = "select coalesce(json_object_agg(file, name), '{}') from (select pg_relation_filenode(c.oid)::text as file, \
case when m.oid is null then quote_ident(n.nspname) || '.' || quote_ident(c.relname) \
else quote_ident(mn.nspname) || '.' || quote_ident(m.relname) || ' (long values)' end as name \
from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_class m on m.reltoastrelid = c.oid \
left join pg_namespace mn on mn.oid = m.relnamespace where pg_relation_filenode(c.oid) in (";

impl Module for PgRelations {
    fn doc(&self) -> &'static Doc {
        &DOC
    }

    fn parse(&self, args: &mut Args, cx: &TaskContext<'_>) -> Result<Box<dyn Action>, ArgError> {
        let settings = Settings::new(args, cx)?;
        let mut files = Vec::new();
        if let Some(given) = args.json("files")? {
            add_files(&mut files, &given)?;
        } else {
            let nodes = settings.json("nodes")?.unwrap_or_default();
            for node in nodes.as_array().into_iter().flatten() {
                let name = Json::from(node["name"].as_str().unwrap_or_default());
                let text =
                    format!("(hostvars[{name}].pg_held | default({{}})).files | default([])");
                let held = cx.vars.expression(&text, None).ok();
                let held = held.and_then(|value| to_json(&value).ok()).unwrap_or_default();
                add_files(&mut files, &held)?;
            }
        }
        files.sort_unstable();
        files.dedup();
        let script = Script::new(VERBS)
            .then(NODE)
            .then(ASK)
            .var("container", settings.text("container")?)
            .var("superuser", settings.text("superuser")?)
            .var("files", files.join("\n"))
            .var("before", BEFORE)
            .var("after", ")) as named");
        Ok(Box::new(OneTrip::new(Reach::Visible, script, outcome)))
    }
}

/// Takes files, which become part of a query: numbers and nothing else.
fn add_files(files: &mut Vec<String>, given: &Json) -> Result<(), ArgError> {
    for file in given.as_array().into_iter().flatten() {
        let text = file.as_str().unwrap_or_default();
        let parts: Vec<&str> = text.split('/').collect();
        let number = |part: &&str| part.parse::<u32>().is_ok();
        if parts.len() != 3 || !parts.iter().all(number) {
            return Err(ArgError::new(format!(
                "'{text}' is no file of the form tablespace/database/file, in numbers"
            )));
        }
        files.push(text.to_owned());
    }
    Ok(())
}

fn outcome(reply: &Reply) -> Outcome {
    let mut databases = Map::new();
    for line in reply.fields.all("database") {
        if let Some((oid, name)) = line.split_once(' ')
            && oid != "0"
        {
            databases.insert(oid.to_owned(), name.into());
        }
    }
    let mut names = Map::new();
    for line in reply.fields.all("named") {
        let Some((oid, found)) = line.split_once(' ') else { continue };
        let found: Json = match serde_json::from_str(found.trim()) {
            Ok(found) => found,
            Err(error) => {
                return Outcome::failed(format!("the server's answer is not JSON: {error}"));
            }
        };
        let database = databases.get(oid).and_then(Json::as_str).unwrap_or("(shared)");
        for (file, name) in found.as_object().into_iter().flatten() {
            let name = format!("{database}.{}", name.as_str().unwrap_or_default());
            names.insert(format!("{oid}/{file}"), name.into());
        }
    }
    verdict(reply).with("names", json!(names)).with("databases", json!(databases))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::Fields;

    #[test]
    fn names_come_with_their_database() {
        let field = |key: &str, value: &str| (key.to_owned(), value.as_bytes().to_vec());
        let fields = Fields(vec![
            field("database", "16384 pacsdb"),
            field("named", "16384 {\"16386\" : \"public.study\"}"),
            field("database", "0 postgres"),
            field("named", "0 {\"1262\" : \"pg_catalog.pg_database\"}"),
        ]);
        let told = outcome(&Reply { fields, ..Reply::default() });
        assert_eq!(
            told.data["names"],
            json!({"16384/16386": "pacsdb.public.study", "0/1262": "(shared).pg_catalog.pg_database"})
        );
    }

    #[test]
    fn file_that_is_not_numbers_never_reaches_a_query() {
        let mut files = Vec::new();
        for bad in ["1663/16384/1) or (1", "1663/16384", "a/b/c", ""] {
            assert!(add_files(&mut files, &json!([bad])).is_err(), "{bad}");
        }
        add_files(&mut files, &json!(["1663/16384/16386"])).unwrap();
        assert_eq!(files, ["1663/16384/16386"]);
    }
}
