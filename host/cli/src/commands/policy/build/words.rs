//! 64-bit words for a language whose numbers have 53 bits.
//!
//! QuickJS gets a `u64` as a number, which would lose eligible members and the low bits of columns. In memory a `list<u64>` and
//! a `list<tuple<u32, u32>>` are the same bytes, so the component is made for the second, in [`contract`], and then [`declare`]s
//! the first, which is what the host has.
//!
//! Invariant: only type sections change, by one byte for each list; a place that was missed makes the component one that does
//! not fit the contract, which the checks of `policy build` find.

use std::path::Path;

use anyhow::Context as _;
use wasmparser::{Parser, Payload};

const WORDS: &str = "list<u64>";
const HALVES: &str = "list<tuple<u32, u32>>";

/// `tuple<u32, u32>` followed by a list, in the binary format; the byte after it is the list's element.
const PATTERN: [u8; 5] = [0x6f, 2, 0x79, 0x79, 0x70];
/// `u64` as an element.
const U64: u8 = 0x77;
/// Elements from here on are no one-byte index.
const INDEX_MAX: u8 = 0x40;

/// Writes `wit/` with halves where the host pushes words.
pub(super) fn contract(wit: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in std::fs::read_dir(wit).with_context(|| format!("cannot read {}", wit.display()))? {
        let (path, target) = {
            let entry = entry?;
            (entry.path(), to.join(entry.file_name()))
        };
        if path.is_dir() {
            contract(&path, &target)?;
            continue;
        }
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let is_pushed = path.ends_with("lifecycle.wit");
        let text = if is_pushed { text.replace(WORDS, HALVES) } else { text };
        std::fs::write(&target, text).with_context(|| format!("cannot write {}", target.display()))?;
    }
    Ok(())
}

/// Declares lists of words where the component has lists of halves.
pub(super) fn declare(mut component: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let mut places = Vec::new();
    for payload in Parser::new(0).parse_all(&component) {
        if let Payload::ComponentTypeSection(section) = payload.context("the component is malformed")? {
            let range = section.range();
            let bytes = component.get(range.clone()).unwrap_or_default();
            let found = bytes.windows(PATTERN.len()).enumerate().filter(|(_, window)| *window == PATTERN);
            places.extend(found.map(|(at, _)| range.start + at + PATTERN.len()));
        }
    }
    for place in places {
        let element = component.get_mut(place).context("the component is cut off")?;
        anyhow::ensure!(*element < INDEX_MAX, "the component has more types than are understood here");
        *element = U64;
    }
    Ok(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_halves_are_declared_as_lists_of_words() {
        let halves = "(component (type (tuple u32 u32)) (type (list 0)) (type (func (param \"words\" 1))))";
        let declared = declare(wat(halves)).unwrap();
        assert_eq!(declared, wat(&halves.replace("(list 0)", "(list u64)")));
    }

    fn wat(text: &str) -> Vec<u8> {
        wat::parse_str(text).unwrap()
    }
}
