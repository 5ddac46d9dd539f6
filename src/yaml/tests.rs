use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::source::{Diagnostic, Sources};

fn read(text: &str) -> Result<(Node, Vec<Diagnostic>), Diagnostic> {
    let sources = Sources::default();
    let file = sources.add("t.yml", text);
    parse_one_with_warnings(&sources, file)
}

fn json(text: &str) -> String {
    read(text).map_or_else(|e| format!("error: {}", e.message), |(n, _)| to_json(&n).to_string())
}

/// Returns the text under the first label of an error, its message, and its hint.
fn refusal(text: &str) -> (String, String, String) {
    let error = read(text).expect_err("is refused");
    let span = error.labels[0].span;
    let at = text.get(span.start as usize..span.end as usize).unwrap_or("?").to_owned();
    (error.message, at, error.hints.join("; "))
}

#[test]
fn nodes_keep_raw_text_style_and_byte_place_beyond_ascii() {
    let text = "größe: 0644\r\n# — note\r\nliste: ['ä', \"b\"]\nblock: |\n  zeile ü\n  zwei\nend: yes  # c\n";
    let (node, _) = read(text).unwrap();
    let slice = |n: &Node| &text[n.span.start as usize..n.span.end as usize];
    let value = node.get("größe").unwrap();
    assert_eq!((value.raw(), value.as_int(), slice(value)), (Some("0644"), Some(420), "0644"));
    let list = node.get("liste").unwrap();
    assert_eq!(slice(list), "['ä', \"b\"]");
    assert_eq!(slice(&list.as_seq().unwrap()[0]), "'ä'");
    assert_eq!(slice(node.get("end").unwrap()), "yes");
    assert_eq!(slice(node.get("block").unwrap()), "zeile ü\n  zwei");
    assert_eq!(slice(&node), text.split("  # c").next().unwrap());
    let keys: Vec<&str> = node.as_map().unwrap().iter().map(|(k, _)| slice(k)).collect();
    assert_eq!(keys, ["größe", "liste", "block", "end"]);
}

#[test]
fn a_byte_order_mark_moves_no_place() {
    let text = "\u{feff}a: b\n";
    let (node, _) = read(text).unwrap();
    let span = node.get("a").unwrap().span;
    assert_eq!(&text[span.start as usize..span.end as usize], "b");
}

#[test]
fn block_collections_end_with_their_last_value() {
    let text = "a:\n  - x: 1\n    y: 2\n\n# comment\nb: 3\n";
    let (node, _) = read(text).unwrap();
    let item = &node.get("a").unwrap().as_seq().unwrap()[0];
    assert_eq!(&text[item.span.start as usize..item.span.end as usize], "x: 1\n    y: 2");
}

#[test]
fn empty_text_is_null_and_documents_are_told_apart() {
    assert_eq!(json(""), "null");
    assert_eq!(json("# only a comment\n"), "null");
    assert_eq!(json("---\na: 1\n...\n"), r#"{"a":1}"#);
    let sources = Sources::default();
    let file = sources.add("t.yml", "--- a\n--- b\n");
    assert_eq!(parse(&sources, file).unwrap().len(), 2);
    assert_eq!(refusal("--- a\n--- b\n").1, "b");
}

#[test]
fn merge_keys_fill_in_and_explicit_keys_win() {
    let text = "
base: &base {a: 1, b: 1}
more: &more {b: 2, c: 2}
one: {<<: *base, b: 9}
two: {z: 0, <<: [*base, *more]}
";
    assert_eq!(
        json(text),
        r#"{"base":{"a":1,"b":1},"more":{"b":2,"c":2},"one":{"a":1,"b":9},"two":{"b":1,"c":2,"a":1,"z":0}}"#
    );
    assert!(json("a: {<<: 5}").contains("for merging, but found: integer"));
    assert_eq!(json("'<<': 5"), r#"{"<<":5}"#);
}

#[test]
fn of_two_equal_keys_the_last_wins_with_a_warning_at_both_places() {
    let (node, warnings) = read("a: 1\nb: 2\na: 3\n").unwrap();
    assert_eq!(to_json(&node).to_string(), r#"{"a":3,"b":2}"#);
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].message, "found duplicate mapping key 'a'");
    let starts: Vec<u32> = warnings[0].labels.iter().map(|l| l.span.start).collect();
    assert_eq!(starts, [10, 0]);
    // Python's equality: these are one key each.
    assert_eq!(read("1: a\n0x1: b\n").unwrap().1.len(), 1);
}

#[test]
fn aliases_copy_values_within_a_budget() {
    assert_eq!(json("a: &x [1, 2]\nb: *x\n"), r#"{"a":[1,2],"b":[1,2]}"#);
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for n in 1..12 {
        let list = vec![format!("*a{}", n - 1); 9].join(", ");
        writeln!(bomb, "a{n}: &a{n} [{list}]").unwrap();
    }
    assert!(json(&bomb).starts_with("error: aliases of this file expand to more than 200000"));
    assert!(json("a: &a [*a]").starts_with("error: the alias stands inside"));
    assert_eq!(refusal("a: *nope\n").1.chars().next(), Some('*'));
}

#[test]
fn deep_nesting_is_refused_before_the_stack_ends() {
    assert!(json(&"[".repeat(5000)).starts_with("error:"));
    assert!(json(&"- ".repeat(5000)).starts_with("error: lists and mappings are nested"));
    assert!(!json(&format!("{}{}", "[".repeat(100), "]".repeat(100))).starts_with("error"));
}

#[test]
fn tags_are_kept_honoured_or_refused() {
    let (node, _) = read("v: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  31\nu: !unsafe '{{ x }}'\nm: !unsafe {a: ['{{ y }}']}\n").unwrap();
    assert_eq!(node.get("v").unwrap().tag, Some(Tag::Vault));
    assert_eq!(node.get("v").unwrap().raw(), Some("$ANSIBLE_VAULT;1.1;AES256\n31\n"));
    assert_eq!(node.get("u").unwrap().tag, Some(Tag::Unsafe));
    let inner = &node.get("m").unwrap().get("a").unwrap().as_seq().unwrap()[0];
    assert_eq!(inner.tag, Some(Tag::Unsafe));
    assert_eq!(
        json("[!!str 5, !!int '7', !!float 1, !!bool 'yes', ! 5]"),
        r#"["5",7,1.0,true,"5"]"#
    );
    assert_eq!(
        refusal("a: !!python/object x\n").0,
        "could not determine a constructor for the tag '!!python/object'"
    );
    assert_eq!(refusal("a: !!int x\n").1, "x");
}

#[test]
fn the_unquoted_template_is_explained() {
    let cases = [
        ("a: 1\nkey: {{ var }}\nb: 2\n", r#"key: "{{ var }}""#),
        ("key: {{ var }}/x\nb: 2\n", r#"key: "{{ var }}/x""#),
        ("- {{ var }} x\n- b\n", r#"- "{{ var }} x""#),
        ("a:\n  - k: {{ x[\"y\"] }}\n", r#"k: '{{ x["y"] }}'"#),
    ];
    for (text, quoted) in cases {
        let (_, _, hint) = refusal(text);
        assert_eq!(hint, format!("quote a value that starts with a template: {quoted}"), "{text}");
    }
}

#[test]
fn slips_have_a_place_and_a_way_out() {
    let said: Vec<String> = [
        "a:\n\tb: 1\n",
        "a: \"never closed\nb: 2\n",
        "a: b: c\n",
        "a: \"x\" y\n",
        "a: @x\n",
        "a: [1, 2\nb: 3\n",
        "a: 1\n b: 2\n",
        "a: %x\n",
    ]
    .into_iter()
    .map(|text| {
        let (message, _, hint) = refusal(text);
        format!("{text:?}\n  {message}\n  {hint}")
    })
    .collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    "a:\n\tb: 1\n"
      tabs disallowed within this context (block indentation)
      indent with spaces: YAML does not allow tabs there
    "a: \"never closed\nb: 2\n"
      invalid indentation in quoted scalar
      close the quote that opens the value of a
    "a: b: c\n"
      mapping values are not allowed in this context
      quote a value that holds a colon: a: "b: c"
    "a: \"x\" y\n"
      invalid trailing content after double-quoted scalar
      quote the whole value: a: '"x" y'
    "a: @x\n"
      unexpected character: `@'
      quote a value that starts with @: a: "@x"
    "a: [1, 2\nb: 3\n"
      illegal placement of ':' indicator
      close the [ that opens the value of a
    "a: 1\n b: 2\n"
      mapping values are not allowed in this context
      indent a key as its neighbours are
    "a: %x\n"
      unexpected character: `%'
      quote a value that starts with %: a: "%x"
    "#);
}

proptest! {
    #[test]
    fn any_text_composes_or_is_refused_with_a_place_inside_it(
        text in "(?s:.{0,60})|([-:?\\[\\]{},#&*!|>'\"%@` \n\ta-cä1<]{0,60})"
    ) {
        let sources = Sources::default();
        let file = sources.add("t.yml", text.clone());
        match parse_with_warnings(&sources, file) {
            Ok((documents, _)) => for node in &documents {
                prop_assert!(text.get(node.span.start as usize..node.span.end as usize).is_some());
                to_value(node);
                to_json(node);
            },
            Err(error) => for label in &error.labels {
                prop_assert!(text.get(label.span.start as usize..label.span.end as usize).is_some());
            },
        }
    }
}
