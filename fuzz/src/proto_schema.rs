//! Schemas, as .proto text and as descriptor sets: every mistake is told at a place that the text has, and what was taken once is
//! taken again, with ways in that can be read back.

use bytes::Bytes;
use telamon::schema::{Schema, Source, Template};

fn build(source: Source) -> Option<Schema> {
    match Schema::build(std::slice::from_ref(&source), &mut |_| None) {
        Ok(schema) => Some(schema),
        Err(errors) => {
            assert!(!errors.is_empty(), "a refusal says why");
            let Source::Proto { name, text } = &source else { return None };
            let lines: Vec<&str> = text.split('\n').collect();
            for error in errors.iter().filter(|error| *error.place.file == **name) {
                let Some(line) = error.place.line else { continue };
                let written = lines.get(line as usize - 1).map(|line| line.chars().count());
                let written = written.unwrap_or_else(|| panic!("{error:?} in a text of {} lines", lines.len()));
                assert!(error.place.column.is_none_or(|column| column as usize <= written + 2), "{error:?}");
            }
            None
        }
    }
}

pub fn check(data: &[u8]) {
    let name = "fuzz.proto".to_owned();
    let source = match std::str::from_utf8(data) {
        Ok(text) => Source::Proto { name, text: text.to_owned() },
        Err(_) => Source::DescriptorSet { name, bytes: Bytes::copy_from_slice(data) },
    };
    let Some(schema) = build(source.clone()) else { return };
    let again = build(source).expect("what was taken once is taken again");
    assert_eq!(schema.services().count(), again.services().count());
    for method in schema.services().flat_map(|service| &service.methods) {
        for binding in method.mappings() {
            let template = &binding.template;
            assert_eq!(Template::parse(template.text()).as_ref(), Ok(&**template), "{}", template.text());
        }
    }
}
