//! The durable contract and its embedded implementation
