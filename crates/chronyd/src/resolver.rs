//! Name lookups without stopping the clock: a thread asks the C library's resolver.

use crate::worker::Worker;
use std::collections::BTreeMap;
use std::net::IpAddr;
use timewright_core::ids::Ticket;
use timewright_sys::names::{Families, LookupError, lookup};
use timewright_time::{MonoTime, Seconds};

/// The ticket of a question, the name, and the families wanted.
pub(crate) type Question = (Ticket, String, Families);

/// What came of a question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) ticket: Ticket,
    pub(crate) name: String,
    pub(crate) result: Result<Vec<IpAddr>, LookupError>,
}

/// The resolver's thread.
pub(crate) type Resolver = Worker<Question, Answer>;

/// What the C library and the modules of its name service switch are used to.
const STACK_BYTES: usize = 2 << 20;

/// A resolver that starts its thread with the first question.
pub(crate) const fn resolver() -> Resolver {
    Worker::new("resolver", STACK_BYTES, |(ticket, name, families)| {
        let result = lookup(&name, families);
        Answer {
            ticket,
            name,
            result,
        }
    })
}

/// A name that cannot be resolved is told again after this long.
const REPEAT: Seconds = Seconds(3600.0);

/// Most names that are remembered; past this all may be told again.
const NAMES_MAX: usize = 256;

/// Which failures are worth a line in the log: the first one after a success, so that dead name
/// servers make one line whatever the number of names, and each name once an hour.
#[derive(Debug, Default)]
pub(crate) struct Outages {
    told: BTreeMap<String, MonoTime>,
    /// No lookup has succeeded since a failure was told.
    is_known: bool,
}

impl Outages {
    /// Takes note of an answer; whether it is to be told.
    pub(crate) fn is_news(&mut self, answer: &Answer, now: MonoTime) -> bool {
        if answer.result.is_ok() {
            self.is_known = false;
            self.told.remove(&answer.name);
            return false;
        }
        // The engine has its own words for names that are none.
        if answer.result == Err(LookupError::Permanent) {
            return false;
        }
        let last = self.told.get(&answer.name);
        let is_repeated = last.is_some_and(|told| now - *told < REPEAT);
        let is_first_in_an_hour = self.told.values().all(|told| now - *told >= REPEAT);
        if is_repeated || (self.is_known && !is_first_in_an_hour) {
            return false;
        }
        if self.told.len() >= NAMES_MAX {
            self.told.clear();
        }
        self.told.insert(answer.name.clone(), now);
        self.is_known = true;
        true
    }
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
        let answers: Vec<_> = (0..3)
            .map(|_| resolver.take().unwrap())
            .map(|answer| (answer.ticket, answer.result))
            .collect();
        let want = [
            (Ticket(0), Ok(vec!["192.0.2.1".parse().unwrap()])),
            (Ticket(1), Ok(vec!["2001:db8::1".parse().unwrap()])),
            (Ticket(2), Err(LookupError::Permanent)),
        ];
        assert_eq!(answers, want);
    }

    #[test]
    fn an_outage_is_one_line_and_a_wrong_name_one_an_hour() {
        let mut outages = Outages::default();
        let mut is_told = |name: &str, is_good: bool, s: i64| {
            let answer = Answer {
                ticket: Ticket(1),
                name: name.to_owned(),
                result: if is_good {
                    Ok(Vec::new())
                } else {
                    Err(LookupError::Temporary)
                },
            };
            outages.is_news(&answer, MonoTime::from_ns(s * 1_000_000_000))
        };
        // Nothing answers.
        assert!(is_told("a", false, 0));
        assert!(!is_told("b", false, 1) && !is_told("a", false, 20) && !is_told("b", false, 20));
        assert!(is_told("b", false, 3600));
        assert!(!is_told("a", false, 3600));
        // The servers are back, but one name is wrong.
        assert!(!is_told("b", true, 3700));
        assert!(is_told("a", false, 3700));
        assert!(!is_told("b", true, 3800) && !is_told("a", false, 3800));
        // The next outage is another.
        assert!(!is_told("b", true, 3900) && is_told("b", false, 3901));
        assert!(!is_told("a", false, 3901) && !is_told("c", false, 3901));
    }
}
