//! Commands that change the clock, the reference or the services.

use super::Answer;
use crate::discipline::manual::{ManualError, ManualFit};
use crate::engine::{AccessService, Context, Engine};
use crate::event::{Event, Severity};
use crate::output::{Exit, Output};
use crate::reference::LocalReferenceConfig;
use crate::server::access::{AccessRule, Permission, Subnet};
use timewright_control::reply::ManualTimestamp;
use timewright_control::request::{
    LocalReference, MakeStepRule, ManualMode, SmoothAction, Subnet as WireSubnet,
};
use timewright_control::{Address, ReplyData, Status, Timespec};
use timewright_time::Seconds;

impl Engine {
    pub(super) fn end(&mut self, cx: &mut Context<'_>) -> Status {
        cx.out.log(Event::info("Received shutdown command"));
        cx.out.push(Output::Quit(Exit::Done));
        Status::Success
    }

    /// Answers when the last file is written.
    pub(super) fn dump(&mut self, cx: &mut Context<'_>) -> Answer {
        let ticket = self.tickets.issue();
        if self.dump_sources(Some(ticket), cx) {
            Answer::Later(ticket)
        } else {
            Status::Success.into()
        }
    }

    pub(super) fn cycle_logs(&mut self, cx: &mut Context<'_>) -> Answer {
        let ticket = self.tickets.issue();
        cx.out.push(Output::CycleLogs { ticket });
        Answer::Later(ticket)
    }

    pub(super) fn rekey(&mut self, cx: &mut Context<'_>) -> Answer {
        let ticket = self.tickets.issue();
        cx.out.push(Output::Rekey { ticket });
        Answer::Later(ticket)
    }

    pub(super) fn set_max_update_skew(&mut self, ppm: f64, cx: &mut Context<'_>) -> Status {
        self.with_clock(cx, |engine, dcx| {
            engine.reference.set_max_update_skew(ppm, dcx)
        });
        Status::Success
    }

    pub(super) fn set_make_step(&mut self, rule: MakeStepRule, cx: &mut Context<'_>) -> Status {
        let make_step = timewright_config::MakeStep {
            threshold: Seconds(rule.threshold),
            limit: rule.limit,
        };
        self.with_clock(cx, |engine, dcx| {
            engine.reference.set_make_step(make_step, dcx)
        });
        Status::Success
    }

    pub(super) fn make_step(&mut self, cx: &mut Context<'_>) -> Status {
        done(self.with_clock(cx, |engine, dcx| engine.local.make_step(dcx)))
    }

    pub(super) fn change_frequency(&mut self, ppm: f64, cx: &mut Context<'_>) -> Status {
        self.with_clock(cx, |engine, dcx| {
            engine.local.accumulate_frequency(ppm * 1e-6, dcx);
        });
        let ppm = timewright_time::text::Fixed(ppm, 3);
        cx.out.log(Event::info(format_args!(
            "Accumulated delta freq of {ppm}ppm"
        )));
        Status::Success
    }

    pub(super) fn change_offset(&mut self, offset: f64, cx: &mut Context<'_>) -> Status {
        let result = self.with_clock(cx, |engine, dcx| {
            engine.local.accumulate_offset(Seconds(offset), 0.0, dcx)
        });
        if result.is_ok() {
            let offset = timewright_time::text::Fixed(offset, 6);
            cx.out.log(Event::info(format_args!(
                "Accumulated delta offset of {offset} seconds"
            )));
        }
        done(result)
    }

    pub(super) fn set_local(&mut self, local: &LocalReference, cx: &mut Context<'_>) -> Status {
        let config = LocalReferenceConfig {
            stratum: u8::try_from(local.stratum.clamp(1, 15)).unwrap_or(15),
            distance: Seconds(local.distance),
            activate: Seconds(local.activate),
            wait_synced: Seconds(local.wait_synced),
            wait_unsynced: Seconds(local.wait_unsynced),
            orphan: local.orphan,
        };
        let on = local.on;
        self.with_clock(cx, |engine, dcx| {
            if on {
                engine.reference.enable_local(config, dcx);
            } else {
                engine.reference.disable_local(dcx);
            }
        });
        Status::Success
    }

    pub(super) fn set_time(&mut self, time: Timespec, cx: &mut Context<'_>) -> Answer {
        let given = time.to_timestamp();
        let sane = self.local.is_sane(given, Seconds::ZERO);
        match self.manual.set_time(self.event_time(), given, sane) {
            Ok(fit) => self.apply_manual(&fit, cx).into(),
            Err(ManualError::Disabled) => Status::NotEnabled.into(),
            Err(_) => Status::Failed.into(),
        }
    }

    pub(super) fn delete_manual(&mut self, index: i32, cx: &mut Context<'_>) -> Status {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        match self.manual.delete(self.event_time(), index) {
            Ok(fit) => {
                self.apply_manual(&fit, cx);
                Status::Success
            }
            Err(_) => Status::BadSample,
        }
    }

    fn apply_manual(&mut self, fit: &ManualFit, cx: &mut Context<'_>) -> ReplyData {
        cx.out.log(fit.event.clone().into());
        self.with_clock(cx, |engine, dcx| {
            engine.reference.update(&fit.update, &mut engine.local, dcx);
        });
        ReplyData::ManualTimestamp(ManualTimestamp {
            offset: fit.offset.0,
            frequency_change_ppm: fit.frequency_ppm,
            frequency_ppm: self.local.absolute_frequency_ppm(),
        })
    }

    pub(super) fn set_manual(&mut self, mode: ManualMode) -> Status {
        match mode {
            ManualMode::Off => self.manual.enable(false),
            ManualMode::On => self.manual.enable(true),
            ManualMode::Reset => self.manual.reset(),
        }
        Status::Success
    }

    pub(super) fn smooth_time(&mut self, action: SmoothAction, cx: &mut Context<'_>) -> Status {
        let now = self.event_time();
        let Some(smoothing) = &mut self.smoothing else {
            return Status::NotEnabled;
        };
        let event = match action {
            SmoothAction::Reset => Some(smoothing.reset(now)),
            SmoothAction::Activate => smoothing.activate(now),
            SmoothAction::Other(_) => return Status::Invalid,
        };
        cx.out.extend_log(event);
        Status::Success
    }

    pub(super) fn allow_ntp(
        &mut self,
        net: WireSubnet,
        allow: bool,
        all: bool,
        cx: &mut Context<'_>,
    ) -> Status {
        self.set_access(AccessService::Ntp, net, allow, all, cx)
    }

    pub(super) fn allow_commands(
        &mut self,
        net: WireSubnet,
        allow: bool,
        all: bool,
        cx: &mut Context<'_>,
    ) -> Status {
        self.set_access(AccessService::Command, net, allow, all, cx)
    }

    fn set_access(
        &mut self,
        service: AccessService,
        net: WireSubnet,
        allow: bool,
        all: bool,
        cx: &mut Context<'_>,
    ) -> Status {
        let subnet = match (net.address, net.bits, net.address.ip()) {
            (Address::Unspecified, 0, _) => Some(Subnet::ANY),
            (_, bits, Some(ip)) => u32::try_from(bits)
                .ok()
                .and_then(|bits| Subnet::new(ip, bits).ok()),
            _ => None,
        };
        let Some(subnet) = subnet else {
            return Status::BadSubnet;
        };
        let permission = if allow {
            Permission::Allow
        } else {
            Permission::Deny
        };
        let rule = AccessRule {
            permission,
            all,
            subnet,
        };
        self.apply_access_rule(service, &rule, Severity::Info, cx);
        Status::Success
    }
}

fn done<E>(result: Result<(), E>) -> Status {
    if result.is_ok() {
        Status::Success
    } else {
        Status::Failed
    }
}
