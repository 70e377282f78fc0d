//! Commands about sources.

use super::Answer;
use crate::engine::{Context, Engine};
use crate::event::Event;
use crate::ids::SourceId;
use crate::output::{Family, FamilyFilter, Output};
use crate::select::SelectOptions;
use crate::source::association::Tuning;
use crate::source::{
    AddError, AuthMethod, Connectivity, NewSource, Origin, SourceAddress, SourceConfig, SourceKind,
    SourceMatch,
};
use std::net::IpAddr;
use timewright_control::request::{
    AddSource, Burst, SelectFlags, SelectOptions as WireSelectOptions, SourceFlags, SourceMask,
    SourceOffset, SourceType,
};
use timewright_control::{Address, Status};
use timewright_time::Seconds;

/// The source address a request names; `None` for an unspecified one.
pub(super) fn source_address(address: Address) -> Option<SourceAddress> {
    match address {
        Address::Id(id) => Some(SourceAddress::Unresolved(id)),
        other => other.ip().map(SourceAddress::Ip),
    }
}

/// The sources a request means: all of them if it names no address, whatever its mask.
fn source_match(mask: &SourceMask) -> SourceMatch {
    match source_address(mask.address) {
        None => SourceMatch::All,
        Some(SourceAddress::Unresolved(id)) => SourceMatch::Unresolved(id),
        Some(SourceAddress::Ip(address)) => {
            // A mask of another family or none means every bit.
            let all = match address {
                IpAddr::V4(_) => IpAddr::from([0xff; 4]),
                IpAddr::V6(_) => IpAddr::from([0xff; 16]),
            };
            SourceMatch::Masked {
                address,
                mask: mask.mask.ip().unwrap_or(all),
            }
        }
    }
}

fn found(any: bool) -> Status {
    if any {
        Status::Success
    } else {
        Status::NoSuchSource
    }
}

impl Engine {
    pub(super) fn switch(
        &mut self,
        mask: &SourceMask,
        connectivity: Connectivity,
        cx: &mut Context<'_>,
    ) -> Status {
        let which = source_match(mask);
        found(self.with_table(cx, |table, env| {
            table.set_connectivity(which, connectivity, env)
        }))
    }

    pub(super) fn on_offline(&mut self, cx: &mut Context<'_>) -> Status {
        self.with_table(cx, |table, env| {
            table.set_connectivity(SourceMatch::All, Connectivity::MaybeOnline, env)
        });
        Status::Success
    }

    pub(super) fn burst(&mut self, burst: &Burst, cx: &mut Context<'_>) -> Status {
        let which = source_match(&burst.sources);
        let (good, total) = (burst.good, burst.total);
        found(self.with_table(cx, |table, env| table.burst(which, good, total, env)))
    }

    pub(super) fn tune(
        &mut self,
        address: Address,
        tuning: Tuning,
        cx: &mut Context<'_>,
    ) -> Answer {
        let Some(address) = source_address(address) else {
            return Status::NoSuchSource.into();
        };
        found(self.with_table(cx, |table, env| table.tune(address, tuning, env))).into()
    }

    pub(super) fn modify_offset(&mut self, change: &SourceOffset, cx: &mut Context<'_>) -> Answer {
        if change.address == Address::Unspecified {
            return found(self.set_refclock_offset(change.refid, Seconds(change.offset), cx))
                .into();
        }
        self.tune(change.address, Tuning::Offset(change.offset), cx)
    }

    pub(super) fn modify_select_options(
        &mut self,
        change: &WireSelectOptions,
        cx: &mut Context<'_>,
    ) -> Status {
        let id = match change.address {
            Address::Unspecified => {
                let clock = self.refclocks.by_ref_id(change.refid);
                clock.map(|clock| clock.setup().source)
            }
            address => self.id_of(address),
        };
        let Some(id) = id else {
            return Status::NoSuchSource;
        };
        let mut out = Vec::new();
        self.selector.modify_options(
            id,
            SelectOptions::from_bits(change.mask.0),
            SelectOptions::from_bits(change.options.0),
            &mut out,
        );
        self.carry_out_selection(out, cx);
        Status::Success
    }

    /// The source a request names by its address.
    pub(super) fn id_of(&self, address: Address) -> Option<SourceId> {
        self.table.by_address(source_address(address)?)
    }

    pub(super) fn add_source_by_command(
        &mut self,
        source: &AddSource,
        cx: &mut Context<'_>,
    ) -> Status {
        let new = new_source(source);
        if source.flags.contains(SourceFlags::NTS) && new.kind == SourceKind::Peer {
            cx.out.log(Event::warning("NTS not supported with peers"));
        }
        match self.with_table(cx, |table, env| table.add(&new, Origin::Command, env)) {
            Ok(_) => Status::Success,
            Err(AddError::AlreadyInUse) => Status::SourceAlreadyKnown,
            Err(AddError::TooManySources) => Status::TooManySources,
            Err(AddError::InvalidAddress) => Status::InvalidFamily,
            Err(AddError::InvalidName) => Status::InvalidName,
        }
    }

    pub(super) fn delete_source(&mut self, address: Address, cx: &mut Context<'_>) -> Status {
        let Some(address) = source_address(address) else {
            return Status::NoSuchSource;
        };
        found(self.with_table(cx, |table, env| table.remove(address, Origin::Command, env)))
    }

    pub(super) fn refresh_names(&mut self, cx: &mut Context<'_>) -> Status {
        self.with_table(cx, |table, env| table.refresh(env));
        Status::Success
    }

    /// Answers when the files were read and the sources applied.
    pub(super) fn reload_source_files(&mut self, cx: &mut Context<'_>) -> Answer {
        let ticket = self.tickets.issue();
        cx.out.push(Output::ReloadSources { ticket });
        Answer::Later(ticket)
    }

    pub(super) fn reselect(&mut self, cx: &mut Context<'_>) -> Status {
        let mut out = Vec::new();
        let scx = self.select_context();
        self.selector.reselect(&scx, &mut out);
        self.carry_out_selection(out, cx);
        Status::Success
    }

    pub(super) fn set_reselect_distance(&mut self, distance: f64, cx: &mut Context<'_>) -> Status {
        let mut out = Vec::new();
        self.selector
            .set_reselect_distance(Seconds(distance), &mut out);
        self.carry_out_selection(out, cx);
        Status::Success
    }

    pub(super) fn reset_sources(&mut self, cx: &mut Context<'_>) -> Status {
        let mut out = Vec::new();
        let scx = self.select_context();
        self.selector.reset_all(&scx, &mut out);
        self.carry_out_selection(out, cx);
        self.with_table(cx, |table, env| table.start_over(env));
        self.with_clock(cx, |engine, dcx| {
            engine.local.external_step(Seconds::ZERO, dcx)
        });
        Status::Success
    }
}

/// The word of a port is cut to the size of one, as the original does.
const fn low_bits(port: u32) -> u16 {
    let [_, _, high, low] = port.to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// What a client asks to be added.
fn new_source(source: &AddSource) -> NewSource {
    let flags = source.flags;
    let select = SelectFlags::from(flags);
    let has = |flag| flags.contains(flag);
    let non_negative = |value: i32| u32::try_from(value).unwrap_or(0);
    NewSource {
        name: source.name.as_str().to_owned(),
        kind: match source.source_type {
            SourceType::Server => SourceKind::Server,
            SourceType::Peer => SourceKind::Peer,
            SourceType::Pool => SourceKind::Pool,
        },
        port: low_bits(source.port),
        families: match (has(SourceFlags::IPV4), has(SourceFlags::IPV6)) {
            (true, _) => FamilyFilter::Only(Family::V4),
            (false, true) => FamilyFilter::Only(Family::V6),
            (false, false) => FamilyFilter::Any,
        },
        config: SourceConfig {
            minpoll: source.minpoll,
            maxpoll: source.maxpoll,
            offline: !has(SourceFlags::ONLINE),
            auto_offline: has(SourceFlags::AUTO_OFFLINE),
            iburst: has(SourceFlags::IBURST),
            burst: has(SourceFlags::BURST),
            xleave: has(SourceFlags::INTERLEAVED),
            copy: has(SourceFlags::COPY),
            presend: source.presend_minpoll,
            minstratum: i32::try_from(source.min_stratum).unwrap_or(i32::MAX),
            polltarget: i32::try_from(source.poll_target).unwrap_or(i32::MAX),
            maxdelay: source.max_delay,
            maxdelayratio: source.max_delay_ratio,
            maxdelaydevratio: source.max_delay_dev_ratio,
            maxdelayquant: source.max_delay_quant,
            mindelay: source.min_delay,
            asymmetry: source.asymmetry,
            offset: Seconds(source.offset),
            filter: non_negative(source.filter_length),
            minsamples: source.min_samples,
            maxsamples: source.max_samples,
            maxunreach: source.max_unreach,
            version: u8::try_from(source.version).ok().filter(|v| *v != 0),
            mono_root: has(SourceFlags::EXTFIELD_MONO_ROOT),
            net_correction: has(SourceFlags::EXTFIELD_NET_CORRECTION),
            net_correction_10a: false,
            maxsources: source.max_sources,
            auth: AuthMethod::new(
                Some(source.auth_key).filter(|id| *id != 0),
                has(SourceFlags::NTS),
            ),
            select: timewright_config::SelectOptions {
                noselect: select.contains(SelectFlags::NOSELECT),
                prefer: select.contains(SelectFlags::PREFER),
                trust: select.contains(SelectFlags::TRUST),
                require: select.contains(SelectFlags::REQUIRE),
            },
        },
    }
}
