//! Places for connections: so many in all, and so many of one address.
//!
//! [`Places::reserve`] (before accepting) -> [`Places::take`] (the peer is known) -> [`Place`], given back when dropped
//!
//! Invariant: addresses are remembered only while they hold a place, so the table is bounded by the connections.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All places of a port.
pub(super) struct Places {
    all: Arc<Semaphore>,
    per_address_max: usize,
    held: Arc<Held>,
}

/// Places held by each address.
#[derive(Default)]
struct Held(Mutex<BTreeMap<IpAddr, usize>>);

/// A place in the total whose peer is not known yet.
pub(super) struct Reserved {
    _one_of_all: Option<OwnedSemaphorePermit>,
}

/// A connection's place.
pub(super) struct Place {
    _reserved: Reserved,
    address: IpAddr,
    held: Arc<Held>,
}

impl Places {
    pub(super) fn new(connections_max: usize, per_address_max: usize) -> Self {
        let all = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
        Self { all, per_address_max, held: Arc::default() }
    }

    /// Waits for a place in the total. Nobody closes the semaphore.
    pub(super) async fn reserve(&self) -> Reserved {
        Reserved { _one_of_all: Arc::clone(&self.all).acquire_owned().await.ok() }
    }

    /// Takes the place for a peer; `None` if its address holds as many as it may.
    pub(super) fn take(&self, reserved: Reserved, peer: IpAddr) -> Option<Place> {
        let address = counted_as(peer);
        let mut held = self.held.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(address).or_default();
        if *count >= self.per_address_max {
            return None;
        }
        *count += 1;
        Some(Place { _reserved: reserved, address, held: Arc::clone(&self.held) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.held.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.remove(&self.address);
            }
        }
    }
}

/// One customer of an IPv6 network has a whole /64 of addresses (RFC 6177), so these count as one.
fn counted_as(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    async fn take(places: &Places, peer: &str) -> Option<Place> {
        places.take(places.reserve().await, peer.parse().unwrap())
    }

    #[tokio::test]
    async fn an_address_gets_its_share_and_not_more() {
        let places = Places::new(10, 2);
        for [first, second, third, other] in [
            ["10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2"],
            ["127.0.0.1", "::ffff:127.0.0.1", "127.0.0.1", "127.0.0.2"],
            ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1"],
        ] {
            let held = (take(&places, first).await.unwrap(), take(&places, second).await.unwrap());
            assert!(take(&places, third).await.is_none(), "{third}");
            assert!(take(&places, other).await.is_some(), "{other}");
            drop(held.0);
            assert!(take(&places, third).await.is_some(), "{third} after one left");
        }
        assert!(places.held.0.lock().unwrap().is_empty(), "who left is forgotten");
        assert_eq!(places.all.available_permits(), 10, "a refused connection takes no place");
    }

    #[tokio::test]
    async fn beyond_the_total_a_connection_waits() {
        let places = Places::new(1, 10);
        let held = take(&places, "10.0.0.1").await.unwrap();
        let mut waiting = Box::pin(places.reserve());
        assert!((&mut waiting).now_or_never().is_none());
        drop(held);
        assert!(waiting.now_or_never().is_some());
    }
}
