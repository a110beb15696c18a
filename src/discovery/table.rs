//! The endpoint table of one servlet, from the text that deployers and tuners write. Checked whole: a table is taken as it is
//! written or not at all.

mod plain;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use foldhash::fast::RandomState;
use serde_json::{Value, json};

use super::record::{object, property, record};
use super::{Content, Count, Decode, Lenient, Node, Position, Problem, Reader, Spanned};
use crate::model::{Address, EndpointSpec, Group, MAX_WEIGHT, Table};

type Weight = Count<0, MAX_WEIGHT>;

record! {
    /// One replica.
    pub struct EndpointLine {
        /// Where it listens: `IPv4:port`, `[IPv6]:port` or `unix:path`. No address may be in a table twice.
        pub address: Spanned<Address>,
        /// Its part of the traffic, in proportion to the other weights. 0 drains it: no new calls, those in flight finish.
        pub weight: Lenient<Weight> = Lenient(Some(Weight::new(1))),
    }
}

record! {
    /// Endpoints that share a fixed part of the traffic, whatever their number.
    pub struct GroupLine {
        /// The group's part of the traffic, in proportion to the weights of the groups that have someone to serve.
        pub weight: Weight = Weight::new(1),
        /// The replicas in it.
        pub endpoints: Vec<EndpointLine>,
    }
}

/// Reads a table. `file` is its name in messages; relative socket paths in it are meant from `directory`.
pub fn parse(file: &str, directory: &Path, text: &str) -> Result<Table, Vec<Problem>> {
    match plain::read(text) {
        Some(table) => Ok(table),
        None => by_tree(file, directory, text),
    }
}

/// Any table, and all that is wrong with it.
fn by_tree(file: &str, directory: &Path, text: &str) -> Result<Table, Vec<Problem>> {
    let mut reader = Reader::new(file, directory);
    match reader.document::<TableFile>(text) {
        Some(TableFile(table)) if reader.is_clean() => Ok(table),
        _ => Err(reader.into_problems()),
    }
}

/// An endpoint table: either `endpoints` or `groups`.
#[derive(Clone, Debug, PartialEq)]
pub struct TableFile(pub Table);

impl Decode for TableFile {
    fn decode(node: &Node, reader: &mut Reader) -> Option<Self> {
        let mut fields = reader.fields(node, "a mapping with `endpoints` or `groups`")?;
        let at = fields.at;
        let endpoints = fields.take("endpoints");
        let groups = fields.take("groups");
        let known = fields.finish(reader);
        let mut seen = Addresses::default();
        let table = match (endpoints, groups) {
            (Some((_, endpoints)), None) => {
                reader.key("endpoints", |reader| seen.endpoints(endpoints, reader)).map(Table::flat)
            }
            (None, Some((_, groups))) => reader.key("groups", |reader| seen.groups(groups, reader)),
            (Some((one, _)), Some((other, _))) => {
                let (first, second) = if one.at < other.at { (one, other) } else { (other, one) };
                reader.key(second.text.clone(), |reader| {
                    let wrong = format!("beside `{}` on line {}", first.text, first.at.line);
                    reader.report(second.at, wrong).allowed = Some("one of the two".into());
                });
                None
            }
            (None, None) => {
                // An unknown key is probably one of the two, and has been told.
                if known.is_some() {
                    reader.report(at, "neither `endpoints` nor `groups`").allowed =
                        Some("one of the two; `endpoints: []` for none".into());
                }
                None
            }
        };
        known.and(table).map(TableFile)
    }

    fn schema() -> Value {
        let endpoints = property(
            <Vec<EndpointLine> as Decode>::schema(),
            "The replicas. `endpoints: []` leaves the servlet without any.",
            Value::Null,
        );
        let groups = property(
            json!({ "type": "object", "additionalProperties": GroupLine::schema() }),
            "Groups of replicas by name, for a canary whose part does not depend on how many replicas it has.",
            Value::Null,
        );
        let mut schema = object(
            "An endpoint table: who serves a servlet, and how much of it. Reloaded whole on any change.",
            [("endpoints".to_owned(), endpoints), ("groups".to_owned(), groups)].into_iter().collect(),
            &[],
        );
        if let Value::Object(schema) = &mut schema {
            schema.insert("oneOf".into(), json!([{ "required": ["endpoints"] }, { "required": ["groups"] }]));
        }
        schema
    }
}

/// The addresses met so far, with their lines. An IPv4 address written as IPv6 is the same place as itself.
#[derive(Default)]
struct Addresses(HashMap<Address, Position, RandomState>);

fn canonical(address: &Address) -> Address {
    match address {
        Address::Tcp(tcp) if tcp.ip() != tcp.ip().to_canonical() => {
            Address::Tcp(SocketAddr::new(tcp.ip().to_canonical(), tcp.port()))
        }
        Address::Tcp(_) | Address::Unix(_) => address.clone(),
    }
}

impl Addresses {
    fn endpoints(&mut self, node: &Node, reader: &mut Reader) -> Option<Vec<EndpointSpec>> {
        reader.list(node, "a list of endpoints, `[]` for none", |item, reader| {
            let line = EndpointLine::decode(item, reader)?;
            self.accept(line, reader)
        })
    }

    fn accept(&mut self, line: EndpointLine, reader: &mut Reader) -> Option<EndpointSpec> {
        let Spanned { value: address, at } = line.address;
        reader.key("address", |reader| {
            if matches!(&address, Address::Tcp(address) if address.port() == 0) {
                return reader.reject_at(at, address.to_string(), "a port from 1 to 65535");
            }
            let place = canonical(&address);
            if let Some(first) = self.0.get(&place) {
                let wrong = format!("is there twice: first on line {}", first.line);
                reader.report(at, wrong).value = Some(address.to_string().into());
                return None;
            }
            self.0.insert(place, at);
            Some(EndpointSpec { address, weight: line.weight.0?.get() })
        })
    }

    fn groups(&mut self, node: &Node, reader: &mut Reader) -> Option<Table> {
        let Content::Map(entries) = &*node.content else {
            return reader.reject(node, "a mapping from a group's name to its `weight` and `endpoints`");
        };
        reader.fields(node, "")?;
        let mut groups = Some(Vec::new());
        for (key, value) in entries {
            let group = reader.key(key.text.clone(), |reader| {
                if key.text.is_empty() || key.text.chars().any(char::is_control) {
                    reader.report(key.at, "a group needs a name");
                    return None;
                }
                self.group(&key.text, value, reader)
            });
            groups = groups.zip(group).map(|(mut groups, group)| {
                groups.push(group);
                groups
            });
        }
        groups.map(|groups| Table { groups })
    }

    fn group(&mut self, name: &str, node: &Node, reader: &mut Reader) -> Option<Group> {
        let line = GroupLine::decode(node, reader)?;
        let endpoints: Vec<Option<EndpointSpec>> = reader.key("endpoints", |reader| {
            let accept = |(index, line)| reader.index(index, |reader| self.accept(line, reader));
            line.endpoints.into_iter().enumerate().map(accept).collect()
        });
        let endpoints = endpoints.into_iter().collect::<Option<Vec<_>>>()?;
        Some(Group { name: Arc::from(name), weight: line.weight.get(), endpoints })
    }
}

#[cfg(test)]
mod tests;
