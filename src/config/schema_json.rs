//! The JSON Schema of the files that operators write, so that editors complete and check them.

use serde_json::{Value, json};

use super::{Settings, servlet_file};
use crate::discovery::Decode;
use crate::discovery::table::TableFile;

/// One document with a definition for each kind of file: `#/$defs/settings`, `#/$defs/servlet`, `#/$defs/table`.
pub fn schema_json() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Telamon's files",
        "description": "telamon.yaml is #/$defs/settings, servlets/*.yaml are #/$defs/servlet, endpoints/*.yaml are #/$defs/table.",
        "anyOf": [
            { "$ref": "#/$defs/settings" },
            { "$ref": "#/$defs/servlet" },
            { "$ref": "#/$defs/table" },
        ],
        "$defs": {
            "settings": Settings::schema(),
            "servlet": servlet_file::schema(),
            "table": TableFile::schema(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_described_and_shown_with_its_default() {
        let schema = schema_json();
        let limits = &schema["$defs"]["settings"]["properties"]["limits"]["properties"];
        assert_eq!(limits["header_size"]["default"], "64KiB");
        assert_eq!(limits["drain"]["default"], "30s");
        assert_eq!(limits["connections"]["maximum"], 1_000_000);
        assert_eq!(schema["$defs"]["settings"]["required"], json!(["listeners"]));
        let weight = &schema["$defs"]["table"]["properties"]["endpoints"]["items"]["properties"]["weight"];
        assert_eq!(
            (&weight["minimum"], &weight["maximum"], &weight["default"]),
            (&json!(0), &json!(1_000_000), &json!(1))
        );
        let servlet = &schema["$defs"]["servlet"]["properties"];
        assert_eq!(servlet["upstream"]["enum"], json!(["grpc", "http1", "http2"]));
        assert_eq!(servlet["routes"]["items"]["required"], json!(["match"]));

        let balance = json!({ "policy": "fair_least_request" });
        assert_eq!((&servlet["balance"]["default"], &servlet["connect_timeout"]["default"]), (&balance, &json!("1s")));
        assert_eq!(servlet["routes"]["default"], json!([]));
        let settings = &schema["$defs"]["settings"]["properties"];
        assert_eq!(settings["limits"]["default"]["header_size"], "64KiB");
        assert_eq!(settings["defaults"]["default"]["timeout"], "15s");
        // A servlet may inherit its origins.
        assert_eq!(settings["defaults"]["properties"]["cors"]["required"], json!(["allow_origins"]));
        assert!(
            servlet["cors"]["properties"]["allow_origins"].is_object() && servlet["cors"].get("required").is_none()
        );

        // Keys that may be left out and then stand for nothing, or for what cannot be written here.
        const NOTHING: &str = "workers admin access_log default_host body_size cors allow_origins schema services endpoints groups timeout host path method call body response_body";
        fn described(path: &str, schema: &Value) {
            if let Some(properties) = schema["properties"].as_object() {
                assert_eq!(schema["additionalProperties"], false, "{path}");
                for (key, value) in properties {
                    assert!(value["description"].is_string(), "{path}.{key} has no description");
                    let required = schema["required"].as_array().is_some_and(|keys| keys.iter().any(|one| one == key));
                    let told = required || value.get("default").is_some();
                    assert!(told || NOTHING.split(' ').any(|one| one == key), "{path}.{key} has no default");
                    described(&format!("{path}.{key}"), value);
                }
            }
            for within in ["items", "additionalProperties"] {
                if schema[within].is_object() {
                    described(&format!("{path}[]"), &schema[within]);
                }
            }
        }
        for kind in ["settings", "servlet", "table"] {
            described(kind, &schema["$defs"][kind]);
        }
    }
}
