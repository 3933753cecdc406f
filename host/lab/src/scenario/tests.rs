//! Scenario files: the built-in ones, and what an author gets wrong.

use super::*;
use crate::judge::NoData;

fn problem(text: &str) -> String {
    Scenario::parse(text).unwrap_err().to_string()
}

#[test]
fn every_built_in_scenario_parses_and_is_named_as_its_file() {
    for (name, text) in builtin() {
        let scenario = Scenario::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(&scenario.name, name);
        let is_recorded = text.contains(".trace]");
        match scenario.prepare(&NoData) {
            Ok(prepared) => assert_eq!((prepared.origin, is_recorded), (Origin::Synthetic, false), "{name}"),
            Err(DataError::Missing { .. }) => {
                assert!(
                    is_recorded && scenario.data_from.is_some(),
                    "{name}: who lacks it must know where it is"
                );
            }
            Err(other) => panic!("{name}: {other}"),
        }
    }
}

#[test]
fn every_file_in_the_folder_is_built_in() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let files = std::fs::read_dir(folder).unwrap().flatten();
    assert_eq!(files.count(), builtin().len());
}

#[test]
fn what_is_wrong_is_named_with_its_key_and_a_remedy() {
    let head = "name = \"mine\"\nmodels = \"something\"\n";
    for (name, text, wanted) in [
        ("no toml", "name = ".to_owned(), &["line 1"] as &[&str]),
        ("a typo", format!("{head}sedes = 3\n[placement]"), &["line 3", "sedes", "seeds"]),
        ("a typo in a table", format!("{head}[routing]\nprobe = 3"), &["line 4", "`probe`", "`probes`"]),
        (
            "a word for a number",
            format!("{head}[placement]\nnodes = \"many\""),
            &["line 4", "nodes", "usize"],
        ),
        ("a choice that is none", format!("{head}[scaling.load]\nshape = \"flat\""), &["flat", "`daily`"]),
        ("no simulator", head.to_owned(), &["exactly one", "[scaling]"]),
        ("two simulators", format!("{head}[placement]\n[routing]"), &["exactly one"]),
        ("too many seeds", format!("{head}seeds = 5000\n[placement]"), &["`seeds`", "1 to 1000"]),
        ("a name for nobody", format!("{head}[placement]").replace("mine", "A b"), &["`name`", "a-z"]),
        (
            "no such metric",
            format!("{head}judged-by = \"luck\"\n[placement]"),
            &["`judged-by`", "allocation"],
        ),
        ("endless", format!("{head}[scaling.load]\nhours = 1e9"), &["`scaling.load.hours`", "to"]),
        ("no number", format!("{head}[scaling]\nlate-price = nan"), &["`scaling.late-price`", "use 0 to"]),
        (
            "endless reports",
            format!(
                "{head}[balancing]\nmembers = 10000\ntasks = 10000000\nknowledge = {{ outcomes = true, reports = {{ period-ms = 1 }} }}"
            ),
            &["`balancing.knowledge.reports`", "too many"],
        ),
        (
            "nobody to lose",
            format!("{head}[balancing]\nmembers = 4\nloss = {{ member = 4, after = 0.5 }}"),
            &["`balancing.loss.member`", "0 to 3"],
        ),
        (
            "nothing to place",
            format!("{head}[placement.demand]\npart = 0\nwhole = 0\nseveral = 0"),
            &["demand"],
        ),
        (
            "never published",
            format!("{head}[placement.trace]\nnodes = \"n\"\nworkloads = \"w\"\npublished = \"x\""),
            &["`placement.trace.published`", "gpuspec33"],
        ),
    ] {
        let said = problem(&text);
        for word in wanted {
            assert!(said.contains(word), "{name}: `{word}` is missing in: {said}");
        }
    }
    let both = problem(&format!("{head}seeds = 0\n[placement]\nnodes = 0"));
    assert!(both.contains("`seeds`") && both.contains("`placement.nodes`"), "all at once: {both}");
}
