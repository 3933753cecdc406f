//! REST, gRPC and events on one port
