//! Reports: a table for people, JSON for programs.

use std::io::Write as _;

use comfy_table::{Cell, Table, presets};
use serde_json::Value;

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// Tables and lines.
    Table,
    /// JSON.
    Json,
}

/// What a handler found out.
#[derive(Debug)]
pub(crate) struct Report {
    json: Value,
    text: String,
}

impl Report {
    /// A text for people beside the data.
    pub(crate) fn new(json: Value, text: impl Into<String>) -> Self {
        Self { json, text: text.into() }
    }

    /// A table of some fields (`title=path`) of the objects in a list.
    pub(crate) fn list(json: Value, list: &str, columns: &[(&str, &str)]) -> Self {
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(columns.iter().map(|(title, _)| Cell::new(title)));
        for row in json.get(list).and_then(Value::as_array).into_iter().flatten() {
            table.add_row(columns.iter().map(|(_, path)| Cell::new(text(row, path))));
        }
        Self { text: table.to_string(), json }
    }

    /// The same with more text for people at its end.
    pub(crate) fn followed_by(self, text: &str) -> Self {
        Self { text: self.text + text, ..self }
    }

    /// One line per field of an object, nested ones with their path.
    pub(crate) fn fields(json: Value) -> Self {
        let mut lines = Vec::new();
        flatten("", &json, &mut lines);
        let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let text: Vec<String> = lines.iter().map(|(name, value)| format!("{name:width$}  {value}")).collect();
        Self { text: text.join("\n"), json }
    }

    /// The text for people.
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// The data and the text.
    pub(crate) fn into_parts(self) -> (Value, String) {
        (self.json, self.text)
    }

    /// Writes it to stdout.
    pub(crate) fn print(&self, output: Output) -> anyhow::Result<()> {
        let text = match output {
            Output::Table => self.text.clone(),
            Output::Json => serde_json::to_string_pretty(&self.json)?,
        };
        data(&text)
    }
}

/// Writes a line of data to stdout. A reader that went away ends the command quietly.
pub(crate) fn data(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => Ok(other?),
    }
}

/// Writes a line for people to stderr.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A field by its dotted path, as text.
pub(crate) fn text(value: &Value, path: &str) -> String {
    let found = path.split('.').try_fold(value, |value, name| value.get(name));
    match found {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            let texts =
                items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned));
            texts.collect::<Vec<_>>().join(" ")
        }
        Some(Value::Number(number)) if number.is_f64() => {
            let number = number.as_f64().unwrap_or_default();
            format!("{number:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Some(other) => other.to_string(),
    }
}

fn flatten(path: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, lines);
            }
        }
        other => {
            let wrapped = serde_json::json!({ "v": other });
            lines.push((path.to_owned(), text(&wrapped, "v")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_becomes_a_table_with_its_titles_and_values() {
        let json = json!({ "nodes": [{ "id": "a", "load": { "cpu": 0.25 } }, { "id": "b" }] });
        let report = Report::list(json, "nodes", &[("ID", "id"), ("CPU", "load.cpu")]);
        for wanted in ["ID", "CPU", "a", "0.25", "b", "-"] {
            assert!(report.text.contains(wanted), "{}", report.text);
        }
    }

    #[test]
    fn an_object_becomes_a_line_a_field() {
        let report = Report::fields(json!({ "a": 1, "b": { "c": ["x", "y"] } }));
        assert_eq!(report.text, "a    1\nb.c  x y");
    }
}
