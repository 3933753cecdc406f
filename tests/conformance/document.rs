//! The reviewer's page says what the catalogue says. `PILOTHOUSE_WRITE_DOCS=1` writes it.

use std::path::Path;

/// What stands before the catalogue, which goes to the end of the page.
const HEADING: &str = "## Catalogue\n\n";

#[test]
fn the_page_for_reviewers_contains_the_catalogue_as_it_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/docs/conformance.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, written) = page.split_once(HEADING).expect("a heading `Catalogue`");
    let catalogue = pilothouse_conformance::report::catalogue();
    if std::env::var_os("PILOTHOUSE_WRITE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{HEADING}{catalogue}")).unwrap();
        return;
    }
    assert_eq!(written, catalogue, "host/docs/conformance.md is old; write it with PILOTHOUSE_WRITE_DOCS=1");
}
