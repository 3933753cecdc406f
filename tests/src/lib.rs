//! Cross-crate behaviour
