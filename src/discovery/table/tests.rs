use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Table, Vec<String>> {
    super::parse("t.yaml", Path::new("/etc/telamon"), text)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

#[test]
fn a_table_says_what_it_says() {
    let table = parse(
        "endpoints:\n  - { address: 127.0.0.1:50051, weight: 100 }\n  - address: '[::1]:50052'\n  - { address: unix:run/a.sock, weight: 0 }\n",
    )
    .unwrap();
    let [group] = table.groups.as_slice() else { panic!() };
    assert_eq!((group.name.as_ref(), group.weight), ("", 1));
    let told: Vec<(String, u32)> = table.endpoints().map(|one| (one.address.to_string(), one.weight)).collect();
    assert_eq!(
        told,
        [("127.0.0.1:50051".into(), 100), ("[::1]:50052".into(), 1), ("unix:/etc/telamon/run/a.sock".into(), 0)]
    );
}

#[test]
fn groups_keep_their_names_weights_and_order() {
    let table = parse(
        "groups:\n  stable: { weight: 95, endpoints: [{address: 1.2.3.4:1}] }\n  canary: { endpoints: [{address: 1.2.3.4:2, weight: 7}] }\n",
    )
    .unwrap();
    let told: Vec<_> =
        table.groups.iter().map(|group| (group.name.as_ref(), group.weight, group.endpoints.len())).collect();
    assert_eq!(told, [("stable", 95, 1), ("canary", 1, 1)]);
}

#[test]
fn an_empty_list_empties_and_an_empty_file_does_not() {
    assert_eq!(parse("endpoints: []\n").unwrap(), Table::flat(Vec::new()));
    assert_eq!(parse("groups: {}\n").unwrap().endpoints().count(), 0);
    assert_eq!(parse("").unwrap_err(), ["t.yaml:1:1: the file is empty"]);
    assert_eq!(
        parse("endpoints:\n").unwrap_err(),
        ["t.yaml:1:10: endpoints: an empty value is not allowed: a list of endpoints, `[]` for none"]
    );
}

#[test]
fn every_mistake_has_its_place_and_what_is_right() {
    let cases: &[(&str, &[&str])] = &[
        (
            "endpoints:\n  - { address: 127.0.0.1:1 }\n  - { address: 127.0.0.1:2 }\n  - { address: 127.0.0.1:3, weight: 1000001 }\n",
            &["t.yaml:4:37: endpoints[2].weight: 1000001 is not allowed: an integer from 0 to 1000000"],
        ),
        (
            "endpoints: [{ address: 127.0.0.1:1, weight: -1 }, { address: 127.0.0.1:2, weight: 1.5 }]",
            &[
                "t.yaml:1:45: endpoints[0].weight: -1 is not allowed: an integer from 0 to 1000000",
                "t.yaml:1:83: endpoints[1].weight: 1.5 is not allowed: an integer from 0 to 1000000",
            ],
        ),
        (
            "endpoints:\n  - { address: 127.0.0.1:1, wieght: 5 }\n",
            &[
                "t.yaml:2:29: endpoints[0].wieght: unknown key: allowed here: `address`, `weight`; did you mean `weight`?",
            ],
        ),
        (
            "endpoints:\n  - { weight: 5 }\n",
            &[
                "t.yaml:2:5: endpoints[0].address: is missing: Where it listens: `IPv4:port`, `[IPv6]:port` or `unix:path`.",
            ],
        ),
        (
            "endpoints:\n  - { address: localhost:1 }\n  - { address: 127.0.0.1 }\n  - { address: 127.0.0.1:0 }\n  - { address: 'unix:' }\n",
            &[
                "t.yaml:2:16: endpoints[0].address: localhost:1 is not allowed: expected `IPv4:port`, `[IPv6]:port` or `unix:path`: host names are not resolved",
                "t.yaml:3:16: endpoints[1].address: 127.0.0.1 is not allowed: expected `IPv4:port`, `[IPv6]:port` or `unix:path`: the port is missing",
                "t.yaml:4:16: endpoints[2].address: 127.0.0.1:0 is not allowed: a port from 1 to 65535",
                "t.yaml:5:16: endpoints[3].address: \"unix:\" is not allowed: `unix:` needs a path",
            ],
        ),
        (
            "endpoints:\n  - { address: '[::1]:7' }\n  - { address: '[0:0::1]:7', weight: 2 }\n",
            &["t.yaml:3:16: endpoints[1].address: [::1]:7 is there twice: first on line 2"],
        ),
        (
            "endpoints:\n  - { address: 127.0.0.1:80 }\n  - { address: '[::ffff:127.0.0.1]:80' }\n  - { address: '[::127.0.0.1]:80' }\n",
            &["t.yaml:3:16: endpoints[1].address: [::ffff:127.0.0.1]:80 is there twice: first on line 2"],
        ),
        (
            "endpoints:\n  - { address: 1.1.1.1:1, weight: &w 5s }\n  - { address: 1.1.1.1:2, weight: *w }\n",
            &[
                "t.yaml:2:38: endpoints[0].weight: 5s is not allowed: an integer from 0 to 1000000",
                "t.yaml:3:35: endpoints[1].weight: 5s is not allowed: an integer from 0 to 1000000",
            ],
        ),
        (
            "groups:\n  a: { endpoints: [{address: 1.1.1.1:1}] }\n  b: { endpoints: [{address: 1.1.1.1:1}] }\n",
            &["t.yaml:3:30: groups.b.endpoints[0].address: 1.1.1.1:1 is there twice: first on line 2"],
        ),
        ("endpoints: []\ngroups: {}\n", &["t.yaml:2:1: groups: beside `endpoints` on line 1: one of the two"]),
        ("groups: {}\nendpoints: []\n", &["t.yaml:2:1: endpoints: beside `groups` on line 1: one of the two"]),
        ("{}", &["t.yaml:1:1: neither `endpoints` nor `groups`: one of the two; `endpoints: []` for none"]),
        (
            "endpoint: []\n",
            &["t.yaml:1:1: endpoint: unknown key: allowed here: `endpoints`, `groups`; did you mean `endpoints`?"],
        ),
        ("- 1\n", &["t.yaml:1:1: a list is not allowed: a mapping with `endpoints` or `groups`"]),
        ("hello", &["t.yaml:1:1: hello is not allowed: a mapping with `endpoints` or `groups`"]),
        ("endpoints: {}", &["t.yaml:1:12: endpoints: a mapping is not allowed: a list of endpoints, `[]` for none"]),
        ("endpoints: [5]", &["t.yaml:1:13: endpoints[0]: 5 is not allowed: a mapping with `address`, `weight`"]),
        (
            "groups: []",
            &[
                "t.yaml:1:9: groups: a list is not allowed: a mapping from a group's name to its `weight` and `endpoints`",
            ],
        ),
        ("groups: {a: {weight: 5}}", &["t.yaml:1:13: groups.a.endpoints: is missing: The replicas in it."]),
        ("groups: {'': {endpoints: []}}", &["t.yaml:1:10: groups.: a group needs a name"]),
        ("endpoints: []\nendpoints: []\n", &["t.yaml:2:1: endpoints: duplicate key: first on line 1"]),
        (
            "groups:\n  a: {endpoints: []}\n  a: {endpoints: []}\n",
            &["t.yaml:3:3: groups.a: duplicate key: first on line 2"],
        ),
    ];
    for (text, told) in cases {
        assert_eq!(parse(text).unwrap_err(), *told, "{text}");
    }
}

#[test]
fn a_syntax_error_has_its_place() {
    let told = parse("endpoints:\n  - { address: 127.0.0.1:1\n").unwrap_err();
    assert!(told[0].starts_with("t.yaml:2:5: not YAML: unclosed bracket"), "{told:?}");
    let told = parse("endpoints:\n\t- 5\n").unwrap_err();
    assert!(told[0].starts_with("t.yaml:2:2: not YAML: tabs"), "{told:?}");
}

proptest! {
    /// Whatever the bytes, reading ends; and a table that was written by rule is read as it was meant.
    #[test]
    fn any_text_is_a_table_or_told_wrong(text in "\\PC{0,200}|[a-z:\\[\\]{}&*!|>%@#,'\"\n -]{0,200}") {
        if let Err(problems) = parse(&text) {
            prop_assert!(!problems.is_empty());
        }
    }

    #[test]
    fn what_was_written_is_read(weights in proptest::collection::vec(0_u32..=MAX_WEIGHT, 0..40), flow in any::<bool>()) {
        let mut text = String::from("endpoints:");
        if weights.is_empty() {
            text.push_str(" []");
        }
        for (index, weight) in weights.iter().enumerate() {
            let address = format!("10.0.0.1:{}", index + 1);
            text.push_str(&if flow {
                format!("\n- {{address: {address}, weight: {weight}}}")
            } else {
                format!("\n  - address: \"{address}\"\n    weight: {weight}")
            });
        }
        let table = parse(&text).unwrap();
        prop_assert_eq!(table.endpoints().map(|one| one.weight).collect::<Vec<_>>(), weights);
    }
}
