//! Paths within a state: which are safe to be made on this machine.
//!
//! Invariant: a checked path, joined to a root whose entries were all made from checked ones, lies within that root, and
//! so does whatever a checked link leads to.

use super::{PATH_BYTES_MAX, StateError};

/// Longest part of a path, bytes: what file systems take.
const NAME_BYTES_MAX: usize = 255;

/// Checks a path relative to the root of a state.
pub(super) fn check(path: &str) -> Result<(), StateError> {
    let wrong = |problem| Err(StateError::entry(path, problem));
    if path.len() > PATH_BYTES_MAX {
        return wrong("its path is longer than 1,024 bytes");
    }
    if path.contains('\0') {
        return wrong("its name contains a zero byte");
    }
    for name in path.split('/') {
        match name {
            "" => return wrong("its path is absolute or has an empty name"),
            "." | ".." => return wrong("its path has a name `.` or `..`"),
            _ if name.len() > NAME_BYTES_MAX => return wrong("a name in its path is longer than 255 bytes"),
            _ => {}
        }
    }
    Ok(())
}

/// Checks where the link at a checked path leads. `..` may only stand in front, where it leaves real directories: behind a
/// name it could follow another link and leave the tree.
pub(super) fn check_target(link: &str, target: &str) -> Result<(), StateError> {
    let wrong = |problem| Err(StateError::entry(link, problem));
    if target.is_empty() || target.len() > PATH_BYTES_MAX || target.contains('\0') {
        return wrong("the link's target is empty, too long or has a zero byte");
    }
    if target.starts_with('/') {
        return wrong("the link is absolute: make it relative, to something in the state");
    }
    let depth = link.matches('/').count();
    let names = || target.split('/').filter(|name| !matches!(*name, "" | "."));
    let up = names().take_while(|name| *name == "..").count();
    if up > depth {
        return wrong("the link leads out of the state");
    }
    if names().skip(up).any(|name| name == "..") {
        return wrong("the link has `..` behind a name");
    }
    Ok(())
}

/// Its directory; `None` = the root.
pub(super) fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(parent, _)| parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_links_that_leave_the_tree_are_refused() {
        for path in ["", "/", "/etc", "a//b", "a/", "./a", "a/.", "..", "a/../b", "a\0", &"a".repeat(256)] {
            assert!(check(path).is_err(), "{path:?}");
        }
        assert!(check(&["a"; 513].join("/")).is_err(), "1,025 bytes");
        for path in ["a", "a b/c", "...", "..a/b", "ä/\u{202e}", &["a"; 512].join("/")] {
            assert!(check(path).is_ok(), "{path:?}");
        }
        for (link, target) in [
            ("a", "/etc"),
            ("a", ".."),
            ("a", "../b"),
            ("d/a", "../../b"),
            ("d/a", "b/../c"),
            ("a", ""),
            ("a", "./../b"),
        ] {
            assert!(check_target(link, target).is_err(), "{link} -> {target}");
        }
        for (link, target) in
            [("a", "b"), ("a", "."), ("d/a", "../b"), ("d/e/a", ".././../b/c"), ("a", "missing/b")]
        {
            assert!(check_target(link, target).is_ok(), "{link} -> {target}");
        }
    }
}
