//! The ticket that lets a source write into a target: a bearer token for one migration.
//!
//! target: reserves, seals a ticket -> host -> source -> target: checks it at every connection
//!
//! It travels beside the reply to `Reserve` and the order to `Send`, in the shell's envelope: the saga has no
//! use for it. The target makes the tickets that it later checks, with a key of its current boot and by its
//! own clock; so no clocks are compared and no key is shared. Invariant: the sealed text is injective, two
//! different tickets never have the same one. The message authentication code itself is the shell's
//! ([`Seal`]).

use pilothouse_core::id::{AgentName, MemberId};
use pilothouse_core::time::Now;

use crate::id::MigrationId;

/// Begins every sealed text, so that a code made for something else never fits.
const TICKET_DOMAIN: &[u8] = b"pilothouse migration ticket 1";

/// What the bearer may do: send this migration's state from that source to that target, until the expiry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    /// For which migration.
    pub migration: MigrationId,
    /// Of which workload.
    pub workload: AgentName,
    /// Who may send.
    pub source: MemberId,
    /// Who made it, and receives.
    pub target: MemberId,
    /// The ownership epoch at the begin.
    pub epoch: u64,
    /// By the target's clock.
    pub expires_at: Now,
}

/// A message authentication code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub [u8; 32]);

/// Makes and checks codes (HMAC-SHA-256, keyed BLAKE3) with the target's key.
pub trait Seal {
    /// The code of a text.
    fn code(&self, text: &[u8]) -> Code;

    /// Whether the code fits the text, in constant time.
    fn fits(&self, text: &[u8], code: &Code) -> bool;
}

/// Why a ticket is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TicketRefused {
    /// It was not made by this target in this boot.
    #[error("the ticket's code does not fit")]
    Forged,
    /// It is too old; the reservation has lapsed, too.
    #[error("the ticket has expired")]
    Expired,
    /// It is for another migration, workload, member or epoch.
    #[error("the ticket is for something else")]
    Elsewhere,
}

impl Ticket {
    /// The text that is sealed: every field with its length.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        let numbers = [self.migration.0, self.epoch, self.expires_at.0].map(u64::to_le_bytes);
        let names = [self.workload.as_str(), self.source.as_str(), self.target.as_str()];
        let parts = std::iter::once(TICKET_DOMAIN)
            .chain(numbers.iter().map(<[u8; 8]>::as_slice))
            .chain(names.iter().map(|name| name.as_bytes()));
        let mut text = Vec::new();
        for part in parts {
            text.extend_from_slice(&(part.len() as u64).to_le_bytes());
            text.extend_from_slice(part);
        }
        text
    }

    /// Makes the code.
    #[must_use]
    pub fn seal(&self, seal: &impl Seal) -> Code {
        seal.code(&self.text())
    }

    /// Whether a bearer may send what the target expects: `expected` is the target's own record of its
    /// reservation, whose expiry is the one in force (it grows with every sign of the migration).
    ///
    /// # Errors
    /// [`TicketRefused`] says why not; the code is checked first.
    pub fn admit(
        &self,
        code: &Code,
        expected: &Self,
        seal: &impl Seal,
        now: Now,
    ) -> Result<(), TicketRefused> {
        if !seal.fits(&self.text(), code) {
            return Err(TicketRefused::Forged);
        }
        if *self != (Self { expires_at: self.expires_at, ..expected.clone() }) {
            return Err(TicketRefused::Elsewhere);
        }
        if now >= expected.expires_at { Err(TicketRefused::Expired) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::member;

    struct Sum(u64);

    impl Seal for Sum {
        fn code(&self, text: &[u8]) -> Code {
            let sum =
                text.iter().fold(self.0, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
            let mut code = [0; 32];
            code[..8].copy_from_slice(&sum.to_le_bytes());
            Code(code)
        }

        fn fits(&self, text: &[u8], code: &Code) -> bool {
            self.code(text) == *code
        }
    }

    fn ticket() -> Ticket {
        let workload = AgentName::parse("w").unwrap();
        Ticket {
            migration: MigrationId(4),
            workload,
            source: member("a"),
            target: member("b"),
            epoch: 1,
            expires_at: Now(10),
        }
    }

    #[test]
    fn a_ticket_admits_its_own_migration_until_it_expires() {
        let (good, key) = (ticket(), Sum(1));
        let later = Ticket { expires_at: Now(20), ..ticket() };
        let other = |change: fn(&mut Ticket)| {
            let mut other = ticket();
            change(&mut other);
            other
        };
        for (expected, now, answer) in [
            (good.clone(), 9, Ok(())),
            (good.clone(), 10, Err(TicketRefused::Expired)),
            (later, 19, Ok(())),
            (other(|ticket| ticket.migration = MigrationId(8)), 0, Err(TicketRefused::Elsewhere)),
            (
                other(|ticket| ticket.workload = AgentName::parse("v").unwrap()),
                0,
                Err(TicketRefused::Elsewhere),
            ),
            (other(|ticket| ticket.source = member("c")), 0, Err(TicketRefused::Elsewhere)),
            (other(|ticket| ticket.target = member("c")), 0, Err(TicketRefused::Elsewhere)),
            (other(|ticket| ticket.epoch = 2), 0, Err(TicketRefused::Elsewhere)),
        ] {
            assert_eq!(good.admit(&good.seal(&key), &expected, &key, Now(now)), answer, "{expected:?}");
        }
    }

    #[test]
    fn a_ticket_that_was_changed_or_made_with_another_key_is_forged() {
        let (good, key) = (ticket(), Sum(1));
        let longer = Ticket { expires_at: Now(99), ..ticket() };
        assert_eq!(longer.admit(&good.seal(&key), &good, &key, Now(0)), Err(TicketRefused::Forged));
        assert_eq!(good.admit(&good.seal(&Sum(2)), &good, &key, Now(0)), Err(TicketRefused::Forged));
    }

    #[test]
    fn a_byte_that_moves_from_one_name_to_the_next_changes_the_text() {
        let names = |source, target| Ticket { source: member(source), target: member(target), ..ticket() };
        assert_ne!(names("ab", "c").text(), names("a", "bc").text());
    }
}
