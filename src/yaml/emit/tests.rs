use super::*;

fn value(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

#[test]
fn output_is_the_same_bytes_as_pyyaml_writes() {
    let text = include_str!("../../../tests/cases/yaml-emit.json");
    let file: serde_json::Value = serde_json::from_str(text).unwrap();
    let ascii = EmitOptions {
        allow_unicode: false,
        width: 40,
        flow: Flow::Always,
        explicit_start: true,
        explicit_end: true,
        ..EmitOptions::yaml()
    };
    let ways = [("yaml", EmitOptions::yaml()), ("nice", EmitOptions::nice()), ("ascii", ascii)];
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() > 100);
    for case in cases {
        let given = value(&case["value"].to_string());
        for (name, options) in &ways {
            assert_eq!(Some(&*emit(&given, options)), case[name].as_str(), "{name}: {given}");
        }
    }
}

#[test]
fn what_was_emitted_composes_to_the_same_value() {
    let text = include_str!("../../../tests/cases/yaml-emit.json");
    let file: serde_json::Value = serde_json::from_str(text).unwrap();
    // YAML 1.2 scanners no longer take these for line breaks, PyYAML does.
    let old_breaks = |case: &&serde_json::Value| {
        !case["value"].to_string().contains(['\u{85}', '\u{2028}', '\u{2029}'])
    };
    for case in file["cases"].as_array().unwrap().iter().filter(old_breaks) {
        let sources = crate::source::Sources::default();
        let file = sources.add("t.yml", case["nice"].as_str().unwrap());
        let node = crate::yaml::parse_one(&sources, file)
            .unwrap_or_else(|error| panic!("{}: {case}", error.message));
        assert_eq!(crate::yaml::to_json(&node), case["value"]);
    }
}

#[test]
fn keys_of_mixed_kinds_stay_in_their_order_and_of_one_kind_are_sorted() {
    let mixed =
        Value::from_pairs([(Value::from("b"), 1), (Value::from(2), 2), (Value::from("a"), 3)]);
    assert_eq!(emit(&mixed, &EmitOptions::nice()), "b: 1\n2: 2\na: 3\n");
    let unsorted = EmitOptions { sort_keys: false, ..EmitOptions::nice() };
    assert_eq!(emit(&value(r#"{"b":1,"a":2}"#), &unsorted), "b: 1\na: 2\n");
    assert_eq!(emit(&value(r#"{"b":1,"a":2}"#), &EmitOptions::nice()), "a: 2\nb: 1\n");
}
