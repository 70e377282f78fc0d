//! Name lookups without stopping the clock: a thread asks the C library's resolver.

use crate::worker::Worker;
use std::net::IpAddr;
use timewright_core::ids::Ticket;
use timewright_sys::names::{Families, LookupError, lookup};

/// The ticket of a question, the name, and the families wanted.
pub(crate) type Question = (Ticket, String, Families);

/// An answer and the ticket of its question.
pub(crate) type Answer = (Ticket, Result<Vec<IpAddr>, LookupError>);

/// The resolver's thread.
pub(crate) type Resolver = Worker<Question, Answer>;

/// What the C library and the modules of its name service switch are used to.
const STACK_BYTES: usize = 2 << 20;

/// A resolver that starts its thread with the first question.
pub(crate) const fn resolver() -> Resolver {
    Worker::new("resolver", STACK_BYTES, |(ticket, name, families)| {
        (ticket, lookup(&name, families))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_carry_the_tickets_of_their_questions() {
        let mut resolver = resolver();
        for (i, name) in (0..).zip(["192.0.2.1", "2001:db8::1", "a\0"]) {
            let question = (Ticket(i), name.to_owned(), Families::Any);
            assert!(resolver.ask(question).is_ok());
        }
        let answers: Vec<Answer> = (0..3).map(|_| resolver.take().unwrap()).collect();
        let want = [
            (Ticket(0), Ok(vec!["192.0.2.1".parse().unwrap()])),
            (Ticket(1), Ok(vec!["2001:db8::1".parse().unwrap()])),
            (Ticket(2), Err(LookupError::Permanent)),
        ];
        assert_eq!(answers, want);
    }
}
