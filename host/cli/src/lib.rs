//! The pilothouse command
