//! A mapping with fixed keys, written once: from one definition come the struct, its defaults, the reader that refuses unknown
//! keys and goes on after a mistake, and the JSON Schema with the doc comments as its descriptions.

use serde_json::{Map, Value, json};

use super::{Fields, Reader};

/// A mapping with fixed keys. Made by `record!`.
pub trait Record: Sized {
    /// Its keys in the order of the definition.
    const KEYS: &'static [&'static str];

    /// Takes its keys from `fields`; a key that is left out is as in `base`, else its default. So are the keys of a mapping in it.
    fn take(fields: &mut Fields<'_>, reader: &mut Reader, base: Option<&Self>) -> Option<Self>;

    /// The JSON Schemas of its keys.
    fn properties() -> Map<String, Value>;

    /// Its keys as they would be written, but for those that stand for nothing.
    fn pairs(&self) -> Map<String, Value>;

    /// The keys that must be written.
    fn required() -> Vec<&'static str>;
}

/// The name of a field in a file: that of the struct, without the mark that makes a keyword a name.
pub(crate) const fn key_name(field: &'static str) -> &'static str {
    match field.as_bytes() {
        [b'r', b'#', ..] => field.split_at(2).1,
        _ => field,
    }
}

/// The lines of a doc comment as one text.
pub(crate) fn description(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// The JSON Schema of a mapping.
pub(crate) fn object(description: &str, properties: Map<String, Value>, required: &[&str]) -> Value {
    let mut schema = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if let Value::Object(schema) = &mut schema {
        if !description.is_empty() {
            schema.insert("description".into(), description.into());
        }
        if !required.is_empty() {
            schema.insert("required".into(), required.into());
        }
    }
    schema
}

/// The JSON Schema of one key.
pub(crate) fn property(mut schema: Value, description: &str, default: Value) -> Value {
    if let Value::Object(schema) = &mut schema {
        if !description.is_empty() {
            schema.insert("description".into(), description.into());
        }
        if !default.is_null() {
            schema.insert("default".into(), default);
        }
    }
    schema
}

/// Defines a struct that is a mapping with fixed keys: `pub key: Type = default`. Without a default a key must be written, unless
/// its type has a value for a key that is left out. When every key has a default, so has the struct.
macro_rules! record {
    ($(#[doc = $doc:literal])* $vis:vis struct $name:ident {
        $($(#[doc = $line:literal])* pub $field:ident: $type:ty = $default:expr),* $(,)?
    }) => {
        $crate::discovery::record! { @struct $(#[doc = $doc])* $vis struct $name { $($(#[doc = $line])* pub $field: $type = $default),* } }
        $crate::discovery::record! { @decode $name [$($doc)*] Some(Self::default()) }

        impl Default for $name {
            fn default() -> Self {
                $name { $($field: $default),* }
            }
        }
    };
    ($(#[doc = $doc:literal])* $vis:vis struct $name:ident {
        $($(#[doc = $line:literal])* pub $field:ident: $type:ty $(= $default:expr)?),* $(,)?
    }) => {
        $crate::discovery::record! { @struct $(#[doc = $doc])* $vis struct $name { $($(#[doc = $line])* pub $field: $type $(= $default)?),* } }
        $crate::discovery::record! { @decode $name [$($doc)*] None }
    };
    (@struct $(#[doc = $doc:literal])* $vis:vis struct $name:ident {
        $($(#[doc = $line:literal])* pub $field:ident: $type:ty $(= $default:expr)?),*
    }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq)]
        $vis struct $name { $($(#[doc = $line])* pub $field: $type),* }

        impl $crate::discovery::Record for $name {
            const KEYS: &'static [&'static str] = &[$($crate::discovery::key_name(stringify!($field))),*];

            fn take(
                fields: &mut $crate::discovery::Fields<'_>,
                reader: &mut $crate::discovery::Reader,
                base: Option<&Self>,
            ) -> Option<Self> {
                // Every field is read before the first failure counts.
                $(let $field = fields.decode::<$type>(
                    $crate::discovery::key_name(stringify!($field)),
                    &[$($line),*],
                    base.map(|base| base.$field.clone())$(.or_else(|| Some($default)))?,
                    reader,
                );)*
                Some($name { $($field: $field?),* })
            }

            fn properties() -> serde_json::Map<String, serde_json::Value> {
                let mut properties = serde_json::Map::new();
                $(
                    let default: Option<$type> = None$(.or_else(|| Some($default)))?;
                    let default = default.or_else(<$type as $crate::discovery::Decode>::absent);
                    properties.insert(
                        $crate::discovery::key_name(stringify!($field)).to_owned(),
                        $crate::discovery::record::property(
                            <$type as $crate::discovery::Decode>::schema(),
                            &$crate::discovery::description(&[$($line),*]),
                            default.as_ref().map($crate::discovery::Decode::written).unwrap_or_default(),
                        ),
                    );
                )*
                properties
            }

            fn pairs(&self) -> serde_json::Map<String, serde_json::Value> {
                let mut pairs = serde_json::Map::new();
                $(
                    let value = $crate::discovery::Decode::written(&self.$field);
                    if !value.is_null() {
                        pairs.insert($crate::discovery::key_name(stringify!($field)).to_owned(), value);
                    }
                )*
                pairs
            }

            fn required() -> Vec<&'static str> {
                let mut required = Vec::new();
                $(
                    let default: Option<$type> = None$(.or_else(|| Some($default)))?;
                    if default.or_else(<$type as $crate::discovery::Decode>::absent).is_none() {
                        required.push($crate::discovery::key_name(stringify!($field)));
                    }
                )*
                required
            }
        }
    };
    (@decode $name:ident [$($doc:literal)*] $absent:expr) => {
        impl $crate::discovery::Decode for $name {
            fn decode(node: &$crate::discovery::Node, reader: &mut $crate::discovery::Reader) -> Option<Self> {
                <Self as $crate::discovery::Decode>::decode_over(node, reader, None)
            }

            fn decode_over(
                node: &$crate::discovery::Node,
                reader: &mut $crate::discovery::Reader,
                base: Option<&Self>,
            ) -> Option<Self> {
                use $crate::discovery::Record;
                let mut fields = reader.fields(node, $crate::discovery::MappingWith(Self::KEYS))?;
                let value = Self::take(&mut fields, reader, base);
                fields.finish(reader)?;
                value
            }

            fn absent() -> Option<Self> {
                $absent
            }

            fn written(&self) -> serde_json::Value {
                $crate::discovery::Record::pairs(self).into()
            }

            fn schema() -> serde_json::Value {
                use $crate::discovery::Record;
                $crate::discovery::record::object(
                    &$crate::discovery::description(&[$($doc),*]),
                    Self::properties(),
                    &Self::required(),
                )
            }
        }
    };
}
pub(crate) use record;

#[cfg(test)]
mod tests {
    use super::super::{Count, Decode};
    use super::*;

    record! {
        /// A thing.
        struct Thing {
            /// How many.
            /// Of them.
            pub many: Count<0, 9> = Count::new(3),
            pub r#match: Option<String>,
            pub name: String,
        }
    }

    #[test]
    fn one_definition_reads_and_describes() {
        let mut reader = Reader::new("f", "");
        let thing = reader.document::<Thing>("name: x\n").unwrap();
        assert_eq!(thing, Thing { many: Count::new(3), r#match: None, name: "x".into() });
        let schema = Thing::schema();
        assert_eq!(schema["required"], json!(["name"]));
        assert_eq!(schema["properties"]["many"]["description"], "How many.\nOf them.");
        assert_eq!(schema["properties"]["many"]["default"], 3);
        assert_eq!(Decode::written(&thing), json!({ "many": 3, "name": "x" }));
        assert!(schema["properties"]["match"].is_object());
    }

    #[test]
    fn all_mistakes_are_told_in_the_order_of_the_file() {
        let mut reader = Reader::new("f", "");
        assert!(reader.document::<Thing>("{many: x, matches: 1, match: a, match: b}").is_none());
        let told: Vec<String> = reader.into_problems().iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "f:1:1: name: is missing",
                "f:1:8: many: x is not allowed: an integer from 0 to 9",
                "f:1:11: matches: unknown key: allowed here: `many`, `match`, `name`; did you mean `match`?",
                "f:1:33: match: duplicate key: first on line 1",
            ]
        );
    }
}
