//! Settings at the edges, wrong and unknown.

use std::sync::Arc;

use pilothouse_core::policy::settings::SettingProblem;

use crate::schema::leaves;
use crate::subject::NotMade;
use crate::trial::{Checked, Trial, Trouble, ensure, failed};

pub(crate) fn edges(trial: &mut Trial<'_>) -> Checked {
    let world = trial.maker.ordinary(10);
    for leaf in leaves(&trial.schema()) {
        for value in leaf.edges() {
            let document = leaf.document(&value);
            trial.tried += 1;
            let policy = match trial.subject.make(&document, Arc::default()) {
                Ok(policy) => policy,
                // Whether the problem has a path is a question of its own.
                Err(NotMade::Settings(_)) => continue,
                Err(NotMade::Fault(fault)) => {
                    return failed(
                        format!("settings {document}"),
                        "taken, or refused as a problem",
                        fault.to_string(),
                    );
                }
            };
            for input in trial.inputs(3) {
                trial
                    .decide(&*policy, &world, &input)
                    .map_err(|trouble| with_settings(trouble, &document))?;
            }
        }
    }
    Ok(())
}

pub(crate) fn path(trial: &mut Trial<'_>) -> Checked {
    for leaf in leaves(&trial.schema()) {
        for document in leaf.edges().iter().map(|value| leaf.document(value)) {
            trial.tried += 1;
            if let Err(NotMade::Settings(problems)) = trial.subject.make(&document, Arc::default()) {
                named(&document, &problems)?;
            }
        }
        let Some(wrong) = leaf.wrong() else { continue };
        let document = leaf.document(&wrong);
        trial.tried += 1;
        match trial.subject.make(&document, Arc::default()) {
            Err(NotMade::Settings(problems)) => named(&document, &problems)?,
            Err(NotMade::Fault(fault)) => {
                return failed(format!("settings {document}"), "a problem with a path", fault.to_string());
            }
            Ok(_) => {
                return failed(format!("settings {document}"), "a problem with a path", "they were taken");
            }
        }
    }
    Ok(())
}

pub(crate) fn unknown(trial: &mut Trial<'_>) -> Checked {
    let document = r#"{"there-is-no-such-setting":1}"#;
    trial.tried += 1;
    match trial.subject.make(document, Arc::default()) {
        Err(NotMade::Settings(_)) => Ok(()),
        Err(NotMade::Fault(fault)) => failed(format!("settings {document}"), "a problem", fault.to_string()),
        Ok(_) => failed(format!("settings {document}"), "a problem", "they were taken"),
    }
}

/// Every problem says where it is.
fn named(document: &str, problems: &[SettingProblem]) -> Checked {
    let nameless = problems.is_empty() || problems.iter().any(|problem| problem.path.is_empty());
    ensure(!nameless, || {
        let texts: Vec<&str> = problems.iter().map(|problem| problem.problem.as_str()).collect();
        let got = format!("a problem without a path: {}", texts.join("; "));
        (format!("settings {document}"), "problems with paths".to_owned(), got)
    })
}

fn with_settings(trouble: Trouble, document: &str) -> Trouble {
    match trouble {
        Trouble::Fault { call, fault, input } => {
            Trouble::Fault { call, fault, input: format!("settings {document}; {input}") }
        }
        other => other,
    }
}
