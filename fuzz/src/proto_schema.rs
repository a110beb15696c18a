//! Schemas, as .proto text and as descriptor sets: every mistake is told at a place that the text has; what was taken says what the
//! compiler's descriptors say, of services, methods, messages and fields, with ways in that can be read back.

use bytes::Bytes;
use prost_reflect::DescriptorPool;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use telamon::schema::{Cardinality, Schema, Source, Template};

const NAME: &str = "fuzz.proto";

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

struct Text(String);

impl FileResolver for Text {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if name == NAME { File::from_source(name, &self.0) } else { Err(protox::Error::file_not_found(name)) }
    }
}

/// What the compiler makes of it alone.
fn compiled(source: Source) -> Option<DescriptorPool> {
    let text = match source {
        Source::DescriptorSet { bytes, .. } => return DescriptorPool::decode(bytes).ok(),
        Source::Proto { text, .. } => text,
    };
    let mut resolver = ChainFileResolver::new();
    resolver.add(GoogleFileResolver::new());
    resolver.add(Text(text));
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file(NAME).ok()?;
    Some(compiler.descriptor_pool())
}

/// Every service and message of the pool is in the schema as it is there.
fn check_says(schema: &Schema, pool: &DescriptorPool) {
    for service in pool.services() {
        let known = schema.service(service.full_name()).expect("a service is known");
        assert_eq!(known.methods.len(), service.methods().count());
        for (method, known) in service.methods().zip(&known.methods) {
            assert_eq!(*known.name, *method.name());
            assert_eq!(known.path, format!("/{}/{}", service.full_name(), method.name())[..]);
            let id = |name: &str| schema.messages().by_name(name);
            let ends = [id(method.input().full_name()), id(method.output().full_name())];
            assert_eq!(ends, [Some(known.input), Some(known.output)]);
            let streams = (method.is_client_streaming(), method.is_server_streaming());
            assert_eq!((known.client_streaming, known.server_streaming), streams);
        }
    }
    for message in pool.all_messages() {
        let known = schema.messages().by_name(message.full_name()).expect("a message is known");
        let known = schema.messages().get(known);
        for field in message.fields() {
            let known = known.by_number(field.number()).expect("a field is known");
            assert_eq!((&*known.name, &*known.json_name), (field.name(), field.json_name()));
            let (many, map) = match known.cardinality {
                Cardinality::Singular { .. } => (false, false),
                Cardinality::Repeated { .. } => (true, false),
                Cardinality::Map { .. } => (false, true),
            };
            assert_eq!((many, map, known.has_presence()), (field.is_list(), field.is_map(), field.supports_presence()));
        }
    }
}

pub fn check(data: &[u8]) {
    let name = NAME.to_owned();
    let source = match std::str::from_utf8(data) {
        Ok(text) => Source::Proto { name, text: text.to_owned() },
        Err(_) => Source::DescriptorSet { name, bytes: Bytes::copy_from_slice(data) },
    };
    let Some(schema) = build(source.clone()) else { return };
    if let Some(pool) = compiled(source) {
        check_says(&schema, &pool);
    }
    for method in schema.services().flat_map(|service| &service.methods) {
        for binding in method.mappings() {
            let template = &binding.template;
            assert_eq!(Template::parse(template.text()).as_ref(), Ok(&**template), "{}", template.text());
        }
    }
}
