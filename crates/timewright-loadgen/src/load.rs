//! The generator: one socket, many source addresses, requests in batches.
//!
//! Every request carries in its transmit field when it was sent and by which client; the reply
//! repeats the field, so nothing has to be remembered of requests on the way.

use std::fmt;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use timewright_sys::net::{BATCH, Batch, Destination, Family, Outgoing, Socket};
use timewright_time::NtpTimestamp;
use timewright_wire::{HEADER_LEN, Header, Leap, Mode as WireMode};

use crate::account::cpu_time;

/// Poll interval in the requests, log2 seconds.
const POLL_LOG2: i8 = 6;
/// After this long without a reply those on the way are given up.
const PATIENCE: Duration = Duration::from_millis(500);
/// Latencies kept for the quantiles.
const LATENCIES_MAX: usize = 1 << 22;

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// As fast as replies come, with so many requests on the way.
    Window(u32),
    /// So many per second.
    Rate(f64),
}

/// What kind of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Each on its own.
    Basic,
    /// From the second of a client on, asking for the transmit time of the reply before.
    Interleaved,
}

/// What to send where.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) server: SocketAddr,
    pub(crate) pace: Pace,
    pub(crate) mode: Mode,
    pub(crate) clients: u32,
    pub(crate) first_client: Ipv4Addr,
    pub(crate) duration: Duration,
    /// End after so many requests; `None` sends until the time is over.
    pub(crate) requests: Option<u64>,
    pub(crate) pid: Option<u32>,
}

impl Plan {
    pub(crate) const fn new(server: SocketAddr) -> Self {
        Self {
            server,
            // Socket buffers of the usual size hold about 250 packets.
            pace: Pace::Window(192),
            mode: Mode::Basic,
            clients: 4000,
            first_client: Ipv4Addr::new(127, 1, 0, 0),
            duration: Duration::from_secs(1),
            requests: None,
            pid: None,
        }
    }

    /// Refuses what could not be carried out.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(self.server.is_ipv4(), "the server's address must be IPv4");
        match self.pace {
            Pace::Window(0) => bail!("a window of no requests"),
            Pace::Rate(rate) if !(rate > 0.0 && rate.is_finite()) => bail!("a rate of {rate}"),
            Pace::Window(_) | Pace::Rate(_) => {}
        }
        ensure!(
            (1..=CLIENTS_MAX).contains(&self.clients),
            "the number of clients must be 1 to {CLIENTS_MAX}"
        );
        ensure!(
            u32::from(self.first_client)
                .checked_add(self.clients)
                .is_some(),
            "not that many addresses after {}",
            self.first_client
        );
        ensure!(
            self.duration <= DURATION_MAX,
            "the duration must be at most {} seconds",
            DURATION_MAX.as_secs()
        );
        Ok(())
    }

    fn address_of(&self, client: u32) -> IpAddr {
        Ipv4Addr::from(u32::from(self.first_client).wrapping_add(client)).into()
    }
}

/// The transmit field of a request: when it was sent, 39 bits of nanoseconds; by which client, 24
/// bits; and a lowest bit of 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cookie {
    sent_ns: u64,
    client: u32,
}

const CLIENT_BITS: u32 = 24;
const CLIENTS_MAX: u32 = 1 << CLIENT_BITS;
/// 2^39 ns are 549 s.
const DURATION_MAX: Duration = Duration::from_secs(500);

impl Cookie {
    fn to_wire(self) -> NtpTimestamp {
        NtpTimestamp(self.sent_ns << (CLIENT_BITS + 1) | u64::from(self.client) << 1)
    }

    fn from_wire(field: NtpTimestamp) -> Self {
        let client = (field.0 >> 1) & u64::from(CLIENTS_MAX - 1);
        Self {
            sent_ns: field.0 >> (CLIENT_BITS + 1),
            client: u32::try_from(client).unwrap_or_default(),
        }
    }
}

/// An interleaved request differs from a basic one by what it has in its receive field, which an
/// interleaved reply repeats instead of the transmit field: the cookie with the lowest bit set.
fn interleaved_mark(cookie: NtpTimestamp) -> NtpTimestamp {
    NtpTimestamp(cookie.0 | 1)
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    sent: u64,
    replies: u64,
    /// Replies in interleaved mode, of the replies.
    interleaved: u64,
    /// Datagrams that are no replies to us.
    strange: u64,
    elapsed: Duration,
    /// Of the server, if its pid was given.
    cpu: Option<Duration>,
    median: Duration,
    /// 99 of 100 replies came within this.
    p99: Duration,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sent,
            replies,
            interleaved,
            strange,
            elapsed,
            cpu,
            median,
            p99,
        } = self;
        write!(
            f,
            "sent={sent} replies={replies} interleaved={interleaved} strange={strange} elapsed={} \
             median={} p99={}",
            elapsed.as_nanos(),
            median.as_nanos(),
            p99.as_nanos()
        )?;
        match cpu {
            Some(cpu) => write!(f, " cpu={}", cpu.as_nanos()),
            None => Ok(()),
        }
    }
}

/// Carries the plan out.
///
/// # Errors
/// No socket, an address that is not the host's, or no such process.
pub(crate) fn run(plan: &Plan) -> Result<Outcome> {
    let socket = Socket::udp(Family::V4).context("could not open a UDP socket")?;
    let account = || plan.pid.map(cpu_time).transpose();
    let before = account()?;
    let mut generator = Generator::new(plan, socket);
    generator.run()?;
    let mut outcome = generator.finish();
    if let (Some(before), Some(after)) = (before, account()?) {
        outcome.cpu = Some(after.saturating_sub(before));
    }
    Ok(outcome)
}

struct Generator<'a> {
    plan: &'a Plan,
    socket: Socket,
    start: Instant,
    last_reply: Duration,
    last_sent: Duration,
    /// Requests whose replies are still expected.
    on_the_way: u64,
    next_client: u32,
    /// The receive field of the last reply to each client, in interleaved mode.
    replied: Vec<NtpTimestamp>,
    latencies_ns: Vec<u64>,
    outcome: Outcome,
}

impl<'a> Generator<'a> {
    fn new(plan: &'a Plan, socket: Socket) -> Self {
        let remembered = match plan.mode {
            Mode::Basic => 0,
            Mode::Interleaved => plan.clients as usize,
        };
        Self {
            plan,
            socket,
            start: Instant::now(),
            last_reply: Duration::ZERO,
            last_sent: Duration::ZERO,
            on_the_way: 0,
            next_client: 0,
            replied: vec![NtpTimestamp::ZERO; remembered],
            latencies_ns: Vec::new(),
            outcome: Outcome::default(),
        }
    }

    /// Sends and receives without ever waiting: sleeping would cost more time than is measured.
    fn run(&mut self) -> Result<()> {
        let mut batch = Batch::new();
        self.start = Instant::now();
        loop {
            let now = self.start.elapsed();
            // Looked for replies first: it may be us who did not run for so long.
            while self.receive(&mut batch)? == BATCH {}
            if now > self.last_sent.max(self.last_reply) + PATIENCE {
                self.on_the_way = 0;
            }
            let left = self
                .plan
                .requests
                .map_or(u64::MAX, |n| n.saturating_sub(self.outcome.sent));
            if now < self.plan.duration && left > 0 {
                let due = self.due(now).min(usize::try_from(left).unwrap_or(BATCH));
                if due > 0 {
                    self.send(now, due)?;
                }
            } else if self.on_the_way == 0 {
                return Ok(());
            }
        }
    }

    /// How many requests are to be sent now, [`BATCH`] at most.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the rate is positive, and ends before the range of u64 does"
    )]
    fn due(&self, now: Duration) -> usize {
        let due = match self.plan.pace {
            Pace::Rate(rate) => {
                ((now.as_secs_f64() * rate) as u64).saturating_sub(self.outcome.sent)
            }
            Pace::Window(window) => {
                let room = u64::from(window).saturating_sub(self.on_the_way);
                // Whole batches, or a window that is smaller than one.
                if room >= BATCH as u64 || self.on_the_way == 0 {
                    room
                } else {
                    0
                }
            }
        };
        usize::try_from(due).unwrap_or(BATCH).min(BATCH)
    }

    fn send(&mut self, now: Duration, count: usize) -> Result<()> {
        let sent_ns = u64::try_from(now.as_nanos()).unwrap_or_default().max(1);
        let mut requests = [[0; HEADER_LEN]; BATCH];
        let blank = Outgoing::new(&[], Destination::Inet(self.plan.server));
        let mut out = [blank; BATCH];
        let mut client = self.next_client;
        for (request, out) in requests.iter_mut().zip(&mut out).take(count) {
            *request = self.request(Cookie { sent_ns, client });
            out.bytes = request;
            out.from = Some(self.plan.address_of(client));
            client = (client + 1) % self.plan.clients;
        }
        let out = out.get(..count).unwrap_or_default();
        match self.socket.send_messages(out) {
            Ok(sent) => {
                self.outcome.sent += sent as u64;
                self.on_the_way += sent as u64;
                self.last_sent = now;
                for _ in 0..sent {
                    self.next_client = (self.next_client + 1) % self.plan.clients;
                }
                Ok(())
            }
            // No room in a queue, or a refusal reported late: the server may be starting.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::ConnectionRefused
                ) =>
            {
                Ok(())
            }
            Err(error) => {
                let from = self.plan.address_of(self.next_client);
                Err(error).with_context(|| format!("could not send from {from}"))
            }
        }
    }

    fn request(&self, cookie: Cookie) -> [u8; HEADER_LEN] {
        let mut header = Header {
            leap: Leap::Normal,
            version: 4,
            mode: WireMode::Client,
            poll: POLL_LOG2,
            transmit: cookie.to_wire(),
            ..Header::default()
        };
        let replied = self.replied.get(cookie.client as usize);
        if let Some(&replied) = replied.filter(|replied| !replied.is_zero()) {
            header.originate = replied;
            header.receive = interleaved_mark(header.transmit);
        }
        header.to_bytes()
    }

    /// Takes what one call brings; returns how many datagrams that were.
    fn receive(&mut self, batch: &mut Batch) -> Result<usize> {
        let count = match batch.receive(&self.socket) {
            Ok(count) => count,
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::ConnectionRefused
                ) =>
            {
                return Ok(0);
            }
            Err(error) => return Err(error).context("could not receive"),
        };
        let now = self.start.elapsed();
        for message in batch.messages() {
            match Header::read(message.bytes) {
                Some(header) if header.mode == WireMode::Server => self.take(now, &header),
                _ => self.outcome.strange += 1,
            }
        }
        Ok(count)
    }

    fn take(&mut self, now: Duration, reply: &Header) {
        let cookie = Cookie::from_wire(reply.originate);
        if reply.originate.0 & 1 == 1 {
            self.outcome.interleaved += 1;
        }
        if let Some(replied) = self.replied.get_mut(cookie.client as usize) {
            *replied = reply.receive;
        }
        let now_ns = u64::try_from(now.as_nanos()).unwrap_or_default();
        if self.latencies_ns.len() < LATENCIES_MAX {
            self.latencies_ns
                .push(now_ns.saturating_sub(cookie.sent_ns));
        }
        self.outcome.replies += 1;
        self.on_the_way = self.on_the_way.saturating_sub(1);
        self.last_reply = now;
    }

    fn finish(mut self) -> Outcome {
        self.latencies_ns.sort_unstable();
        let count = self.latencies_ns.len();
        let quantile = |numerator: usize| {
            let at = count.saturating_sub(1) * numerator / 100;
            Duration::from_nanos(self.latencies_ns.get(at).copied().unwrap_or_default())
        };
        Outcome {
            elapsed: self.last_reply,
            median: quantile(50),
            p99: quantile(99),
            ..self.outcome
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// A server that answers all or every second request, and the outcome of a plan against it.
    fn check(adapt: impl FnOnce(&mut Plan), answer_all: bool) -> Outcome {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let mut plan = Plan::new(server.local_addr().unwrap());
        plan.duration = Duration::from_millis(50);
        plan.clients = 7;
        adapt(&mut plan);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut bytes = [0; 128];
            let mut answer = true;
            while !stopped.load(Ordering::Relaxed) {
                let Ok((len, from)) = server.recv_from(&mut bytes) else {
                    continue;
                };
                let request = Header::read(&bytes[..len]).unwrap();
                assert_eq!(request.mode, WireMode::Client);
                let is_interleaved = !request.originate.is_zero();
                let reply = Header {
                    mode: WireMode::Server,
                    originate: if is_interleaved {
                        request.receive
                    } else {
                        request.transmit
                    },
                    receive: NtpTimestamp(77),
                    ..request
                };
                if answer {
                    server.send_to(&reply.to_bytes(), from).unwrap();
                }
                answer = answer_all || !answer;
            }
        });
        let outcome = run(&plan).unwrap();
        stop.store(true, Ordering::Relaxed);
        thread.join().unwrap();
        outcome
    }

    #[test]
    fn every_reply_is_counted() {
        let outcome = check(|plan| plan.pace = Pace::Window(3), true);
        assert!(outcome.sent > 0);
        assert_eq!(outcome.replies, outcome.sent);
        assert_eq!((outcome.interleaved, outcome.strange), (0, 0));
        assert!(outcome.p99 >= outcome.median && outcome.median > Duration::ZERO);
    }

    #[test]
    fn an_open_loop_sends_at_its_rate_whatever_is_answered() {
        let outcome = check(|plan| plan.pace = Pace::Rate(2000.0), false);
        // On a busy machine the last requests may come after the end, but never too many.
        assert!((10..=100).contains(&outcome.sent), "{outcome}");
        assert_eq!(outcome.replies, outcome.sent.div_ceil(2));
    }

    #[test]
    fn a_number_of_requests_ends_it_before_the_time_is_over() {
        let outcome = check(
            |plan| {
                plan.requests = Some(100);
                plan.duration = Duration::from_secs(100);
            },
            true,
        );
        assert_eq!((outcome.sent, outcome.replies), (100, 100));
    }

    #[test]
    fn interleaved_requests_follow_a_first_reply() {
        let outcome = check(
            |plan| {
                plan.pace = Pace::Window(1);
                plan.mode = Mode::Interleaved;
            },
            true,
        );
        assert_eq!(outcome.replies - outcome.interleaved, 7);
    }

    #[test]
    fn processor_time_is_told_only_when_asked_for() {
        let own = std::process::id();
        assert!(check(|plan| plan.pid = Some(own), true).cpu.is_some());
        assert!(!check(|_| {}, true).to_string().contains("cpu="));
    }

    #[test]
    fn cookies_round_trip() {
        for cookie in [
            Cookie {
                sent_ns: 1,
                client: 0,
            },
            Cookie {
                sent_ns: (1 << 39) - 1,
                client: CLIENTS_MAX - 1,
            },
        ] {
            let field = cookie.to_wire();
            assert_eq!(Cookie::from_wire(field), cookie);
            assert_eq!(Cookie::from_wire(interleaved_mark(field)), cookie);
        }
    }
}
