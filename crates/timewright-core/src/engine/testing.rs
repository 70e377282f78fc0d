//! An engine with a configuration and a driver around it, for tests.

use super::{Boot, Context, Engine, LookupAnswer, Outcome};
use crate::discipline::testing::{TestClock, Zeros};
use crate::output::{ControlOrigin, Exit, Output, OutputQueue};
use crate::rng::Rng;
use std::net::SocketAddr;
use timewright_config::{MemoryFiles, ParseOptions};
use timewright_control::client::{Answer, Expected, receive};
use timewright_control::request::encode;
use timewright_control::{Reply, Request};
use timewright_time::{MonoTime, Now, Seconds};

const SEQUENCE: u32 = 7;

/// An engine whose sources never answer, with a driver around it.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    clock: TestClock,
    out: OutputQueue,
    mono: MonoTime,
    replies: Vec<Vec<u8>>,
    /// Datagrams of NTP sockets, where to and when.
    pub(crate) sent: Vec<(SocketAddr, Vec<u8>, MonoTime)>,
    pub(crate) logs: Vec<String>,
    pub(crate) exit: Option<Exit>,
    /// The byte that all random numbers are made of.
    pub(crate) chance: u8,
}

/// No randomness at all.
struct Filled(u8);

impl Rng for Filled {
    fn fill(&mut self, buf: &mut [u8]) {
        buf.fill(self.0);
    }
}

impl Bench {
    pub(crate) fn new(config: &str) -> Self {
        let mut bench = Self::with_boot(config, Boot::default());
        bench.logs.clear();
        bench
    }

    /// Started and run until nothing is left to do at the first moment.
    pub(crate) fn with_boot(config: &str, boot: Boot) -> Self {
        let files = MemoryFiles::new().with("/chrony.conf", config.as_bytes());
        let parsed = timewright_config::parse_file("/chrony.conf", &files, ParseOptions::default());
        let mut clock = crate::discipline::testing::Bench::bare(0.0).clock;
        let mut out = OutputQueue::new();
        let mono = MonoTime::from_ns(1_000_000_000_000);
        let boot = Boot {
            clock_quantum: Some(Seconds(1e-7)),
            ..boot
        };
        let now = Now {
            mono,
            raw: clock.raw,
        };
        let mut cx = Context {
            clock: &mut clock,
            rng: &mut Zeros,
            out: &mut out,
        };
        let engine = Engine::new(parsed.unwrap().config, boot, now, &mut cx);
        let mut bench = Self {
            engine,
            clock,
            out,
            mono,
            replies: Vec::new(),
            sent: Vec::new(),
            logs: Vec::new(),
            exit: None,
            chance: 0,
        };
        bench.drain();
        bench
    }

    fn step(&mut self, call: impl FnOnce(&mut Engine, Now, &mut Context<'_>)) {
        let now = Now {
            mono: self.mono,
            raw: self.clock.raw,
        };
        let mut cx = Context {
            clock: &mut self.clock,
            rng: &mut Filled(self.chance),
            out: &mut self.out,
        };
        call(&mut self.engine, now, &mut cx);
    }

    /// Does what the outputs ask for: no name is known, every address can be routed to.
    fn drain(&mut self) {
        while let Some(output) = self.out.pop() {
            match output {
                Output::Log(event) => self.logs.push(event.text),
                Output::ControlReply { bytes, .. } => self.replies.push(bytes),
                Output::Send { to, packet, .. } => self.sent.push((to, packet, self.mono)),
                Output::Resolve { ticket, .. } => self.step(|engine, now, cx| {
                    engine.handle_resolved(now, ticket, LookupAnswer::TemporaryFailure, cx);
                }),
                Output::ProbeRoutes { ticket, addresses } => {
                    let routes = Outcome::Routes(vec![true; addresses.len()]);
                    self.step(|engine, now, cx| {
                        engine.handle_completed(now, ticket, routes, cx);
                    });
                }
                Output::Ready => self.step(|engine, now, cx| engine.handle_ready(now, cx)),
                Output::SourcesStarted => {
                    self.step(|engine, now, cx| {
                        engine.handle_sources_started(now, &Default::default(), cx);
                    });
                }
                Output::Quit(exit) => self.exit = Some(exit),
                _ => {}
            }
        }
    }

    /// Time passes until the next deadline, and what is due is done.
    pub(crate) fn next_deadline(&mut self) {
        let at = self.engine.next_deadline().unwrap();
        let wait = (at - self.mono).max(Seconds::ZERO);
        self.mono = self.mono.max(at);
        self.clock.raw += wait;
        self.step(Engine::handle_deadline);
        self.drain();
    }

    /// Sends a datagram to a command socket; what comes back.
    pub(crate) fn command(&mut self, origin: ControlOrigin, bytes: &[u8]) -> Option<Vec<u8>> {
        self.step(|engine, now, cx| engine.handle_control(now, origin, bytes, cx));
        self.drain();
        let reply = self.replies.pop();
        assert!(self.replies.is_empty(), "one reply to one request");
        reply
    }

    pub(crate) fn ask(&mut self, request: &Request) -> Reply {
        let bytes = encode(request, 6, 0, SEQUENCE);
        let origin = ControlOrigin::Unix {
            path: b"/client".to_vec(),
        };
        let reply = self.command(origin, &bytes).unwrap();
        let expected = Expected {
            version: 6,
            command: request.command(),
            sequence: SEQUENCE,
        };
        match receive(&reply, expected) {
            Answer::Reply(reply) => reply,
            other => panic!("{other:?}"),
        }
    }
}
