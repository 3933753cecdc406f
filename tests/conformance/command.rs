//! `pilothouse policy conform` as a user calls it.

use std::process::Command;

use pilothouse_tests::binary;
use serde_json::Value;

fn conform(arguments: &[&str]) -> (i32, String, String) {
    let done = Command::new(binary().unwrap()).args(["policy", "conform"]).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
}

#[test]
fn reports_come_in_every_form_and_the_exit_code_says_the_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (junit, html) = (path("report.xml"), path("report.html"));
    let forms =
        ["--quick", "--only", "contract,correctness", "--junit", &junit, "--html", &html, "--output", "json"];
    let (code, said, _) = conform(&[&["round-robin"], &forms[..]].concat());
    let report: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &report["conforms"]), (0, &Value::Bool(true)), "{said}");
    assert!(report["checks"].as_array().unwrap().iter().all(|check| check["took_ms"].is_number()));
    let (junit, html) = (std::fs::read_to_string(junit).unwrap(), std::fs::read_to_string(html).unwrap());
    assert!(junit.contains("<testcase classname=\"contract\" name=\"contract/imports\""), "{junit}");
    assert!(html.contains("<svg") && html.contains("conforms") && !html.contains("http-equiv"), "{html}");

    std::fs::write(dir.path().join("text.wasm"), "no component").unwrap();
    let (code, said, _) = conform(&[&path("text.wasm"), "--quick"]);
    assert!(code == 1 && said.contains("contract/component") && said.contains("does not conform"), "{said}");
}

#[test]
fn what_is_unknown_is_said_and_the_catalogue_is_listed() {
    let (code, said, _) = conform(&["--list"]);
    assert!(code == 0 && said.contains("robustness/nan") && said.contains("prefers-cheaper"), "{said}");
    let (code, _, told) = conform(&["round-robin", "--only", "correctness/colour"]);
    assert!(code == 1 && told.contains("no check or group `correctness/colour`"), "{told}");
    let (code, _, told) = conform(&["hybrid"]);
    assert!(code == 4 && told.contains("routing/hybrid or scaling/hybrid"), "{told}");
}
