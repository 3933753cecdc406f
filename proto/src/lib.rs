//! Generated protobuf types and services
