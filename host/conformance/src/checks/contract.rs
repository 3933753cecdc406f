//! Shape and description.

use pilothouse_core::fleet::column::{Column, RTT_COLUMN};

use crate::property::{PROPERTIES_KEY, Property, declared};
use crate::trial::{Checked, Trial, Trouble, ensure, failed};

/// Whoever loaded the component has checked it.
pub(crate) fn passed_at_load(_trial: &mut Trial<'_>) -> Checked {
    Ok(())
}

pub(crate) fn imports(trial: &mut Trial<'_>) -> Checked {
    let offered = |import: &&String| !import.starts_with("pilothouse:host/") && !import.starts_with("wasi:");
    match trial.facts().imports.iter().find(offered) {
        Some(import) => {
            failed("the component", "pilothouse:host interfaces", format!("it imports `{import}`"))
        }
        None => Ok(()),
    }
}

pub(crate) fn no_wasi(trial: &mut Trial<'_>) -> Checked {
    let found: Vec<&str> = trial
        .facts()
        .imports
        .iter()
        .map(String::as_str)
        .filter(|import| import.starts_with("wasi:"))
        .collect();
    ensure(found.is_empty(), || {
        (
            "the component".to_owned(),
            "no import of WASI".to_owned(),
            format!("it imports {}", found.join(", ")),
        )
    })
}

pub(crate) fn exports(trial: &mut Trial<'_>) -> Checked {
    let missing = &trial.facts().missing;
    ensure(missing.is_empty(), || {
        ("the component".to_owned(), "every function of its family".to_owned(), missing.join("; "))
    })
}

pub(crate) fn columns(trial: &mut Trial<'_>) -> Checked {
    let columns = &trial.facts().description.columns;
    for (index, name) in columns.iter().enumerate() {
        let known = name == RTT_COLUMN || Column::parse(name).is_some();
        let once = !columns.iter().take(index).any(|earlier| earlier == name);
        ensure(known && once, || {
            let got = if known { "is named twice" } else { "is unknown" };
            ("its description".to_owned(), "known columns, each once".to_owned(), format!("`{name}` {got}"))
        })?;
    }
    Ok(())
}

pub(crate) fn schema(trial: &mut Trial<'_>) -> Checked {
    let schema = trial.schema();
    let is_empty = trial.facts().description.settings_schema.is_empty();
    let is_object = schema.get("type").and_then(|kind| kind.as_str()) == Some("object");
    ensure(is_empty || is_object, || {
        let got = schema.get("type").map_or("no `type`".to_owned(), |kind| format!("`type` is {kind}"));
        ("its settings' schema".to_owned(), "an object".to_owned(), got)
    })
}

pub(crate) fn semver(trial: &mut Trial<'_>) -> Checked {
    let version = &trial.facts().description.version;
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let valid = core.split('.').count() == 3 && core.split('.').all(number);
    ensure(valid, || {
        ("its description".to_owned(), "three numbers with dots".to_owned(), format!("`{version}`"))
    })
}

pub(crate) fn summary(trial: &mut Trial<'_>) -> Checked {
    let summary = &trial.facts().description.summary;
    ensure(!summary.trim().is_empty(), || {
        ("its description".to_owned(), "one line".to_owned(), "an empty summary".to_owned())
    })
}

pub(crate) fn constant(trial: &mut Trial<'_>) -> Checked {
    let first = &trial.facts().description;
    match trial.subject.describe_again() {
        Ok(again) => ensure(again == *first, || {
            let differs = [
                ("name", first.name != again.name),
                ("version", first.version != again.version),
                ("columns", first.columns != again.columns),
                ("reasons", first.reasons != again.reasons),
                ("factors", first.factors != again.factors),
                ("settings-schema", first.settings_schema != again.settings_schema),
            ];
            let what = differs.iter().find(|(_, differs)| *differs).map_or("summary", |(name, _)| name);
            (
                "asked who it is again".to_owned(),
                "the same description".to_owned(),
                format!("another `{what}`"),
            )
        }),
        Err(fault) => failed("asked who it is again", "the same description", fault.to_string()),
    }
}

pub(crate) fn properties(trial: &mut Trial<'_>) -> Checked {
    let family = trial.facts().family;
    let known = || {
        let of_family = Property::ALL.iter().filter(|property| property.families.contains(&family));
        of_family.map(|property| property.name).collect::<Vec<_>>().join(", ")
    };
    let names = match declared(&trial.schema()) {
        Ok(names) => names,
        Err(problem) => return failed(PROPERTIES_KEY, "a list of names", problem),
    };
    for name in names {
        let fits = Property::find(&name).is_some_and(|property| property.families.contains(&family));
        ensure(fits, || {
            (PROPERTIES_KEY.to_owned(), format!("of {}: {}", family.name(), known()), format!("`{name}`"))
        })?;
    }
    Ok(())
}

pub(crate) fn start(trial: &mut Trial<'_>) -> Checked {
    trial.tried += 1;
    trial.fresh().map(drop)
}

/// Skips a check of a property that is not declared.
pub(crate) fn requires(trial: &Trial<'_>, property: &str) -> Checked {
    let is_declared = declared(&trial.schema()).is_ok_and(|names| names.iter().any(|name| name == property));
    if is_declared { Ok(()) } else { Err(Trouble::Skipped(format!("`{property}` is not declared"))) }
}
