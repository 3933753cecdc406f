//! Checks a component against the policy contract
