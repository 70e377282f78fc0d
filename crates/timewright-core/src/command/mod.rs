//! Authorised control requests to state changes and reports (`control-protocol.md` 5 and 10).
//!
//! ```text
//! datagram ─> may the sender ask at all? ─> admit (protocol checks, counting) ─> carry out ─> reply
//! ```
//!
//! Requests whose outcome is known later (`dump`, `reload sources`, `rekey`) are answered when
//! their ticket comes back. Reports are in [`report`], changes in [`change`], sources in
//! [`sources`].

mod change;
#[cfg(test)]
mod refusals;
mod report;
mod sources;
#[cfg(test)]
mod tests;

use crate::engine::{Context, Engine, Outcome, Owed};
use crate::ids::Ticket;
use crate::output::{ControlOrigin, Output};
use crate::server::client_log::Service;
use crate::server::rate_limit::Limit;
use crate::source::association::Tuning;
use std::net::IpAddr;
use timewright_control::server::{Admission, OpenCommands, Responder, Transport, admit};
use timewright_control::{Address, Reply, Request, Status};
use timewright_time::Now;

/// How a request is answered.
enum Answer {
    Now(Reply),
    /// When the ticket's outcome is known.
    Later(Ticket),
}

impl From<Status> for Answer {
    fn from(status: Status) -> Self {
        Self::Now(status.into())
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self::Now(reply)
    }
}

impl From<timewright_control::ReplyData> for Answer {
    fn from(data: timewright_control::ReplyData) -> Self {
        Self::Now(data.into())
    }
}

/// Addresses whose commands are always heard over UDP.
fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4 == std::net::Ipv4Addr::LOCALHOST,
        IpAddr::V6(v6) => v6 == std::net::Ipv6Addr::LOCALHOST,
    }
}

impl Engine {
    /// Takes a datagram from a command socket; a reply comes as [`Output::ControlReply`].
    pub fn handle_control(
        &mut self,
        now: Now,
        origin: ControlOrigin,
        bytes: &[u8],
        cx: &mut Context<'_>,
    ) {
        self.begin(now);
        let (transport, remote) = match &origin {
            ControlOrigin::Unix { .. } => (Transport::Unix, None),
            ControlOrigin::Udp { remote, .. } => (Transport::Udp, Some(remote.ip())),
        };
        if let Some(address) = remote
            && !is_loopback(address)
            && !self.server.command_access.is_allowed(address)
        {
            return;
        }
        let open = self.open_commands();
        let event_time = self.event_time();
        let clients = self.server.shard.clients_mut();
        let admission = admit(bytes, transport, open, || {
            let Some(address) = remote else {
                clients.count(Service::Command);
                return true;
            };
            let record = clients.access(Service::Command, address, event_time);
            is_loopback(address)
                || record.is_none_or(|record| {
                    clients.limit(Service::Command, record, cx.rng) == Limit::Pass
                })
        });
        match admission {
            Admission::Silence => {}
            Admission::Refuse(bytes) => cx.out.push(Output::ControlReply { to: origin, bytes }),
            Admission::Accept(request, responder) => {
                let answer = self.carry_out_request(request, cx);
                self.settle(cx);
                match answer {
                    Answer::Now(reply) => send(origin, responder, &reply, cx),
                    Answer::Later(ticket) => {
                        self.owed.insert(ticket, Owed { origin, responder });
                    }
                }
            }
        }
    }

    fn open_commands(&self) -> OpenCommands {
        let mut open = OpenCommands::NONE;
        for (word, command) in timewright_config::OpenCommand::NAMES {
            if self.config.command.open_commands.contains(&command) {
                let known = open.open(word);
                debug_assert!(known, "{word} is a word of both tables");
            }
        }
        open
    }

    /// Answers a request whose work has ended.
    pub(crate) fn pay_reply(
        &mut self,
        origin: &ControlOrigin,
        responder: Responder,
        outcome: &Outcome,
        cx: &mut Context<'_>,
    ) {
        let status = match outcome {
            Outcome::Failed => Status::Failed,
            Outcome::Done | Outcome::Routes(_) => Status::Success,
        };
        send(origin.clone(), responder, &status.into(), cx);
    }

    fn carry_out_request(&mut self, request: Request, cx: &mut Context<'_>) -> Answer {
        use Request as R;
        match request {
            R::Online(mask) => self
                .switch(&mask, crate::source::Connectivity::Online, cx)
                .into(),
            R::Offline(mask) => self
                .switch(&mask, crate::source::Connectivity::Offline, cx)
                .into(),
            R::OnOffline => self.on_offline(cx).into(),
            R::Burst(burst) => self.burst(&burst, cx).into(),
            R::ModifyMinPoll(v) => self.tune(v.address, Tuning::MinPoll(v.value), cx),
            R::ModifyMaxPoll(v) => self.tune(v.address, Tuning::MaxPoll(v.value), cx),
            R::ModifyMaxDelay(v) => self.tune(v.address, Tuning::MaxDelay(v.value), cx),
            R::ModifyMaxDelayRatio(v) => self.tune(v.address, Tuning::MaxDelayRatio(v.value), cx),
            R::ModifyMaxDelayDevRatio(v) => {
                self.tune(v.address, Tuning::MaxDelayDevRatio(v.value), cx)
            }
            R::ModifyMinStratum(v) => self.tune(v.address, Tuning::MinStratum(v.value), cx),
            R::ModifyPollTarget(v) => self.tune(v.address, Tuning::PollTarget(v.value), cx),
            R::ModifyOffset(v) => self.modify_offset(&v, cx),
            R::ModifySelectOptions(v) => self.modify_select_options(&v, cx).into(),
            R::AddSource(source) => self.add_source_by_command(&source, cx).into(),
            R::DeleteSource(address) => self.delete_source(address, cx).into(),
            R::Refresh => self.refresh_names(cx).into(),
            R::ReloadSources => self.reload_source_files(cx),
            R::Reselect => self.reselect(cx).into(),
            R::ReselectDistance(distance) => self.set_reselect_distance(distance, cx).into(),
            R::ResetSources => self.reset_sources(cx).into(),
            R::Dump => self.dump(cx),
            R::Rekey => self.rekey(cx),
            R::CycleLogs => self.cycle_logs(cx),
            R::Shutdown => self.end(cx).into(),
            R::ModifyMaxUpdateSkew(ppm) => self.set_max_update_skew(ppm, cx).into(),
            R::ModifyMakeStep(rule) => self.set_make_step(rule, cx).into(),
            R::MakeStep => self.make_step(cx).into(),
            R::ChangeFrequency(ppm) => self.change_frequency(ppm, cx).into(),
            R::ChangeOffset(offset) => self.change_offset(offset, cx).into(),
            R::Local(local) => self.set_local(&local, cx).into(),
            R::SetTime(time) => self.set_time(time, cx),
            R::Manual(mode) => self.set_manual(mode).into(),
            R::ManualDelete(index) => self.delete_manual(index, cx).into(),
            R::SmoothTime(action) => self.smooth_time(action, cx).into(),
            // There is no RTC driver in this build.
            R::WriteRtc | R::TrimRtc | R::RtcReport => Status::NoRtc.into(),
            R::Allow(net) => self.allow_ntp(net, true, false, cx).into(),
            R::AllowAll(net) => self.allow_ntp(net, true, true, cx).into(),
            R::Deny(net) => self.allow_ntp(net, false, false, cx).into(),
            R::DenyAll(net) => self.allow_ntp(net, false, true, cx).into(),
            R::CommandAllow(net) => self.allow_commands(net, true, false, cx).into(),
            R::CommandAllowAll(net) => self.allow_commands(net, true, true, cx).into(),
            R::CommandDeny(net) => self.allow_commands(net, false, false, cx).into(),
            R::CommandDenyAll(net) => self.allow_commands(net, false, true, cx).into(),
            R::AccessCheck(address) => check(address, &self.server.tables.access).into(),
            R::CommandAccessCheck(address) => check(address, &self.server.command_access).into(),
            R::SourceCount => self.source_count().into(),
            R::SourceData(index) => self.source_data(index),
            R::SourceStats(index) => self.source_stats(index),
            R::SelectData(index) => self.select_data(index),
            R::SourceName(address) => self.source_name(address),
            R::NtpData(address) => self.ntp_data(address),
            R::AuthData(address) => self.auth_data(address),
            R::Activity => self.activity().into(),
            R::Tracking => self.tracking(cx).into(),
            R::ManualList => self.manual_list().into(),
            R::Smoothing => self.smoothing_report(),
            R::ServerStats => self.server_stats().into(),
            R::Clients(query) => self.clients(&query),
        }
    }
}

fn send(to: ControlOrigin, responder: Responder, reply: &Reply, cx: &mut Context<'_>) {
    if let Some(bytes) = responder.reply(reply) {
        cx.out.push(Output::ControlReply { to, bytes });
    }
}

fn check(address: Address, table: &crate::server::access::AccessTable) -> Status {
    if address.ip().is_some_and(|ip| table.is_allowed(ip)) {
        Status::AccessAllowed
    } else {
        Status::AccessDenied
    }
}
