//! What is due when: a heap of times beside a store of events, which stay where they are.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Events by true time; those of one moment in the order they were put in.
pub(crate) struct Agenda<E> {
    /// Time, number of the event, where it is.
    due: BinaryHeap<Reverse<(i64, u64, usize)>>,
    events: Vec<Option<E>>,
    free: Vec<usize>,
    sequence: u64,
}

impl<E> Default for Agenda<E> {
    fn default() -> Self {
        Self {
            due: BinaryHeap::new(),
            events: Vec::new(),
            free: Vec::new(),
            sequence: 0,
        }
    }
}

impl<E> Agenda<E> {
    pub(crate) fn insert(&mut self, at_ns: i64, event: E) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        if let Some(place) = self.events.get_mut(slot) {
            *place = Some(event);
        }
        self.due.push(Reverse((at_ns, self.sequence, slot)));
        self.sequence += 1;
    }

    /// When the next event is due.
    pub(crate) fn next_ns(&self) -> Option<i64> {
        self.due.peek().map(|&Reverse((at_ns, ..))| at_ns)
    }

    /// Takes the next event.
    pub(crate) fn pop(&mut self) -> Option<(i64, E)> {
        let Reverse((at_ns, _, slot)) = self.due.pop()?;
        let event = self.events.get_mut(slot)?.take()?;
        self.free.push(slot);
        Some((at_ns, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_then_in_order() {
        let mut agenda = Agenda::default();
        for (at_ns, event) in [(5, 'c'), (3, 'a'), (5, 'd'), (4, 'b')] {
            agenda.insert(at_ns, event);
        }
        assert_eq!(agenda.next_ns(), Some(3));
        assert_eq!(agenda.pop(), Some((3, 'a')));
        agenda.insert(5, 'e');
        agenda.insert(1, 'z');
        let rest: String = std::iter::from_fn(|| agenda.pop())
            .map(|(_, e)| e)
            .collect();
        assert_eq!(rest, "zbcde");
        assert_eq!(agenda.next_ns(), None);
    }
}
