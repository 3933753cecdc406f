//! Ownership of workloads and the rules that move it
