//! The configuration's schema, and the commented default file made from it.
//!
//! [`schema_json`] is what editors take; [`default_toml`] is what `config default` prints: every key with its
//! default, each under the comment of its field.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::Config;

/// JSON Schema of the configuration file.
#[must_use]
pub fn schema_json() -> String {
    let schema = schemars::schema_for!(Config);
    serde_json::to_string_pretty(&schema).unwrap_or_default()
}

/// The default configuration as commented TOML. Keys without a default are shown as comments.
#[must_use]
pub fn default_toml() -> String {
    let schema = schemars::schema_for!(Config).to_value();
    let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
    let mut out =
        String::from("# Configuration of a Pilothouse server. Every key is shown with its default.\n");
    if let (Some(properties), Some(values)) = (properties(&schema, &schema), defaults.as_object()) {
        for (name, property) in properties {
            section(&mut out, &schema, name, property, values.get(name));
        }
    }
    out
}

fn section(out: &mut String, root: &Value, path: &str, property: &Value, value: Option<&Value>) {
    let Some(Value::Object(values)) =
        value.filter(|value| value.as_object().is_some_and(|map| !map.is_empty()))
    else {
        let _ = writeln!(out);
        comment(out, root, property);
        return example(out, path);
    };
    let _ = writeln!(out);
    comment(out, root, property);
    let _ = writeln!(out, "[{path}]");
    let Some(fields) = properties(root, property) else { return };
    let (tables, scalars): (Vec<_>, Vec<_>) =
        fields.iter().partition(|(name, _)| values.get(*name).is_some_and(Value::is_object));
    for (name, field) in scalars {
        comment(out, root, field);
        match values.get(name) {
            None | Some(Value::Null) => drop(writeln!(out, "# {name} =")),
            Some(value) => drop(writeln!(out, "{name} = {}", toml_value(value))),
        }
    }
    for (name, field) in tables {
        section(out, root, &format!("{path}.{name}"), field, values.get(name));
    }
}

/// Sections that are empty by default are shown as an example.
fn example(out: &mut String, path: &str) {
    let _ = match path {
        "regions" => writeln!(out, "# [regions.us-east-1]\n# latitude = 38.9\n# longitude = -77.4"),
        "rtt" => writeln!(out, "# [[rtt]]\n# from = \"us-east-1\"\n# to = \"eu-west-1\"\n# ms = 68.0"),
        "policies.trust.slots" => writeln!(out, "# [{path}]\n# \"balancing/default\" = [\"ci\"]"),
        _ => writeln!(out, "# [{path}]"),
    };
}

/// JSON and TOML agree on scalars, but an `f32` such as 0.33 must not show its 64-bit digits.
fn toml_value(value: &Value) -> String {
    match value.as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "all floating settings are f32")]
        Some(number) if value.is_f64() => format!("{:?}", number as f32),
        _ => value.to_string(),
    }
}

fn comment(out: &mut String, root: &Value, property: &Value) {
    let text = property.get("description").or_else(|| resolve(root, property).get("description"));
    for line in text.and_then(Value::as_str).unwrap_or_default().lines() {
        let _ = writeln!(out, "# {line}");
    }
}

fn properties<'a>(root: &'a Value, property: &'a Value) -> Option<&'a Map<String, Value>> {
    resolve(root, property).get("properties")?.as_object()
}

/// Follows a `$ref` to its definition.
fn resolve<'a>(root: &'a Value, property: &'a Value) -> &'a Value {
    property
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|reference| root.pointer(reference.trim_start_matches('#')))
        .unwrap_or(property)
}

#[cfg(test)]
mod tests {
    use super::super::{Config, parse};
    use super::*;

    #[test]
    fn the_default_file_is_the_default_configuration() {
        assert_eq!(parse(&default_toml()).unwrap(), Config::default(), "{}", default_toml());
    }

    #[test]
    fn every_key_of_the_default_file_has_a_comment() {
        let text = default_toml();
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.windows(2) {
            let key = pair[1].contains(" = ") && !pair[1].starts_with('#');
            assert!(!key || pair[0].starts_with("# "), "no comment above {:?}", pair[1]);
        }
    }

    #[test]
    fn the_schema_names_every_section() {
        for section in ["server", "registry", "policies", "regions", "rtt"] {
            assert!(schema_json().contains(&format!("\"{section}\"")));
        }
    }
}
