//! What `chronyc` needs of the machine it runs on, behind one trait, so that everything else can
//! be tested without sockets, clocks and name servers.

use crate::date::{Calendar, LocalTime};
use crate::transport::{Link, Server, open_udp, open_unix};
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use timewright_sys::names::{self, Families};
use timewright_sys::poll::{Entry, poll};
use timewright_sys::signals::Termination;
use timewright_sys::{calendar, clock, random};

/// Sockets, clocks, names and chance.
pub(crate) trait Host: Calendar {
    /// Opens a socket to a server. For UDP that says nothing about whether anybody is there.
    fn open(&self, server: &Server) -> io::Result<Box<dyn Link>>;
    /// A clock that is never set, ns.
    fn monotonic_ns(&self) -> i64;
    /// Seconds since 1970.
    fn unix_seconds(&self) -> i64;
    /// Waits, or returns early when a signal arrives.
    fn pause_ms(&self, ms: u32);
    /// Whether a signal asked the program to end.
    fn interrupted(&self) -> bool;
    /// Waits for standard input; `false` when a signal asks the program to end instead.
    fn input_comes(&self) -> bool;
    /// Random bytes.
    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()>;
    /// The addresses of a name. Use [`addresses`], which knows addresses without asking.
    fn look_up(&self, name: &str, families: Families) -> Vec<IpAddr>;
    /// The name of an address.
    fn reverse(&self, address: IpAddr) -> Option<String>;
}

/// The addresses a word means: the one it is, or those of the name it is.
pub(crate) fn addresses(host: &dyn Host, word: &str, families: Families) -> Vec<IpAddr> {
    match word.parse::<IpAddr>() {
        Ok(ip) => {
            let wanted = match families {
                Families::Any => true,
                Families::V4 => ip.is_ipv4(),
                Families::V6 => ip.is_ipv6(),
            };
            Vec::from_iter(wanted.then_some(ip))
        }
        Err(_) if word.is_empty() => Vec::new(),
        Err(_) => host.look_up(word, families),
    }
}

/// The real machine.
#[derive(Debug)]
pub(crate) struct Machine {
    termination: Option<Termination>,
}

const NS_PER_S: i64 = 1_000_000_000;

impl Machine {
    /// Catches the signals that end the program. Without handlers it still works, but a signal
    /// leaves the client's socket behind.
    pub(crate) fn new() -> Self {
        Self {
            termination: Termination::install().ok(),
        }
    }
}

impl Host for Machine {
    fn open(&self, server: &Server) -> io::Result<Box<dyn Link>> {
        match server {
            Server::Unix(path) => open_unix(path, self),
            Server::Udp(address) => open_udp(*address),
        }
    }

    fn monotonic_ns(&self) -> i64 {
        // Without a monotonic clock waits end at once, which is better than never.
        clock::monotonic().unwrap_or(i64::MAX)
    }

    fn unix_seconds(&self) -> i64 {
        clock::realtime().unwrap_or(0).div_euclid(NS_PER_S)
    }

    fn pause_ms(&self, ms: u32) {
        clock::pause_ms(ms);
    }

    fn interrupted(&self) -> bool {
        self.termination
            .as_ref()
            .is_some_and(|signals| signals.received().is_some())
    }

    fn input_comes(&self) -> bool {
        let input = io::stdin();
        loop {
            if self.interrupted() {
                return false;
            }
            match poll(&mut [Entry::input(input.as_fd())], None) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What is wrong shows when it is read.
                _ => return true,
            }
        }
    }

    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()> {
        random::fill(bytes)
    }

    fn look_up(&self, name: &str, families: Families) -> Vec<IpAddr> {
        names::lookup(name, families).unwrap_or_default()
    }

    fn reverse(&self, address: IpAddr) -> Option<String> {
        names::reverse(address)
    }
}

impl Calendar for Machine {
    fn local(&self, unix: i64) -> Option<LocalTime> {
        let local = calendar::local(unix)?;
        Some(LocalTime {
            year: i64::from(local.year),
            month: i64::from(local.month),
            day: i64::from(local.day),
            hour: i64::from(local.hour),
            minute: i64::from(local.minute),
            second: i64::from(local.second),
            weekday: i64::from(local.weekday),
            daylight: local.daylight,
            utc_offset: local.utc_offset,
        })
    }

    fn instant(&self, time: &LocalTime) -> Option<i64> {
        let field = |value: i64| i32::try_from(value).ok();
        calendar::instant(&calendar::LocalTime {
            year: field(time.year)?,
            month: field(time.month)?,
            day: field(time.day)?,
            hour: field(time.hour)?,
            minute: field(time.minute)?,
            second: field(time.second)?,
            weekday: 0,
            daylight: time.daylight,
            utc_offset: 0,
        })
    }
}
