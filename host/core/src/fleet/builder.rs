//! Builds snapshots from members.
