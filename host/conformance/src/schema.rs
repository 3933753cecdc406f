//! What a settings' schema says of its leaves, so that edges and wrong values can be tried.

use serde_json::{Map, Value, json};

/// Most leaves that are tried.
const LEAVES_MAX: usize = 64;

/// One setting.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Leaf {
    /// Its place in the document.
    pub(crate) path: Vec<String>,
    /// What the schema says of it.
    pub(crate) rule: Value,
}

/// The schema as a value; `null` if there is none or it is no JSON.
pub(crate) fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

/// The settings that a schema names, nested objects walked into.
pub(crate) fn leaves(schema: &Value) -> Vec<Leaf> {
    let mut found = Vec::new();
    walk(schema, &mut Vec::new(), &mut found);
    found.truncate(LEAVES_MAX);
    found
}

fn walk(schema: &Value, path: &mut Vec<String>, found: &mut Vec<Leaf>) {
    for (name, rule) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        path.push(name.clone());
        if rule.get("properties").is_some() && path.len() < 8 {
            walk(rule, path, found);
        } else {
            found.push(Leaf { path: path.clone(), rule: rule.clone() });
        }
        path.pop();
    }
}

impl Leaf {
    /// A document with this setting alone.
    pub(crate) fn document(&self, value: &Value) -> String {
        let nested = self
            .path
            .iter()
            .rev()
            .fold(value.clone(), |inner, name| Value::Object(Map::from_iter([(name.clone(), inner)])));
        nested.to_string()
    }

    /// Values at the edges of what the schema allows.
    pub(crate) fn edges(&self) -> Vec<Value> {
        let rule = |name: &str| self.rule.get(name).cloned();
        let mut edges: Vec<Value> =
            ["minimum", "maximum", "default", "const"].into_iter().filter_map(rule).collect();
        edges.extend(self.rule.get("enum").and_then(Value::as_array).into_iter().flatten().cloned());
        if self.rule.get("type") == Some(&json!("boolean")) {
            edges.extend([json!(true), json!(false)]);
        }
        edges.dedup();
        edges
    }

    /// A value of another type than the schema says; `None` if it says no type.
    pub(crate) fn wrong(&self) -> Option<Value> {
        match self.rule.get("type").and_then(Value::as_str) {
            Some("string") => Some(json!(7)),
            Some(_) => Some(json!("seven")),
            None => self.rule.get("enum").map(|_| json!({})),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_settings_have_paths_edges_and_documents() {
        let schema = json!({ "properties": {
            "a": { "type": "integer", "minimum": 1, "maximum": 3 },
            "b": { "properties": { "c": { "enum": ["x", "y"] } } } } });
        let found = leaves(&schema);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].edges(), [json!(1), json!(3)]);
        assert_eq!(found[1].document(&json!("y")), r#"{"b":{"c":"y"}}"#);
        assert_eq!(found[0].wrong(), Some(json!("seven")));
    }
}
