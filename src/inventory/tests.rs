use std::cell::RefCell;
use std::fmt::Write as _;
use std::io;

use proptest::prelude::*;

use super::*;
use crate::source::{Diagnostics, Files, MemoryFiles, Sources};

fn fixture() -> serde_json::Value {
    serde_json::from_str(include_str!("../../tests/cases/inventory.json")).unwrap()
}

fn fixture_files(fixture: &serde_json::Value) -> MemoryFiles {
    let files: Vec<(&str, &str)> = fixture["files"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str().unwrap()))
        .collect();
    MemoryFiles::of(&files)
}

fn texts(list: &serde_json::Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

fn load(files: &[(&str, &str)], given: &[&str]) -> Result<(Inventory, Vec<String>), Diagnostics> {
    let given: Vec<String> = given.iter().map(|one| (*one).to_owned()).collect();
    let loaded = Inventory::load(&given, &MemoryFiles::of(files), &Sources::default());
    loaded.map(|(inventory, warnings)| {
        (inventory, warnings.into_iter().map(|one| one.message).collect())
    })
}

fn ini(text: &str) -> Inventory {
    load(&[("i.ini", text)], &["i.ini"]).unwrap().0
}

fn names(hosts: &[HostName]) -> Vec<&str> {
    hosts.iter().map(HostName::as_str).collect()
}

/// Returns each error as: message, the text its first label stands at, hint.
fn refused(path: &str, text: &str) -> Vec<String> {
    let errors = load(&[(path, text)], &[path]).expect_err("is refused");
    errors
        .0
        .iter()
        .map(|one| {
            let at = one.labels.first().map_or("", |label| {
                text.get(label.span.start as usize..label.span.end as usize).unwrap_or("?")
            });
            let hints = one.hints.join("; ");
            let parts = [one.message.as_str(), at, hints.as_str()];
            parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(" | ")
        })
        .collect()
}

#[test]
fn lists_graphs_and_order_are_those_of_ansible_inventory() {
    let fixture = fixture();
    let files = fixture_files(&fixture);
    let cases = fixture["inventories"].as_array().unwrap();
    assert!(cases.len() > 12);
    for case in cases {
        let given = texts(&case["given"]);
        let (inventory, _) = Inventory::load(&given, &files, &Sources::default())
            .unwrap_or_else(|errors| panic!("{given:?}: {errors}"));
        let pretty = |json: &serde_json::Value| serde_json::to_string_pretty(json).unwrap();
        assert_eq!(pretty(&inventory.to_list_json(None)), pretty(&case["list"]), "{given:?}");
        for (name, with_vars) in [("graph", false), ("graph_vars", true)] {
            let drawn = inventory.graph("all", with_vars).unwrap();
            assert_eq!(drawn, case[name].as_str().unwrap(), "{given:?}");
        }
        let hosts: Vec<String> = inventory.hosts().map(ToString::to_string).collect();
        assert_eq!(hosts, texts(&case["hosts"]), "{given:?}");
    }
}

#[test]
fn patterns_match_what_ansible_matches_and_name_what_they_miss() {
    let fixture = fixture();
    let files = fixture_files(&fixture);
    let (inventory, _) =
        Inventory::load(&["p.ini".to_owned()], &files, &Sources::default()).unwrap();
    let cases = fixture["patterns"].as_array().unwrap();
    assert!(cases.len() > 70);
    for case in cases {
        let matched = inventory.matched(case["pattern"].as_str().unwrap(), &files).unwrap();
        let missed: Vec<String> = matched.missed.into_iter().map(|(part, _)| part).collect();
        assert_eq!(names(&matched.hosts), texts(&case["hosts"]), "{case}");
        assert_eq!(missed, texts(&case["missed"]), "{case}");
    }
}

#[test]
fn a_limit_file_gives_one_pattern_a_line() {
    let inventory = ini("[web]\nw[1:4]\n");
    let files = MemoryFiles::of(&[("l", "w1\n# note\n\n!w3\nweb[2:3]\n")]);
    assert_eq!(names(&inventory.matching("@l", &files).unwrap()), ["w1", "w4"]);
    let error = inventory.matching("@nope", &files).unwrap_err();
    assert_eq!(error.to_string(), "unable to find limit file nope");
    assert!(inventory.matching("~(", &files).is_err());
}

#[test]
fn a_local_name_means_the_local_host_that_the_inventory_has() {
    let inventory = ini("127.0.0.1 v=1\n");
    let files = MemoryFiles::default();
    assert_eq!(names(&inventory.matching("localhost", &files).unwrap()), ["127.0.0.1"]);
}

/// Every line of values of one host: name, value, what it came from.
fn chain(inventory: &Inventory, host: &str, dir: Option<&Path>) -> Vec<String> {
    let mut layers = Layers::default();
    inventory.push_layers(&HostName::from(host), dir, &mut layers);
    let mut names: Vec<_> = layers.names().collect();
    names.sort();
    names
        .iter()
        .map(|name| match layers.get(name).unwrap() {
            (Variable::Written(node), origin) => {
                format!("{name}={} ({})", node.raw().unwrap_or("-"), origin.what)
            }
            (Variable::Data(value), origin) => format!("{name}={value} ({})", origin.what),
        })
        .collect()
}

#[test]
fn group_vars_and_host_vars_stack_as_in_ansible() {
    let files = [
        (
            "inv/hosts",
            "[web]\nh1 a=inv\n[par:children]\nweb\n[web:vars]\nb=inv_web\nc=inv_web\n[all:vars]\ne=inv_all\n",
        ),
        ("inv/group_vars/web/10.yml", "src: dir1\nx: 1\n"),
        ("inv/group_vars/web/20", "src: dir2\n"),
        ("inv/group_vars/web/30.txt", "src: txt\n"),
        ("inv/group_vars/web/sub/1.yml", "src: sub\n"),
        ("inv/group_vars/web/sub.d/1.yml", "src: subd\n"),
        ("inv/group_vars/web/.h.yml", "src: hidden\n"),
        ("inv/group_vars/web/40.yml~", "src: backup\n"),
        ("inv/group_vars/web.yml", "never: 1\n"),
        ("inv/group_vars/par.yaml", "b: gv_par\n"),
        ("inv/group_vars/all.json", "{\"e\": \"gv_all\", \"l\": \"all\"}"),
        ("inv/host_vars/h1", "a: hv\n"),
        ("inv/host_vars/h1.yml", "never: 1\n"),
        ("inv/host_vars/localhost.yml", "loc: 1\n"),
        ("pb/group_vars/all.yml", "c: pb_all\ne: pb_all\n"),
    ];
    let (mut inventory, warnings) = load(&files, &["inv/hosts"]).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    let dir = Path::new("pb");
    let sources = Sources::default();
    inventory.load_group_vars(dir, &MemoryFiles::of(&files), &sources).unwrap();
    assert_eq!(
        chain(&inventory, "h1", Some(dir)),
        [
            "a=hv (inventory host_vars of h1)",
            "b=gv_par (inventory group_vars of par)",
            "c=inv_web (inventory vars of group web)",
            "e=pb_all (playbook group_vars of all)",
            "l=all (inventory group_vars of all)",
            "src=sub (inventory group_vars of web)",
            "x=1 (inventory group_vars of web)",
        ]
    );
    assert_eq!(
        chain(&inventory, "localhost", Some(dir)),
        [
            "ansible_connection=local (implicit localhost)",
            "c=pb_all (playbook group_vars of all)",
            "e=pb_all (playbook group_vars of all)",
            "l=all (inventory group_vars of all)",
            "loc=1 (inventory host_vars of localhost)",
        ]
    );
    let host = HostName::from("h1");
    assert_eq!(inventory.inventory_file(&host), Some(Path::new("inv/hosts")));
    assert_eq!(inventory.inventory_dir(&host), Some(Path::new("inv")));
    assert_eq!(inventory.group_names(&host), ["par", "web"]);
}

#[test]
fn a_broken_file_of_a_stranger_only_warns() {
    let stranger = [("i/h", "a\n"), ("i/host_vars/b.yml", "- 1\n")];
    let (_, warnings) = load(&stranger, &["i/h"]).unwrap();
    assert_eq!(warnings, ["a variables file must hold a dictionary, found: list"]);
    let own = [("i/h", "b\n"), ("i/host_vars/b.yml", "- 1\n")];
    assert!(load(&own, &["i/h"]).is_err());
}

#[test]
fn values_know_their_place_in_the_file() {
    let text = "# ü\nh a=1 b='x y'\n[g]\n[g:vars]\nk =  v w\n";
    let inventory = ini(text);
    let at = |span: Span| &text[span.start as usize..span.end as usize];
    let place = |layer: &Layer, name: &str| match &layer.values[name].0 {
        Variable::Written(node) => at(node.span).to_owned(),
        Variable::Data(_) => String::new(),
    };
    let host = inventory.host("h").unwrap();
    assert_eq!(place(&host.vars, "a"), "1");
    assert_eq!(place(&host.vars, "b"), "b='x y'");
    assert_eq!(place(&inventory.groups()["g"].vars, "k"), "v w");
}

#[test]
fn every_wrong_ini_line_is_named_with_its_place_and_a_way_out() {
    let text = "[x:children]\nwbe\n[web]\na b\nq=\"open\nw[1:]\nplugin: x\n[a b]\n[x:foo]\n[un:vars]\nnoeq\n[x]\n[web:children]\nx\nweb\n";
    insta::assert_snapshot!(refused("i.ini", text).join("\n"), @r#"
    expected key=value host variable assignment, got: b | b | quote a value that holds spaces: key="a b"
    error parsing host definition 'q="open': no closing quotation | "open
    host range must specify end value | w[1:]
    invalid host pattern 'plugin:' supplied | plugin: | a YAML inventory needs a name that ends in .yml, or --- as its first line
    invalid section entry: '[a b]' | [a b] | write [group], [group:vars] or [group:children], without spaces
    section [x:foo] has unknown type: foo | [x:foo] | known types: vars, children
    expected key=value, got: noeq | noeq | below [group:vars] each line is name=value; hosts go below [group]
    can't add group to itself | web
    section [x:children] includes undefined group 'wbe' | wbe | did you mean web?
    section [un:vars] not valid for undefined group 'un' | [un:vars] | add a section [un]
    "#);
}

#[test]
fn every_wrong_yaml_entry_is_named_with_its_place_and_a_way_out() {
    let text = "
g:
  hosts: [a, b]
  vars: [1]
h:
  hosts:
    1234:
    ok: 5
5: {}
p: {vars: {ansible_group_priority: x}}
c: {children: {d: {children: {c: }}}}
";
    insta::assert_snapshot!(refused("i.yml", text).join("\n"), @r#"
    invalid "hosts" entry for "g" group, requires a dictionary, found "list" instead | [a, b] | write 'name:' with a colon and without a dash
    invalid "vars" entry for "g" group, requires a dictionary, found "list" instead | [1] | write 'name: value' without a dash
    host pattern 1234 must be a string | 1234 | quote it
    variables of host 'ok' must be a dictionary, found: integer | 5
    invalid group name supplied, expected a string but got integer '5' | 5 | quote it
    ansible_group_priority must be a whole number | x
    adding group 'd' as child to 'c' creates a recursive dependency loop | d
    "#);
    insta::assert_snapshot!(refused("i.yml", "- a\n").join("\n"), @r#"YAML inventory has invalid structure, it should be a dictionary, got: list | - a | start with a group: 'all:', below it 'hosts:'"#);
    insta::assert_snapshot!(refused("i.yml", "plugin: aws_ec2\n").join("\n"), @r#"inventory plugin 'aws_ec2' is not supported | aws_ec2 | give a program that answers --list, or write the hosts out with 'ansible-inventory --list --export'"#);
}

#[test]
fn what_ansible_only_warns_about_is_a_warning() {
    let yaml = "g: {hosst: {a: }, hosts: {b: , g: }}\nx-y: 5\nz-z: {}\n";
    let (_, warnings) = load(&[("i.yml", yaml)], &["i.yml", "nope"]).unwrap();
    insta::assert_snapshot!(warnings.join("\n"), @r#"
    skipping unexpected key (hosst) in group (g), only "vars", "children" and "hosts" are valid
    skipping 'x-y' as this is not a valid group definition
    unable to parse nope as an inventory source
    found both group and host with same name: g
    invalid characters were found in group names but not replaced: z-z
    "#);
}

/// Answers like a program, and remembers how it was called.
struct Answers(&'static [(&'static str, i32, &'static str)], RefCell<Vec<String>>);

impl Programs for Answers {
    fn run(&self, _program: &Path, arguments: &[&str]) -> io::Result<ProgramOutput> {
        let call = arguments.join(" ");
        self.1.borrow_mut().push(call.clone());
        let (_, status, stdout) = self.0.iter().find(|(known, _, _)| *known == call).unwrap();
        Ok(ProgramOutput {
            status: Some(*status),
            stdout: (*stdout).to_owned(),
            stderr: "why\n".to_owned(),
        })
    }
}

#[derive(Debug)]
struct Executable(MemoryFiles);

impl Files for Executable {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.read(path)
    }
    fn is_file(&self, path: &Path) -> bool {
        self.0.is_file(path)
    }
    fn is_dir(&self, path: &Path) -> bool {
        self.0.is_dir(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.0.list(path)
    }
    fn is_executable(&self, _path: &Path) -> bool {
        true
    }
}

fn run(answers: &Answers) -> Result<Inventory, Diagnostics> {
    let files = Executable(MemoryFiles::of(&[("p", "#!/bin/sh\n")]));
    let given = ["p".to_owned()];
    Inventory::load_with_programs(&given, &files, &Sources::default(), answers).map(|(i, _)| i)
}

#[test]
fn a_program_is_asked_for_hosts_only_when_meta_is_missing() {
    let meta = r#"{"g": {"hosts": ["s1"], "vars": {"q": 1}, "children": ["kid"]}, "_meta": {"hostvars": {"s1": {"m": "{{ x }}"}}}}"#;
    let answers = Answers(Box::leak(Box::new([("--list", 0, meta)])), RefCell::default());
    let inventory = run(&answers).unwrap();
    assert_eq!(
        inventory.to_list_json(None).to_string(),
        r#"{"_meta":{"hostvars":{"s1":{"m":"{{ x }}","q":1}}},"all":{"children":["ungrouped","g"]},"g":{"children":["kid"],"hosts":["s1"]}}"#
    );
    assert_eq!(*answers.1.borrow(), ["--list"]);

    let answers = Answers(
        &[
            ("--list", 0, r#"{"g": ["s1", "s2"]}"#),
            ("--host s1", 0, r#"{"v": 1}"#),
            ("--host s2", 0, ""),
        ],
        RefCell::default(),
    );
    let inventory = run(&answers).unwrap();
    assert_eq!(chain(&inventory, "s1", None), ["v=1 (inventory vars of host s1)"]);
    assert_eq!(*answers.1.borrow(), ["--list", "--host s1", "--host s2"]);
}

#[test]
fn a_program_that_fails_or_talks_nonsense_is_refused() {
    let said = |answers| run(&Answers(answers, RefCell::default())).unwrap_err().to_string();
    assert_eq!(
        said(&[("--list", 3, "")]),
        "inventory script returned non-zero exit code 3: p --list"
    );
    assert_eq!(said(&[("--list", 0, r#"{"g": 5}"#)]), "group 'g' of p must be an object or a list");
    assert!(said(&[("--list", 0, "{")]).starts_with("inventory program p --list must answer JSON"));
    let refused = Inventory::load(
        &["p".to_owned()],
        &Executable(MemoryFiles::of(&[("p", "#!/bin/sh\n")])),
        &Sources::default(),
    );
    assert!(refused.is_err());
    let text = Executable(MemoryFiles::of(&[("hosts", "a\n")]));
    assert!(Inventory::load(&["hosts".to_owned()], &text, &Sources::default()).is_ok());
}

#[test]
fn hosts_and_groups_added_later_belong_and_say_whether_anything_changed() {
    let files = [("i/h", "[web]\na\n"), ("i/group_vars/new.yml", "n: 1\n")];
    let (mut inventory, _) = load(&files, &["i/h"]).unwrap();
    let b = HostName::from("b");
    let vars = || [("v".to_owned(), Value::from(1))];
    assert!(inventory.add_host(&b, &["new".to_owned()], vars()));
    assert!(!inventory.add_host(&b, &["new".to_owned()], vars()));
    assert_eq!(inventory.group_names(&b), ["new"]);
    assert_eq!(
        chain(&inventory, "b", None),
        ["n=1 (inventory group_vars of new)", "v=1 (add_host)"]
    );
    assert!(inventory.add_host(&HostName::from("c"), &[], []));
    assert_eq!(inventory.group_names(&HostName::from("c")), ["ungrouped"]);
    assert!(inventory.add_to_group(&HostName::from("c"), "web"));
    assert_eq!(inventory.group_names(&HostName::from("c")), ["web"]);
    assert_eq!(inventory.add_group("kid", &["web".to_owned()]), Ok(true));
    assert_eq!(
        inventory.add_group("web", &["kid".to_owned()]).unwrap_err().to_string(),
        "adding group 'web' as child to 'kid' creates a recursive dependency loop"
    );
    assert_eq!(inventory.hosts().map(HostName::as_str).collect::<Vec<_>>(), ["a", "c", "b"]);
}

#[test]
fn a_long_chain_of_groups_needs_no_stack() {
    let mut text = String::from("[g0]\nh\n");
    for n in 1..5000 {
        writeln!(text, "[g{n}:children]\ng{}", n - 1).unwrap();
    }
    assert_eq!(chain(&ini(&text), "h", None), Vec::<String>::new());
}

proptest! {
    #[test]
    fn any_text_is_an_inventory_or_is_refused(
        text in "(?s:.{0,60})|(([a-c:\\[\\]= '\"#\\\\{}0-9ä-]|:vars|:children|\n){0,50})",
        yaml in any::<bool>(),
    ) {
        let path = if yaml { "i.yml" } else { "i" };
        if let Ok((inventory, _)) = load(&[(path, &text)], &[path]) {
            inventory.to_list_json(None);
            inventory.graph("all", true);
        }
    }

    #[test]
    fn any_pattern_is_matched_or_refused(pattern in ".{0,30}|([a-c1-3:,!&~*?\\[\\]\\- @().]{0,20})") {
        let inventory = ini("[a]\na[1:3]\n[b]\nb1\nc\n");
        if let Ok(hosts) = inventory.matching(&pattern, &MemoryFiles::default()) {
            prop_assert!(hosts.len() <= 6);
        }
    }
}
