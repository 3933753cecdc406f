//! Membership and replication machines: events in, commands out
