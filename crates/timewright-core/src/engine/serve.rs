//! The server's side of the engine: its state, and the fast path from request to response.

use super::{Context, Engine};
use crate::discipline::ClockChange;
use crate::output::{Datagram, Output};
use crate::rng::Rng;
use crate::server::access::AccessTable;
use crate::server::auth::ServerKeys;
use crate::server::snapshot::ReferenceState;
use crate::server::{
    ServeContext, ServerConfig, ServerSnapshot, ServerTables, Shard, Verdict, respond,
};
use timewright_time::Now;

/// The longest packet answered or sent (`ntp-engine.md` 1.1).
const PACKET_MAX: usize = 1140;

/// What [`Engine::serve`] did with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// Send the first `len` bytes of the buffer back.
    Reply {
        /// Length of the response.
        len: usize,
        /// Whether a transmit time stamp is wanted.
        stamp: bool,
    },
    /// Nothing is to be sent.
    Silent,
    /// Not a plain request: give it to [`Engine::handle_datagram`].
    NotARequest,
}

/// State of the NTP and command services.
pub(crate) struct Server {
    pub(crate) shard: Shard,
    pub(crate) tables: ServerTables,
    /// Who may send commands over UDP.
    pub(crate) command_access: AccessTable,
    pub(crate) snapshot: ServerSnapshot,
    /// For which families a server socket is held because clients are allowed.
    pub(crate) listening: [bool; 2],
}

impl Server {
    pub(crate) fn new(config: &ServerConfig, snapshot: ServerSnapshot, rng: &mut dyn Rng) -> Self {
        Self {
            shard: Shard::new(config, rng),
            tables: ServerTables::default(),
            command_access: AccessTable::new(),
            snapshot,
            listening: [false; 2],
        }
    }

    pub(crate) fn on_clock_change(&mut self, change: &ClockChange, rng: &mut dyn Rng) {
        self.snapshot.mono.on_clock_change(change, rng);
        self.snapshot.slews.on_clock_change(change);
    }
}

/// Mode of a packet, the low three bits of its first byte; client requests have 3.
const MODE_CLIENT: u8 = 3;

/// The way back of a request, by the signing service.
fn sign(request: &Datagram<'_>, response: Option<&[u8]>, key_id: u32) -> Output {
    Output::Sign {
        key: request.socket,
        to: request.remote,
        from: request.local,
        interface: request.interface,
        packet: response.unwrap_or_default().to_vec(),
        key_id,
    }
}

impl Engine {
    /// Answers a client request that arrived on a server socket, writing the response to `reply`
    /// (at least as long as the request).
    pub fn serve(
        &mut self,
        now: Now,
        datagram: &Datagram<'_>,
        reply: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Served {
        let is_request = datagram.bytes.first().is_some_and(|b| b & 7 == MODE_CLIENT);
        if !is_request || !self.sockets.is_server(datagram.socket) {
            return Served::NotARequest;
        }
        if now.mono != self.wake.mono {
            self.wake = now;
        }
        match self.respond(datagram, reply, cx) {
            Verdict::Reply { len, stamp } => Served::Reply { len, stamp },
            Verdict::Sign { len, key_id } => {
                cx.out.push(sign(datagram, reply.get(..len), key_id));
                Served::Silent
            }
            Verdict::Drop(_) => Served::Silent,
        }
    }

    fn respond(
        &mut self,
        datagram: &Datagram<'_>,
        reply: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Verdict {
        let Self {
            server,
            wake,
            keys,
            config,
            ..
        } = self;
        let signing = config.server.signd_dir.is_some();
        let Server {
            shard,
            tables,
            snapshot,
            ..
        } = server;
        let clock = &mut *cx.clock;
        let mut serve = ServeContext {
            snapshot,
            tables,
            auth: &mut ServerKeys {
                ring: keys,
                signing,
            },
            now: *wake,
            clock: &mut || clock.now(),
            rng: cx.rng,
        };
        respond(shard, &mut serve, datagram, reply)
    }

    /// Answers a packet that no source wanted, through the output queue.
    pub(super) fn answer(&mut self, datagram: &Datagram<'_>, cx: &mut Context<'_>) {
        let mut reply = [0; PACKET_MAX];
        let (len, stamp) = match self.respond(datagram, &mut reply, cx) {
            Verdict::Reply { len, stamp } => (len, stamp),
            Verdict::Sign { len, key_id } => {
                cx.out.push(sign(datagram, reply.get(..len), key_id));
                return;
            }
            Verdict::Drop(_) => return,
        };
        let packet = reply.get(..len).unwrap_or_default().to_vec();
        cx.out.push(Output::Send {
            key: datagram.socket,
            to: datagram.remote,
            from: datagram.local,
            interface: datagram.interface,
            packet,
            stamp,
        });
    }

    /// Whether our clock is synchronised to a source.
    #[must_use]
    pub fn is_synchronised(&self) -> bool {
        matches!(
            self.server.snapshot.reference,
            ReferenceState::Synchronised { .. }
        )
    }
}
