//! How deep the values of options are nested. The descriptor pool reads them as text format, by recursion without a limit: one that is
//! too deep would overflow the stack of a process that serves, so it is found here first. Nothing else in a schema needs this: the
//! parser bounds nested messages, and descriptor sets are decoded with a limit.

use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    MethodDescriptorProto, OneofDescriptorProto, ServiceDescriptorProto, UninterpretedOption,
    descriptor_proto::ExtensionRange,
};

/// As deep as Protobuf messages are decoded; a deeper value could not be read back.
pub(super) const MAX_DEPTH: usize = 100;

/// The path of the first option whose value is too deep.
pub(super) fn too_deep(file: &FileDescriptorProto) -> Option<Vec<i32>> {
    let mut walk = Walk { path: Vec::new(), found: None };
    walk.options(8, file.options.as_ref().map(|options| &options.uninterpreted_option));
    walk.each(4, &file.message_type, Walk::message);
    walk.each(5, &file.enum_type, Walk::enumeration);
    walk.each(6, &file.service, Walk::service);
    walk.each(7, &file.extension, Walk::field);
    walk.found
}

/// The way through a file, by the numbers of descriptor.proto.
struct Walk {
    path: Vec<i32>,
    found: Option<Vec<i32>>,
}

impl Walk {
    fn each<T>(&mut self, number: i32, items: &[T], look: fn(&mut Walk, &T)) {
        for (index, item) in (0..).zip(items) {
            self.path.extend([number, index]);
            look(self, item);
            self.path.truncate(self.path.len().saturating_sub(2));
        }
    }

    fn options(&mut self, number: i32, options: Option<&Vec<UninterpretedOption>>) {
        const UNINTERPRETED: i32 = 999;
        for (index, option) in (0..).zip(options.into_iter().flatten()) {
            if self.found.is_none() && option.aggregate_value.as_deref().is_some_and(is_too_deep) {
                self.found = Some(self.path.iter().copied().chain([number, UNINTERPRETED, index]).collect());
            }
        }
    }

    fn message(&mut self, message: &DescriptorProto) {
        self.options(7, message.options.as_ref().map(|options| &options.uninterpreted_option));
        self.each(2, &message.field, Walk::field);
        self.each(3, &message.nested_type, Walk::message);
        self.each(4, &message.enum_type, Walk::enumeration);
        self.each(5, &message.extension_range, Walk::range);
        self.each(6, &message.extension, Walk::field);
        self.each(8, &message.oneof_decl, Walk::oneof);
    }

    fn field(&mut self, field: &FieldDescriptorProto) {
        self.options(8, field.options.as_ref().map(|options| &options.uninterpreted_option));
    }

    fn oneof(&mut self, oneof: &OneofDescriptorProto) {
        self.options(2, oneof.options.as_ref().map(|options| &options.uninterpreted_option));
    }

    fn range(&mut self, range: &ExtensionRange) {
        self.options(3, range.options.as_ref().map(|options| &options.uninterpreted_option));
    }

    fn enumeration(&mut self, enumeration: &EnumDescriptorProto) {
        self.options(3, enumeration.options.as_ref().map(|options| &options.uninterpreted_option));
        self.each(2, &enumeration.value, Walk::value);
    }

    fn value(&mut self, value: &EnumValueDescriptorProto) {
        self.options(3, value.options.as_ref().map(|options| &options.uninterpreted_option));
    }

    fn service(&mut self, service: &ServiceDescriptorProto) {
        self.options(3, service.options.as_ref().map(|options| &options.uninterpreted_option));
        self.each(2, &service.method, Walk::method);
    }

    fn method(&mut self, method: &MethodDescriptorProto) {
        self.options(4, method.options.as_ref().map(|options| &options.uninterpreted_option));
    }
}

/// Whether more messages are open at once than may be. Exact up to the first mistake in the text, where its reader stops.
fn is_too_deep(text: &str) -> bool {
    let mut open: usize = 0;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'<' => open += 1,
            b'}' | b'>' => open = open.saturating_sub(1),
            b'#' => {
                bytes.by_ref().find(|byte| *byte == b'\n');
            }
            b'"' | b'\'' => {
                while let Some(within) = bytes.next().filter(|within| *within != byte) {
                    if within == b'\\' {
                        bytes.next();
                    }
                }
            }
            _ => {}
        }
        if open > MAX_DEPTH {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_open_at_once_counts() {
        let many = MAX_DEPTH + 1;
        let deep = |count: usize| format!("{}{}", "a{".repeat(count), "}".repeat(count));
        for (text, expected) in [
            (deep(MAX_DEPTH), false),
            (deep(many), true),
            ("a<".repeat(many), true),
            ("a{} b<>".repeat(many), false),
            (format!("a: \"{}\" b: '{}'", "\\\"{".repeat(many), "\"{".repeat(many)), false),
            (format!("# '{}\n", "{".repeat(many)), false),
            (format!("a: \"}}\\\"}}\" # }}\n{}", "{ a: '}' b ".repeat(many)), true),
        ] {
            assert_eq!(is_too_deep(&text), expected, "{text}");
        }
    }
}
