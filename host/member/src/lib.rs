//! What runs on a member: today its load probe
