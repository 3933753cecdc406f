//! The operator's settings of a policy: validated against its schema, flattened for the guest.
//!
//! Invariant: guests see at most [`SETTINGS_MAX`] scalars with paths of bounded depth; every problem names its path.

use pilothouse_core::policy::settings::{Setting, SettingProblem, SettingValue};
use serde_json::Value;

/// Most scalars.
const SETTINGS_MAX: usize = 1_024;
/// Deepest nesting.
const DEPTH_MAX: usize = 16;
/// Problems reported at once.
const PROBLEMS_MAX: usize = 16;

/// Reads JSON text, validates it against a schema (empty text = no settings allowed) and flattens it.
///
/// # Errors
/// Everything that is wrong, with paths.
pub fn prepare(schema: &str, text: &str) -> Result<Vec<Setting>, Vec<SettingProblem>> {
    let document: Value = serde_json::from_str(if text.trim().is_empty() { "{}" } else { text })
        .map_err(|error| vec![problem("", &format!("not JSON: {error}"))])?;
    let Value::Object(fields) = &document else {
        return Err(vec![problem("", "settings are a JSON object, for example {\"choices\": 2}")]);
    };
    if schema.is_empty() || takes_none(schema) {
        let unknown = fields.keys().map(|key| problem(key, "this policy has no settings"));
        let problems: Vec<_> = unknown.take(PROBLEMS_MAX).collect();
        return if problems.is_empty() { Ok(Vec::new()) } else { Err(problems) };
    }
    let validator = validator(schema).map_err(|text| vec![problem("", &text)])?;
    let problems: Vec<_> = validator
        .iter_errors(&document)
        .take(PROBLEMS_MAX)
        .map(|error| problem(&place(&error), &error.to_string()))
        .collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut settings = Vec::new();
    flatten(String::new(), &document, 0, &mut settings)?;
    Ok(settings)
}

/// Whether a schema allows no setting at all; it may say other things.
fn takes_none(schema: &str) -> bool {
    let Ok(schema) = serde_json::from_str::<Value>(schema) else { return false };
    let properties = schema.get("properties").and_then(Value::as_object);
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    closed && properties.is_none_or(serde_json::Map::is_empty)
}

/// A validator of a schema's text.
pub(crate) fn validator(schema: &str) -> Result<jsonschema::Validator, String> {
    let schema: Value =
        serde_json::from_str(schema).map_err(|error| format!("the schema is not JSON: {error}"))?;
    jsonschema::draft202012::new(&schema).map_err(|error| format!("the schema is not JSON Schema: {error}"))
}

fn problem(path: &str, text: &str) -> SettingProblem {
    SettingProblem { path: path.to_owned(), problem: text.chars().take(300).collect() }
}

/// Where an error is; that of an unknown setting is at the setting, not at what it stands in.
fn place(error: &jsonschema::ValidationError<'_>) -> String {
    let path = dotted(&error.instance_path().to_string());
    let jsonschema::error::ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() else {
        return path;
    };
    match unexpected.first() {
        Some(key) if path.is_empty() => key.clone(),
        Some(key) => format!("{path}.{key}"),
        None => path,
    }
}

/// `/weights/latency` -> `weights.latency`
fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

fn flatten(
    path: String,
    value: &Value,
    depth: usize,
    out: &mut Vec<Setting>,
) -> Result<(), Vec<SettingProblem>> {
    if depth > DEPTH_MAX {
        return Err(vec![problem(&path, &format!("nested deeper than {DEPTH_MAX}"))]);
    }
    if out.len() >= SETTINGS_MAX {
        return Err(vec![problem(&path, &format!("more than {SETTINGS_MAX} values"))]);
    }
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let value = match value {
        Value::Object(fields) => {
            return fields.iter().try_for_each(|(key, value)| flatten(below(key), value, depth + 1, out));
        }
        Value::Array(items) => {
            return items
                .iter()
                .enumerate()
                .try_for_each(|(index, value)| flatten(below(&index.to_string()), value, depth + 1, out));
        }
        Value::Null => return Ok(()),
        Value::Bool(flag) => SettingValue::Flag(*flag),
        Value::String(text) => SettingValue::Text(text.clone()),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => SettingValue::Integer(integer),
            None => SettingValue::Number(number.as_f64().unwrap_or(f64::NAN)),
        },
    };
    out.push(Setting { path, value });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{"type":"object","additionalProperties":false,
        "properties":{"choices":{"type":"integer","minimum":2},"w":{"type":"object"}}}"#;

    fn paths(schema: &str, text: &str) -> Result<Vec<String>, Vec<String>> {
        prepare(schema, text)
            .map(|settings| settings.into_iter().map(|setting| setting.path).collect())
            .map_err(|problems| problems.into_iter().map(|problem| problem.path).collect())
    }

    #[test]
    fn settings_become_paths_and_problems_name_theirs() {
        for (text, expected) in [
            ("", Ok(vec![])),
            (r#"{"choices":3,"w":{"a":0.5,"b":[true,"x"]}}"#, Ok(vec!["choices", "w.a", "w.b.0", "w.b.1"])),
            (r#"{"choices":1}"#, Err(vec!["choices"])),
            (r#"{"chioces":2}"#, Err(vec!["chioces"])),
            ("[]", Err(vec![""])),
            ("{", Err(vec![""])),
        ] {
            let own = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(paths(SCHEMA, text), expected.map(own).map_err(own), "{text}");
        }
    }

    #[test]
    fn a_policy_without_a_schema_takes_no_settings() {
        assert_eq!(paths("", r#"{"a":1}"#), Err(vec!["a".to_owned()]));
        assert_eq!(paths("", "{}"), Ok(vec![]));
        let closed = r#"{"type":"object","additionalProperties":false,"x":1}"#;
        assert_eq!(paths(closed, r#"{"a":1}"#), Err(vec!["a".to_owned()]));
    }
}
