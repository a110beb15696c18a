//! One difference between two versions of a schema, and whom it breaks.

use std::fmt;

use super::super::place::Place;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub what: What,
    /// What has changed, as the old version calls it: `GET /v1/{name}`, `pkg.Service/Method`, `pkg.Message.field`.
    pub subject: String,
    pub breaks: Breaks,
    /// In the new version; for what is gone, where it was: its message, its method or its file.
    pub place: Place,
    /// The rest of the sentence that begins with the subject.
    pub told: String,
}

/// `lib.v1.Book.title: removed (breaks JSON callers)`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.told)?;
        match self.breaks.words() {
            "" => Ok(()),
            words => write!(f, " (breaks {words})"),
        }
    }
}

/// The kinds of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    ServiceAdded,
    ServiceRemoved,
    MethodAdded,
    MethodRemoved,
    /// A method's stream has become one message, or the other way round.
    MethodStreaming,
    /// A method is no longer declared to only read.
    MethodSideEffects,
    /// A method's input or output goes by another name; what differs in it is told field by field.
    MethodRetyped,
    RouteAdded,
    RouteRemoved,
    /// A route, or a request that it took, leads to another method.
    RouteMoved,
    /// A part of the path fills another field.
    VariableMoved,
    /// `body` is another.
    BodyMoved,
    /// `response_body` is another.
    ResponseBodyMoved,
    FieldAdded,
    FieldRemoved,
    FieldRenamed,
    FieldRenumbered,
    /// The type, or how many there may be of it.
    FieldRetyped,
    /// Into a oneof with others, or out of it.
    FieldMoved,
    /// Whether "set to zero" differs from "not set".
    FieldPresence,
    /// proto2's `required` came or went.
    FieldRequired,
    JsonName,
    ValueAdded,
    ValueRemoved,
    ValueRenamed,
    ValueRenumbered,
    /// There is more than is told, or than could be compared.
    Unfinished,
}

impl What {
    /// One word for it, for machines.
    pub fn name(self) -> &'static str {
        match self {
            What::ServiceAdded => "service_added",
            What::ServiceRemoved => "service_removed",
            What::MethodAdded => "method_added",
            What::MethodRemoved => "method_removed",
            What::MethodStreaming => "method_streaming",
            What::MethodSideEffects => "method_side_effects",
            What::MethodRetyped => "method_retyped",
            What::RouteAdded => "route_added",
            What::RouteRemoved => "route_removed",
            What::RouteMoved => "route_moved",
            What::VariableMoved => "variable_moved",
            What::BodyMoved => "body_moved",
            What::ResponseBodyMoved => "response_body_moved",
            What::FieldAdded => "field_added",
            What::FieldRemoved => "field_removed",
            What::FieldRenamed => "field_renamed",
            What::FieldRenumbered => "field_renumbered",
            What::FieldRetyped => "field_retyped",
            What::FieldMoved => "field_moved",
            What::FieldPresence => "field_presence",
            What::FieldRequired => "field_required",
            What::JsonName => "json_name",
            What::ValueAdded => "value_added",
            What::ValueRemoved => "value_removed",
            What::ValueRenamed => "value_renamed",
            What::ValueRenumbered => "value_renumbered",
            What::Unfinished => "unfinished",
        }
    }
}

/// Whose calls, made by the old version, would fail or mean something else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Breaks {
    /// Callers of REST: paths, parameters, JSON.
    pub json: bool,
    /// Callers of gRPC, who write and read the wire format themselves.
    pub wire: bool,
}

impl Breaks {
    pub const NOBODY: Breaks = Breaks { json: false, wire: false };
    pub const JSON: Breaks = Breaks { json: true, wire: false };
    pub const WIRE: Breaks = Breaks { json: false, wire: true };
    pub const BOTH: Breaks = Breaks { json: true, wire: true };

    pub fn anybody(self) -> bool {
        self.json || self.wire
    }

    /// Whoever is broken by one of the two.
    pub fn and(self, other: Breaks) -> Breaks {
        Breaks { json: self.json || other.json, wire: self.wire || other.wire }
    }

    /// For people; empty for nobody.
    pub fn words(self) -> &'static str {
        match (self.json, self.wire) {
            (false, false) => "",
            (true, false) => "JSON callers",
            (false, true) => "gRPC callers",
            (true, true) => "JSON and gRPC callers",
        }
    }
}
