//! Reports: the state of the engine in the protocol's terms.

use super::Answer;
use super::sources::source_address;
use crate::engine::{Context, Engine};
use crate::ids::SourceId;
use crate::select::SourceKind;
use crate::server::client_log::ClientReport;
use crate::source::{AuthMethod, SourceAddress};
use std::net::{IpAddr, Ipv4Addr};
use timewright_config::KeyType;
use timewright_control::reply::{
    Activity, AuthData, AuthMode, CLIENTS_MAX, ClientAccess, Clients, ManualSample, ManualSamples,
    NtpData, SelectData, ServerStats, Smoothing, SmoothingFlags, SourceData, SourceMode,
    SourceName, SourceState, SourceStats, TestFlags, Tracking,
};
use timewright_control::request::{ClientsQuery, SelectFlags};
use timewright_control::{Address, ReplyData, Status};
use timewright_time::Seconds;

fn wire_address(address: SourceAddress) -> Address {
    match address {
        SourceAddress::Ip(ip) => Address::from(ip),
        SourceAddress::Unresolved(id) => Address::Id(id),
    }
}

fn saturate<T: TryFrom<usize> + From<u8>>(value: usize, max: T) -> T {
    T::try_from(value).unwrap_or(max)
}

impl Engine {
    pub(super) fn source_count(&self) -> ReplyData {
        ReplyData::SourceCount(saturate(self.selector.len(), u32::MAX))
    }

    /// The source at an index, in the order of creation.
    fn nth_source(&self, index: u32) -> Option<SourceId> {
        // Read as signed by the original, so the upper half is out of range as well.
        self.selector.ids().nth(usize::try_from(index).ok()?)
    }

    pub(super) fn source_data(&self, index: u32) -> Answer {
        let Some(id) = self.nth_source(index) else {
            return Status::NoSuchSource.into();
        };
        let Some(report) = self.selector.source_report(id, self.event_time()) else {
            return Status::NoSuchSource.into();
        };
        let association = self.table.get(id);
        let address = association.map_or_else(
            || Address::from(IpAddr::V4(Ipv4Addr::from(report.ref_id))),
            |a| wire_address(a.address()),
        );
        let poll = match association {
            Some(association) => association.transmit_poll(self.selector.is_reachable(id)),
            None => {
                let clock = self.refclocks.by_source(id);
                clock.map_or(0, |clock| clock.setup().poll)
            }
        };
        let mode = match (report.kind, association.is_some_and(|a| a.is_peer())) {
            (SourceKind::Refclock, _) => SourceMode::RefClock,
            (SourceKind::Ntp, true) => SourceMode::Peer,
            (SourceKind::Ntp, false) => SourceMode::Client,
        };
        ReplyData::SourceData(SourceData {
            address,
            poll: i16::try_from(poll).unwrap_or(i16::MAX),
            stratum: report.stratum.into(),
            state: match report.state as u16 {
                0 => SourceState::Selected,
                2 => SourceState::Falseticker,
                3 => SourceState::Jittery,
                4 => SourceState::Combined,
                5 => SourceState::Selectable,
                _ => SourceState::NonSelectable,
            },
            mode,
            flags: 0,
            reachability: report.reach.into(),
            since_sample: report.last_sample_ago_s.unwrap_or(u32::MAX),
            original_offset: report.original_offset.0,
            adjusted_offset: report.offset.0,
            error: report.error.0,
        })
        .into()
    }

    pub(super) fn source_stats(&self, index: u32) -> Answer {
        let report = self
            .nth_source(index)
            .and_then(|id| Some((id, self.selector.stats_report(id, self.event_time())?)));
        let Some((id, (ref_id, stats))) = report else {
            return Status::NoSuchSource.into();
        };
        ReplyData::SourceStats(SourceStats {
            refid: ref_id,
            address: self.ntp_address(id),
            samples: saturate(stats.samples, u32::MAX),
            runs: saturate(stats.runs, u32::MAX),
            span: whole_seconds(stats.span),
            std_dev: stats.std_dev.0,
            residual_frequency_ppm: stats.freq.ppm(),
            skew_ppm: stats.skew.ppm(),
            offset: stats.offset.0,
            offset_error: stats.offset_error.0,
        })
        .into()
    }

    /// The address of an NTP source, unspecified for others.
    fn ntp_address(&self, id: SourceId) -> Address {
        self.table
            .get(id)
            .map_or(Address::Unspecified, |a| wire_address(a.address()))
    }

    pub(super) fn select_data(&self, index: u32) -> Answer {
        let report = self
            .nth_source(index)
            .and_then(|id| Some((id, self.selector.select_report(id)?)));
        let Some((id, report)) = report else {
            return Status::NoSuchSource.into();
        };
        ReplyData::SelectData(SelectData {
            refid: report.ref_id,
            address: self.ntp_address(id),
            state: u8::try_from(report.status.letter()).unwrap_or(b'?'),
            authenticated: report.authenticated,
            leap: report.leap as u8,
            configured: SelectFlags(report.configured.bits()),
            effective: SelectFlags(report.effective.bits()),
            last_sample_ago: whole_seconds(report.last_ago),
            score: report.score,
            low_limit: report.lo.0,
            high_limit: report.hi.0,
        })
        .into()
    }

    pub(super) fn source_name(&self, address: Address) -> Answer {
        match self.id_of(address).and_then(|id| self.table.name(id)) {
            Some(name) => ReplyData::SourceName(SourceName::new(name)).into(),
            None => Status::NoSuchSource.into(),
        }
    }

    pub(super) fn ntp_data(&self, address: Address) -> Answer {
        let Some(association) = self.id_of(address).and_then(|id| self.table.get(id)) else {
            return Status::NoSuchSource.into();
        };
        let r = association.report();
        let mut flags = TestFlags(r.tests.bits());
        if r.interleaved {
            flags |= TestFlags::INTERLEAVED;
        }
        if r.authenticated {
            flags |= TestFlags::AUTHENTICATED;
        }
        let letter = |source: Option<crate::output::StampSource>| {
            source.map_or(0, |s| u8::try_from(s.letter()).unwrap_or(0))
        };
        ReplyData::NtpData(Box::new(NtpData {
            remote_address: wire_address(association.address()),
            local_address: r.local.map_or(Address::Unspecified, Address::from),
            remote_port: association.port(),
            leap: r.leap as u8,
            version: r.version,
            mode: r.mode as u8,
            stratum: r.stratum,
            poll: r.poll,
            precision: r.precision,
            root_delay: r.root_delay.0,
            root_dispersion: r.root_dispersion.0,
            refid: r.refid,
            reference_time: r.reference_time.to_timestamp::<()>(self.era_s()).into(),
            offset: r.offset.0,
            peer_delay: r.peer_delay.0,
            peer_dispersion: r.peer_dispersion.0,
            response_time: r.response_time.0,
            jitter_asymmetry: r.jitter_asymmetry,
            flags,
            tx_source: letter(r.tx_source),
            rx_source: letter(r.rx_source),
            total_tx: r.total_tx,
            total_rx: r.total_rx,
            total_valid_rx: r.total_valid,
            total_good_rx: r.total_good,
            total_kernel_tx: r.kernel_tx,
            total_kernel_rx: r.kernel_rx,
            total_hardware_tx: r.hardware_tx,
            total_hardware_rx: r.hardware_rx,
        }))
        .into()
    }

    /// How a source is authenticated (`auth-nts.md` 7).
    pub(super) fn auth_data(&self, address: Address) -> Answer {
        let source = source_address(address).and_then(|_| self.id_of(address));
        let Some(association) = source.and_then(|id| self.table.get(id)) else {
            return Status::NoSuchSource.into();
        };
        let (mode, key_id) = match association.config().auth {
            AuthMethod::None => (AuthMode::None, 0),
            AuthMethod::Key(id) => (AuthMode::Symmetric, id),
            AuthMethod::Nts => (AuthMode::Nts, 0),
        };
        let key = self
            .keys
            .get(key_id)
            .filter(|_| mode == AuthMode::Symmetric);
        ReplyData::AuthData(AuthData {
            mode,
            key_type: key.map_or(0, |key| key_type(key.kind())),
            key_id,
            key_length: key.map_or(0, |key| u16::try_from(key.bits()).unwrap_or(u16::MAX)),
            ke_attempts: 0,
            last_ke_ago: u32::MAX,
            cookies: 0,
            cookie_length: 0,
            nak: 0,
        })
        .into()
    }

    pub(super) fn activity(&self) -> ReplyData {
        let activity = self.table.activity();
        let count = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        ReplyData::Activity(Activity {
            online: count(activity.online),
            offline: count(activity.offline),
            burst_online: count(activity.burst_online),
            burst_offline: count(activity.burst_offline),
            unresolved: count(activity.unresolved),
        })
    }

    pub(super) fn tracking(&mut self, cx: &mut Context<'_>) -> ReplyData {
        let raw = cx.clock.now();
        let correction = self.local.correction(raw).0;
        let at = raw.cook(correction);
        self.reference.look(&self.server.snapshot.reference, at);
        let served = self.server.snapshot.reference_at(at, self.mono());
        let report = self.reference.report(&served, correction, &self.local);
        ReplyData::Tracking(Tracking {
            refid: report.ref_id,
            address: report.address.map_or(Address::Unspecified, Address::from),
            stratum: report.stratum.into(),
            leap: u16::from(report.leap as u8),
            reference_time: report.ref_time.into(),
            current_correction: report.current_correction.0,
            last_offset: report.last_offset.0,
            rms_offset: report.rms_offset.0,
            frequency_ppm: report.frequency_ppm,
            residual_frequency_ppm: report.residual_frequency_ppm,
            skew_ppm: report.skew_ppm,
            root_delay: report.root_delay.0,
            root_dispersion: report.root_dispersion.0,
            update_interval: report.last_update_interval.0,
        })
    }

    pub(super) fn manual_list(&self) -> ReplyData {
        let samples = self.manual.samples().iter().map(|sample| ManualSample {
            when: sample.when.into(),
            slewed_offset: sample.offset.0,
            original_offset: sample.original_offset.0,
            residual: sample.residual.0,
        });
        ReplyData::ManualList(ManualSamples(samples.collect()))
    }

    pub(super) fn smoothing_report(&self) -> Answer {
        let Some(smoothing) = &self.smoothing else {
            return Status::NotEnabled.into();
        };
        let report = smoothing.report(self.event_time());
        let mut flags = SmoothingFlags::default();
        if report.active {
            flags |= SmoothingFlags::ACTIVE;
        }
        if report.leap_only {
            flags |= SmoothingFlags::LEAP_ONLY;
        }
        ReplyData::Smoothing(Smoothing {
            flags,
            offset: report.offset.0,
            frequency_ppm: report.frequency_ppm,
            wander_ppm: report.wander_ppm,
            last_update_ago: report.last_update_ago.0,
            remaining: report.remaining.0,
        })
        .into()
    }

    pub(super) fn server_stats(&self) -> ReplyData {
        let s = self.server.shard.statistics();
        let [ntp_hits, nke_hits, cmd_hits] = s.hits;
        let [ntp_drops, nke_drops, cmd_drops] = s.drops;
        ReplyData::ServerStats(Box::new(ServerStats {
            ntp_hits,
            nke_hits,
            cmd_hits,
            ntp_drops,
            nke_drops,
            cmd_drops,
            log_drops: s.record_drops,
            ntp_auth_hits: s.authenticated,
            ntp_interleaved_hits: s.interleaved,
            ntp_timestamps: s.timestamps,
            ntp_span: s.timestamp_span_s,
            daemon_rx: s.rx.daemon,
            daemon_tx: s.tx.daemon,
            kernel_rx: s.rx.kernel,
            kernel_tx: s.tx.kernel,
            hardware_rx: s.rx.hardware,
            hardware_tx: s.tx.hardware,
        }))
    }

    pub(super) fn clients(&mut self, query: &ClientsQuery) -> Answer {
        let now = self.event_time();
        let clients = self.server.shard.clients_mut();
        if !clients.is_active() {
            return Status::Inactive.into();
        }
        let size = clients.indices();
        let wanted = usize::try_from(query.max_clients)
            .unwrap_or(usize::MAX)
            .min(CLIENTS_MAX);
        let mut next = usize::try_from(query.first_index).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        while next < size && found.len() < wanted {
            let reset = query.reset != 0;
            found.extend(
                clients
                    .report(next, query.min_hits, reset, now)
                    .map(|r| access(&r)),
            );
            next += 1;
        }
        ReplyData::Clients(Clients {
            table_size: saturate(size, u32::MAX),
            next_index: saturate(next, u32::MAX),
            clients: found,
        })
        .into()
    }
}

fn access(report: &ClientReport) -> ClientAccess {
    let [ntp_hits, nke_hits, cmd_hits] = report.hits;
    let [ntp_drops, nke_drops, cmd_drops] = report.drops;
    let [ntp_interval, nke_interval, cmd_interval] = report.interval_log2;
    let [last_ntp_ago, last_nke_ago, last_cmd_ago] = report.ago_s;
    ClientAccess {
        address: Address::from(report.address),
        ntp_hits,
        nke_hits,
        cmd_hits,
        ntp_drops: ntp_drops.into(),
        nke_drops: nke_drops.into(),
        cmd_drops: cmd_drops.into(),
        ntp_interval,
        nke_interval,
        cmd_interval,
        ntp_timeout_interval: report.ntp_timeout_interval_log2,
        last_ntp_ago,
        last_nke_ago,
        last_cmd_ago,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer casts saturate"
)]
fn whole_seconds(span: Seconds) -> u32 {
    span.0 as u32
}

/// The number of a type of keys (`auth-nts.md` 1.2).
const fn key_type(kind: KeyType) -> u16 {
    match kind {
        KeyType::Md5 => 1,
        KeyType::Sha1 => 2,
        KeyType::Sha256 => 3,
        KeyType::Sha384 => 4,
        KeyType::Sha512 => 5,
        KeyType::Sha3_224 => 6,
        KeyType::Sha3_256 => 7,
        KeyType::Sha3_384 => 8,
        KeyType::Sha3_512 => 9,
        KeyType::Tiger => 10,
        KeyType::Whirlpool => 11,
        KeyType::Aes128 => 13,
        KeyType::Aes256 => 14,
    }
}
