use proptest::prelude::*;

use super::super::sources::Source;
use super::*;

/// A file of that name with these imports and a message of its own name.
fn file(name: &str, imports: &[&str]) -> Bytes {
    let dependency = imports.iter().map(|import| (*import).to_owned()).collect();
    FileHead { name: name.into(), dependency }.encode_to_vec().into()
}

fn answer(answer: Answer) -> Bytes {
    Response { answer: Some(answer) }.encode_to_vec().into()
}

fn files(files: &[Bytes]) -> Bytes {
    answer(Answer::Files(FileDescriptorResponse { file_descriptor_proto: files.to_vec() }))
}

fn services(names: &[&str]) -> Bytes {
    let service = names.iter().map(|name| ServiceResponse { name: (*name).into() }).collect();
    answer(Answer::Services(ListServiceResponse { service }))
}

fn error(code: i32) -> Bytes {
    answer(Answer::Error(ErrorResponse { error_code: code, error_message: "so\n".into() }))
}

/// What is asked, in words.
fn asked(question: &[u8]) -> String {
    match Request::decode(question).unwrap().question.unwrap() {
        Question::FileByFilename(name) => format!("file {name}"),
        Question::FileContainingSymbol(name) => format!("symbol {name}"),
        Question::ListServices(_) => "list".into(),
    }
}

/// Holds a conversation: every question with its answer, in order.
fn talk(patterns: &[&str], script: &[(&str, Bytes)]) -> Result<Vec<u8>, String> {
    let mut reflection = Reflection::of(patterns.iter().copied());
    let mut script = script.iter();
    while let Some(question) = reflection.ask() {
        let (expected, answer) = script.next().unwrap_or_else(|| panic!("nobody expected {}", asked(&question)));
        assert_eq!(asked(&question), *expected);
        reflection.hear(answer.clone()).map_err(|error| error.to_string())?;
    }
    assert!(script.next().is_none(), "too little was asked");
    reflection.into_descriptor_set().map_err(|error| error.to_string())
}

fn names(set: &[u8]) -> Vec<String> {
    let set = FileSet::decode(set).unwrap();
    set.file.into_iter().map(|file| FileHead::decode(file).unwrap().name).collect()
}

#[test]
fn services_are_asked_for_and_then_what_they_import() {
    let set = talk(
        &["a.S", "b.T"],
        &[
            ("symbol a.S", files(&[file("s.proto", &["c.proto", "google/protobuf/any.proto"])])),
            (
                "symbol b.T",
                files(&[
                    file("t.proto", &["c.proto", "s.proto"]),
                    file("s.proto", &["c.proto", "google/protobuf/any.proto"]),
                ]),
            ),
            ("file c.proto", files(&[file("c.proto", &["d.proto"]), file("d.proto", &["c.proto"])])),
            ("file d.proto", files(&[file("d.proto", &["c.proto"])])),
        ],
    );
    assert_eq!(names(&set.unwrap()), ["c.proto", "d.proto", "s.proto", "t.proto"]);
}

#[test]
fn patterns_take_what_is_listed_but_not_reflection_itself() {
    let listed = services(&["grpc.reflection.v1.ServerReflection", "a.v1.S", "a.v1.deep.T", "a.v10.U", "b.S", "b.S"]);
    let one = |name: &str| files(&[file(&format!("{name}.proto"), &[])]);
    let all = [("symbol a.v1.S", one("1")), ("symbol a.v1.deep.T", one("2"))];
    let script = [&[("list", listed.clone())][..], &all].concat();
    assert_eq!(names(&talk(&["a.v1.*"], &script).unwrap()), ["1.proto", "2.proto"]);
    let script =
        [&[("list", listed.clone())][..], &all, &[("symbol a.v10.U", one("3")), ("symbol b.S", one("4"))]].concat();
    assert_eq!(names(&talk(&["*"], &script).unwrap()).len(), 4);
    // What is named is asked for once, listed or not.
    let script = [("list", listed), ("symbol b.S", one("4"))];
    assert_eq!(names(&talk(&["b.S", "d.*"], &script).unwrap()), ["4.proto"]);
    // What is listed and cannot be described was asked for by nobody.
    let script = [("list", services(&["d.S", "d.T"])), ("symbol d.S", error(5)), ("symbol d.T", one("5"))];
    assert_eq!(names(&talk(&["d.*"], &script).unwrap()), ["5.proto"]);
}

#[test]
fn whoever_knows_only_some_of_what_is_named_tells_nothing() {
    let one = files(&[file("s.proto", &[])]);
    let told = talk(&["v1.S", "v2.S"], &[("symbol v1.S", one), ("symbol v2.S", error(5))]).unwrap_err();
    assert_eq!(told, "it does not know v2.S");
}

#[test]
fn the_order_of_the_answers_says_nothing() {
    let (one, two) = (file("1.proto", &[]), file("2.proto", &[]));
    let told = |first: &Bytes, second: &Bytes| {
        talk(&["a.S"], &[("symbol a.S", files(&[first.clone(), second.clone()]))]).unwrap()
    };
    assert_eq!(told(&one, &two), told(&two, &one));
}

#[test]
fn what_is_wrong_with_a_replica_is_told() {
    let long = "x".repeat(MAX_NAME + 1);
    let imports: Vec<String> = (0..=MAX_FILES).map(|number| format!("{number}.proto")).collect();
    let imports: Vec<&str> = imports.iter().map(String::as_str).collect();
    let many: Vec<String> = (0..=MAX_SERVICES).map(|number| format!("a.S{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    type Case<'c> = (&'c [&'c str], &'c str, Bytes, &'c str);
    let cases: &[Case<'_>] = &[
        (&["a.S"], "symbol a.S", error(5), "does not know a.S"),
        (&["a.S"], "symbol a.S", error(13), "code 13: so\\n"),
        (&["*"], "list", error(5), "code 5"),
        (&["*"], "list", services(&["grpc.reflection.v1.ServerReflection"]), "no service that"),
        (&["*"], "list", services(&many), "more than 4096 services"),
        (&["*"], "list", services(&[&long]), "a name in it"),
        (&["*"], "list", files(&[]), "not asked"),
        (&["a.S"], "symbol a.S", services(&[]), "not asked"),
        (&["a.S"], "symbol a.S", Bytes::new(), "not asked"),
        (&["a.S"], "symbol a.S", Bytes::from_static(b"\xff"), "cannot be read"),
        (&["a.S"], "symbol a.S", files(&[]), "no service that"),
        (&["a.S"], "symbol a.S", files(&[Bytes::from_static(b"\x0a\xff")]), "descriptor cannot be read"),
        (&["a.S"], "symbol a.S", files(&[file("", &[])]), "no name"),
        (&["a.S"], "symbol a.S", files(&[file(&long, &[])]), "a name in it"),
        (&["a.S"], "symbol a.S", files(&[file("s.proto", &[&long])]), "a name in it"),
        (&["a.S"], "symbol a.S", files(&[file("s.proto", &imports)]), "import more than"),
        (&["a.S"], "symbol a.S", files(&[file("s.proto", &[]), file("s.proto", &["s.proto"])]), "two different files"),
        (&["a.S"], "symbol a.S", vec![0; MAX_ANSWER + 1].into(), "over 4 MiB"),
    ];
    for (patterns, question, answer, told) in cases {
        let error = talk(patterns, &[(question, answer.clone())]).unwrap_err();
        assert!(error.contains(told), "{error}, not {told}");
    }
}

#[test]
fn a_replica_that_never_ends_is_cut_off() {
    let mut endless = Reflection::of(["a.S"]);
    let mut rounds: usize = 0;
    let error = loop {
        assert!(endless.ask().is_some());
        let next = format!("{}.proto", rounds + 1);
        if let Err(error) = endless.hear(files(&[file(&format!("{rounds}.proto"), &[&next])])) {
            break error;
        }
        rounds += 1;
    };
    assert!(error.to_string().contains("more than") && rounds <= MAX_FILES, "{rounds}: {error}");

    let mut heavy = Reflection::of(["a.S", "b.S", "c.S"]);
    let mut fat = |name: &str| {
        heavy.ask().unwrap();
        let mut bytes = file(name, &[]).to_vec();
        prost::encoding::bytes::encode(1000, &vec![0_u8; MAX_ANSWER - 1000], &mut bytes);
        heavy.hear(files(&[bytes.into()]))
    };
    assert!(fat("1").is_ok() && fat("2").is_ok());
    assert!(fat("3").unwrap_err().to_string().contains("8 MiB"));
}

#[test]
fn a_schema_comes_of_it_like_one_from_a_file() {
    let text = "syntax = \"proto3\"; package a; import \"google/protobuf/empty.proto\"; service S { rpc Do(M) returns (google.protobuf.Empty); } message M { string text = 1; }";
    let proto = protox::file::File::from_source("s.proto", text).unwrap().file_descriptor_proto().clone();
    let set = talk(&["a.S"], &[("symbol a.S", files(&[proto.encode_to_vec().into()]))]).unwrap();
    let source = Source::DescriptorSet { name: "set".into(), bytes: set.into() };
    let schema = Schema::build(&[source], &mut |_| None).unwrap();
    assert!(schema.method("a.S", "Do").is_some());
}

proptest! {
    #[test]
    fn no_answer_panics_and_no_conversation_is_endless(answers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
        let mut reflection = Reflection::of(["*", "a.S"]);
        for answer in answers {
            if reflection.ask().is_none() || reflection.hear(answer.into()).is_err() {
                break;
            }
        }
        let _ = reflection.into_descriptor_set();
    }
}
